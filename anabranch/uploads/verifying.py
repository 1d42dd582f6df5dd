"""Compare what is at a destination with what a run sent there."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from anabranch.core.parts import Written
from anabranch.core.verifying import Finding, of_size, verify_file
from anabranch.uploads.options import UploadOptions
from anabranch.uploads.retrying import Health, retried
from anabranch.uploads.select import destination_of
from anabranch.uploads.stores.base import Head
from anabranch.uploads.stores.opening import open_store
from anabranch.uploads.stores.secrets import Unlock, no_blocks
from anabranch.uploads.tags import has_tag


def verify(written: Sequence[Written], parameters: Mapping[str, Any], unlock: Unlock = no_blocks) -> Iterator[Finding]:
    """Ask the destination for the size and tag of each object; in a folder, read the files.

    `parameters` are those of the run's flow. Raises what the destination refuses.
    """
    destination, _ = destination_of(parameters["output"], UploadOptions.model_validate(parameters.get("options") or {}))
    if destination.kind == "file":
        yield from (verify_file(one, _has_tag) for one in written)
        return
    store, health = open_store(destination, unlock), Health()
    for one in written:
        head = retried(lambda key=one.place: store.head(key), health)  # type: ignore[misc]
        yield _object(one, head, sums=destination.kind != "sftp")  # whose tags are made of size and time


def _has_tag(one: Written) -> bool:
    return not one.size or has_tag(str(one.path), one.size, one.tag, [one.part_size or one.size], lambda: False)


def _object(one: Written, head: Head | None, *, sums: bool) -> Finding:
    if head is None:
        return Finding(one.name, "missing")
    if head.size not in (one.size, -1):  # -1: the destination does not tell it
        return of_size(one, head.size)
    if not (sums and head.etag and one.tag):
        return Finding(one.name, "as_recorded", "its size only: the destination tells no checksum")
    if head.etag != one.tag:
        return Finding(one.name, "changed", f"its tag is {head.etag}, and was {one.tag}")
    return Finding(one.name, "as_recorded")
