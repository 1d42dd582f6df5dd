"""Refuse outputs and folders that cannot be written, or that would replace what is read, before anything runs."""

import os
from collections.abc import Iterable
from pathlib import Path

from anabranch.core.errors import SetupError, UsageError
from anabranch.core.storage import refuse_special, shown

_LONGEST_NAME = 255  # bytes, on every file system in use

RECORD = "manifest.json"  # ends the name of the record that a run leaves beside its outputs: what each was made of
QUARANTINE = ".quarantine.jsonl"  # ends the name of the rows that were set aside, beside an output


def require_usable(folder: Path) -> Path:
    """Return the folder for our files; raise SetupError if it cannot be created or written to."""
    place = _standing(folder)
    if not _takes_files(place):
        raise SetupError(
            "folder-not-writable", f"nothing can be written into {place}", "Name another folder.", shown(str(folder))
        )
    return folder


def require_folder(folder: Path, why: str) -> None:
    """Raise UsageError if the outputs need a folder, because of `why`, but a file exists there."""
    if os.path.exists(folder) and not os.path.isdir(folder):  # noqa: PTH110, PTH112  Path.exists may raise, see below
        raise UsageError(
            "output-not-a-folder", f"{why}, and the output is a file", "Name a folder as the output.", str(folder)
        )


def require_writable(paths: Iterable[Path], sources: Iterable[Path]) -> None:
    """Raise UsageError for the first of the paths that cannot be written, or that is one of the sources."""
    places = {_place(source) for source in sources} - {None}
    for path in paths:
        _check(path)
        if _place(path) in places:
            raise UsageError("output-is-source", "the output would replace a source", "Name another output.", str(path))


def _check(path: Path) -> None:
    parent = _standing(path.absolute().parent)
    if not _takes_files(parent):
        raise UsageError(
            "output-not-writable", f"nothing can be written into {parent}", "Name another output.", str(path)
        )
    if len(os.fsencode(path.name)) > _LONGEST_NAME:
        raise UsageError("output-not-writable", "the output's name is too long", "Rename the source.", shown(path.name))
    refuse_special(path)


def _standing(folder: Path) -> Path:
    """Return the folder or the nearest existing one above it; Path.exists would raise for those that we may not see."""
    return next(path for path in (folder, *folder.parents) if os.path.exists(path))  # noqa: PTH110


def _takes_files(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK, effective_ids=True)


def _place(path: Path) -> tuple[int, int] | None:
    """Return what all names of one file have in common; None if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
