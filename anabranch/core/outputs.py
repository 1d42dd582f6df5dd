"""Refuse outputs and folders that cannot be written, or that would replace what is read, before anything runs."""

import os
from collections.abc import Iterable
from pathlib import Path

from anabranch.core.errors import SetupError, UsageError
from anabranch.core.storage import refuse_special, shown

_LONGEST_NAME = 255  # bytes, on every file system in use

RECORD = "manifest.json"  # ends the name of what a run leaves beside its outputs: what each was made of
QUARANTINE = ".quarantine.jsonl"  # ends the name of the rows that were set aside, beside an output


def require_usable(folder: Path) -> Path:
    """Give the folder for files of ours; SetupError where nothing can be written into it, or it cannot be made."""
    place = _standing(folder)
    if not _takes_files(place):
        raise SetupError(
            "folder-not-writable", f"nothing can be written into {place}", "Name another folder.", shown(str(folder))
        )
    return folder


def require_folder(folder: Path, why: str) -> None:
    """Raise UsageError where outputs are to go into a folder, since `why`, and a file is there."""
    if os.path.exists(folder) and not os.path.isdir(folder):  # noqa: PTH110, PTH112  the others raise, see below
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
    """Give the folder, or the first above it that is there; what we may not see is not, so Path.exists would not do."""
    return next(path for path in (folder, *folder.parents) if os.path.exists(path))  # noqa: PTH110


def _takes_files(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK, effective_ids=True)


def _place(path: Path) -> tuple[int, int] | None:
    """Give what two names of one file have in common; nothing where there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
