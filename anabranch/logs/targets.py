"""Say where each report goes, and refuse what cannot be before anything runs."""

import os
from collections.abc import Sequence
from pathlib import Path

from anabranch.errors import UsageError
from anabranch.logs.archive import find
from anabranch.logs.options import LogOptions
from anabranch.storage import refuse_special, shown

_LONGEST_NAME = 255  # bytes, on every file system in use


def check(source: Sequence[str], output: str | None, options: LogOptions) -> list[Path]:
    """Say which files will be written; none where the one report goes to standard output.

    Raises UsageError where a source is missing, an output cannot be written, or several reports have no folder.
    """
    archives = find(source)
    if output is not None:
        return list(targets(archives, options.mode, output).values())
    if len(archives) * len(options.mode) > 1:
        raise UsageError(
            "output-missing",
            f"{len(archives)} archives in {len(options.mode)} modes make several reports, and no folder is named",
            "Name one with --output.",
        )
    return []


def targets(archives: Sequence[Path], modes: Sequence[str], output: str) -> dict[tuple[str, str], Path]:
    """Say where the report of each archive's name and mode goes; UsageError where it cannot.

    One report goes to `output` itself, unless that is a folder or ends in a slash. Several go into that folder, as
    NAME.MODE.txt.
    """
    keys = [(archive.name, mode) for archive in archives for mode in modes]
    folder = Path(output)
    if len(keys) == 1 and not folder.is_dir() and not output.endswith("/"):
        found = {keys[0]: folder}
    else:
        if folder.exists() and not folder.is_dir():
            raise UsageError(
                "output-not-a-folder",
                f"there are {len(keys)} reports to write, and the output is a file",
                "Name a folder as the output.",
                output,
            )
        found = {key: folder / f"{key[0]}.{key[1]}.txt" for key in keys}
    for path in found.values():
        _check(path, archives)
    return found


def _check(path: Path, archives: Sequence[Path]) -> None:
    parent = next(parent for parent in path.absolute().parents if parent.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError(
            "output-not-writable", f"nothing can be written into {parent}", "Name another output.", str(path)
        )
    if len(os.fsencode(path.name)) > _LONGEST_NAME:
        raise UsageError(
            "output-not-writable", "the report's name is too long", "Rename the archive.", shown(path.name)
        )
    refuse_special(path)
    if path.exists() and any(path.samefile(archive) for archive in archives):
        raise UsageError("output-is-source", "the report would replace an archive", "Name another output.", str(path))
