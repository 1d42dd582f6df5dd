"""What a run would send, without asking the destination anything; and what can be refused before anything runs."""

from collections.abc import Sequence
from pathlib import Path

from anabranch.core.errors import UsageError
from anabranch.core.outputs import require_usable
from anabranch.core.parts import Job
from anabranch.uploads.context import Context
from anabranch.uploads.options import UploadOptions
from anabranch.uploads.plan import Opened, SendPlan, parts_of, reads, units
from anabranch.uploads.select import Selection, select
from anabranch.uploads.stores.base import Destination, Upload
from anabranch.uploads.stores.opening import open_store


def check(source: Sequence[str], output: str | None, options: UploadOptions) -> list[Path]:
    """Return the files that will be written, where the destination is a folder.

    Raises UsageError for sources that are not there, keys that are refused, and parts that the store would not take.
    """
    if not output:
        raise UsageError("output-missing", "no destination is named", "Name one last, such as s3://bucket/prefix/.")
    selection = select(source, output, options)
    _require_fitting(options, selection.destination)
    store = open_store(selection.destination)
    units(selection.files, options, store.limits, in_order=store.in_order)
    if selection.destination.kind != "file":
        return []
    require_usable(Path(selection.destination.place))
    return [Path(selection.destination.place) / file.key for file in selection.files]


def _require_fitting(options: UploadOptions, destination: Destination) -> None:
    """Raise UsageError "bad-option" for an option that means nothing to the destination."""
    if options.requests_per_minute and destination.kind != "gdrive":
        reason = f"{destination} has no limit of requests per minute"
        raise UsageError("bad-option", reason, "Leave --requests-per-minute away.", "--requests-per-minute")
    own = {"host_key": "sftp", "key_file": "sftp", "verify": "sftp", "discard_uncommitted": "az"}
    for name, kind in own.items():
        if getattr(options, name) and destination.kind != kind:
            word = f"--{name.replace('_', '-')}"
            raise UsageError("bad-option", f"{word} is for {kind}:// destinations", f"Leave {word} away.", word)


def preview(job: Job[UploadOptions]) -> SendPlan:
    """Plan all files as if nothing of them were at the destination; reads only."""
    selection = select(job.source, job.output or "", job.options)
    context = Context(job, selection, open_store(selection.destination), run="preview")
    every = units(selection.files, job.options, context.store.limits, in_order=context.store.in_order)
    whats = [
        Opened(unit.files[0], Upload(unit.files[0].key, ""), unit.part_size, {}) if unit.is_big else unit
        for unit in every
    ]
    about = _about(selection)
    if context.store.in_order and job.options.mode == "parallel":
        about.append(
            (str(selection.destination), "takes the bytes of a file in order: files go in parallel, not parts")
        )
    return SendPlan(parts_of(context, whats), "", reads=reads(selection.files), about=tuple(about))


def _about(selection: Selection) -> list[tuple[str, str]]:
    found = [(file.label, f"becomes {selection.destination}/{file.key}") for file in selection.files]
    found += [
        (file.label, f"is sparse: all {file.stamp.size:,} bytes are sent, {file.held:,} are held")
        for file in selection.files
        if file.held < file.stamp.size
    ]
    found += [(error.part, error.reason) for error in selection.errors]
    found += [(link, "is a link, and is not followed") for link in selection.links]
    return found + [("warning", remark) for remark in selection.remarks]
