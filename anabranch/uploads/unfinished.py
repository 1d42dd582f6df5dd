"""The commands `uploads list` and `uploads abort`: what earlier runs, or other programs, left unfinished."""

import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import Parameter

from anabranch.core.errors import UsageError
from anabranch.uploads.options import UploadOptions
from anabranch.uploads.retrying import Health, retried
from anabranch.uploads.select import destination_of
from anabranch.uploads.stores.base import ParallelStore, Upload, UploadGoneError
from anabranch.uploads.stores.opening import open_store

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

Endpoint = Annotated[str | None, Parameter(help="Address of a server that is not Amazon's, Microsoft's or Google's.")]
Credentials = Annotated[str | None, Parameter(help="Where the credentials are: profile:NAME or env:PREFIX.")]
HostKey = Annotated[str | None, Parameter(help="Fingerprint of an SFTP server's key, where known_hosts lacks it.")]
KeyFile = Annotated[str | None, Parameter(help="Private key for SFTP. Default: ~/.ssh/id_*, then the agent.")]
Age = Annotated[str, Parameter(help="Only uploads started longer ago than this, such as 7d or 12h.")]


def show(
    destination: str,
    *,
    older_than: Age = "0s",
    endpoint: Endpoint = None,
    credentials: Credentials = None,
    host_key: HostKey = None,
    key_file: KeyFile = None,
) -> Sequence[Mapping[str, Any]]:
    """List the unfinished uploads below a destination, with the parts that it holds of each."""
    options = UploadOptions(endpoint=endpoint, credentials=credentials, host_key=host_key, key_file=key_file)
    store, found = _found(destination, older_than, options)
    return [_row(store, upload, begun) for upload, begun in found]


def abort(
    destination: str,
    *,
    older_than: Age,
    endpoint: Endpoint = None,
    credentials: Credentials = None,
    host_key: HostKey = None,
    key_file: KeyFile = None,
) -> Sequence[Mapping[str, Any]]:
    """Drop the unfinished uploads below a destination, no matter which run began them, and say of each if it is gone.

    Azure drops blocks only where they are all that a name has; the others it drops after a week.
    """
    options = UploadOptions(endpoint=endpoint, credentials=credentials, host_key=host_key, key_file=key_file)
    store, found = _found(destination, older_than, options)
    rows = []
    for upload, begun in found:
        row = _row(store, upload, begun)
        retried(lambda upload=upload: store.abort(upload), Health())  # type: ignore[misc]
        rows.append({**row, "dropped": not _row(store, upload, begun)["parts"]})
    return rows


def _found(
    destination: str, older_than: str, options: UploadOptions
) -> tuple[ParallelStore, list[tuple[Upload, float]]]:
    place, prefix = destination_of(destination, options)
    store, age = open_store(place), seconds(older_than)
    if store.in_order:
        raise UsageError("destination-scheme", f"{place} does not list what is unfinished", "It ends in about a week.")
    listed = retried(lambda: list(store.list_uploads(prefix)), Health())
    # without an age all count: a server rounds its times up, or its clock is ahead, and the newest seem to be to come
    return store, [(upload, begun) for upload, begun in listed if not age or begun <= time.time() - age]


def seconds(text: str) -> float:
    """Return the seconds that an age such as `7d` means; UsageError where it is none."""
    match = re.fullmatch(r"(\d+)([smhdw])", text.strip())
    if not match:
        raise UsageError("bad-option", f"{text!r} is not an age", "Write it as 7d, 12h or 30m.", "--older-than")
    return float(int(match[1]) * _UNITS[match[2]])


def _row(store: ParallelStore, upload: Upload, begun: float) -> Mapping[str, Any]:
    try:
        parts = retried(lambda: store.list_parts(upload), Health())
    except UploadGoneError:  # meanwhile
        parts = []
    return {
        "key": upload.key,
        "begun": datetime.fromtimestamp(begun, UTC).isoformat(timespec="seconds"),
        "parts": len(parts),
        "bytes": sum(part.size for part in parts),
        "id": upload.id,
    }
