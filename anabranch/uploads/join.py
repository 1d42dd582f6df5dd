"""Report what became of each file."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from anabranch.core.errors import AnabranchError
from anabranch.core.parts import ErrorLine, Outcome, PartCounts, Report, Written
from anabranch.core.storage import shown
from anabranch.uploads.select import Chosen, Selection


@dataclass(frozen=True, slots=True)
class File:
    """One file at the end of the run: `how` is sent, unchanged, skipped or failed."""

    file: Chosen
    how: str
    etag: str = ""
    sent: int = 0  # bytes that went over the wire
    parts: int = 1
    kept: int = 0  # parts that the store held already
    attempts: int = 1
    part_size: int = 0  # where it was sent in parts
    error: AnabranchError | None = None


def join(selection: Selection, files: Sequence[File], outcomes: Sequence[Outcome], notes: Sequence[str]) -> Report:
    """Return the report; raise AnabranchError "accounting" unless every file has exactly one end."""
    counts = Counter(one.how for one in files)
    _account(selection, files)
    order = {file.key: place for place, file in enumerate(selection.files)}
    files = sorted(files, key=lambda one: order[one.file.key])
    errors = [*selection.errors, *(one.error for one in files if one.error)]
    links = [f"the link {link} was not followed: name it to send its file" for link in selection.links]
    return Report(
        flow="upload-files",
        status="completed" if selection.files or selection.errors else "nothing_to_do",
        parts=PartCounts.of(outcomes),
        items={
            "files": len(selection.files) + len(selection.errors),
            "sent": counts["sent"],
            "unchanged": counts["unchanged"],
            "skipped": counts["skipped"],
            "failed": counts["failed"] + len(selection.errors),
            "parts_kept": sum(one.kept for one in files),
        },
        bytes_in=sum(one.file.stamp.size for one in files),
        bytes_out=sum(one.sent for one in files),
        outputs=[_address(selection, one.file) for one in files if one.how == "sent"],
        written=[_written(selection, one) for one in files if one.how == "sent"],
        errors=[ErrorLine.of(error) for error in errors],
        warnings=[*selection.remarks, *links],
        notes=list(notes),
        details={one.file.label: _details(one) for one in files},
    )


def _address(selection: Selection, file: Chosen) -> str:
    return f"{selection.destination}/{shown(file.key)}"


def _written(selection: Selection, one: File) -> Written:
    destination, key = selection.destination, one.file.key
    return Written(
        name=_address(selection, one.file),
        place=(Path(destination.place) / key).absolute().as_uri() if destination.kind == "file" else key,
        kind="object", size=one.file.stamp.size, tag=one.etag, part_size=one.part_size,
    )  # fmt: skip


def _details(one: File) -> dict[str, object]:
    return {
        "outcome": one.how, "bytes": one.file.stamp.size, "bytes_sent": one.sent, "parts": one.parts,
        "parts_kept": one.kept, "attempts": one.attempts, "etag": one.etag,
    }  # fmt: skip


def _account(selection: Selection, files: Sequence[File]) -> None:
    if sorted(one.file.key for one in files) != sorted(file.key for file in selection.files):
        raise AnabranchError(
            "accounting",
            f"{len(selection.files)} files were planned, and {len(files)} have an end",
            "This is a defect of Anabranch: please report it with the run's log.",
        )
