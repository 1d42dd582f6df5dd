"""Find the archives a user named, tell their kind, and give each a label and a fingerprint of its bytes."""

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from anabranch.core.errors import SourceError, UsageError
from anabranch.core.parts import WorkFile
from anabranch.core.storage import shown, unchanged

Kind = Literal["bz2", "gz", "xz", "tar"]

CHUNK = 1 << 20  # bytes read at a time
_SUFFIXES: dict[str, Kind] = {
    ".tar.bz2": "bz2",
    ".tbz2": "bz2",
    ".bz2": "bz2",
    ".tar.gz": "gz",
    ".tgz": "gz",
    ".gz": "gz",
}
_MAGIC: dict[bytes, Kind] = {b"BZh": "bz2", b"\x1f\x8b": "gz", b"\xfd7zXZ\0": "xz"}
_LISTED = (*_SUFFIXES, ".tar", ".tar.xz", ".txz")  # what is taken from a folder


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive of rotated logs, as it was when the run was planned."""

    label: str  # its base name, as it can be shown
    path: str
    size: int
    kind: Kind
    digest: str
    modified_ns: int = field(repr=False, compare=False)  # not of its content, so not of any fingerprint

    @property
    def file(self) -> WorkFile:
        """The archive's file, as it was when the run was planned."""
        return WorkFile(self.path, self.size, self.modified_ns)


def require_unchanged(file: WorkFile) -> None:
    """Raise SourceError where an archive is another than when the run was planned, lest it be taken for the first."""
    if not unchanged(file):
        raise SourceError(
            "source-changed", "it changed during the run", "Run the same command again.", shown(Path(file.path).name)
        )


def find(sources: Sequence[str]) -> list[Path]:
    """List the archives meant by files, folders and glob patterns; those of folders and patterns may be unreadable.

    Raises UsageError for a missing file, a folder that cannot be listed, or an equal name.
    """
    found = dict.fromkeys(path.absolute() for source in sources for path in _listed(source))
    labels: dict[str, Path] = {}
    for path in found:
        other = labels.setdefault(path.name, path)
        if other != path:
            raise UsageError(
                "same-name",
                f"{other} and {path} have the same name, and reports are named after their archive",
                "Rename one, or parse them in two runs.",
            )
    return list(found)


def _listed(source: str) -> Iterable[Path]:
    try:
        return _meant(source)
    except OSError as error:
        raise UsageError(
            "source-unreadable",
            error.strerror or str(error),
            "Fix that, or leave it out, and run again.",
            shown(source),
        ) from error


def _meant(source: str) -> Iterable[Path]:
    path = Path(source)
    if not source:  # which is not this folder
        raise _missing(path)
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.name.lower().endswith(_LISTED) and not file.is_dir())
    if path.exists() or not glob.has_magic(source):
        return [_regular(path)]
    folder = next(parent for parent in path.parents if not glob.has_magic(str(parent)))
    if not folder.is_dir():
        raise _missing(folder)
    os.scandir(folder).close()  # which tells why it cannot be listed; a pattern would fit nothing
    return sorted(file for file in map(Path, glob.glob(source, recursive=True)) if not file.is_dir())  # noqa: PTH207  any path


def _regular(path: Path) -> Path:
    if not path.exists():
        raise _missing(path)
    if not path.is_file():
        raise UsageError("source-not-a-file", "this is neither a regular file nor a folder", "Name a file.", str(path))
    return path


def _missing(path: Path) -> UsageError:
    return UsageError("source-missing", "there is no such file or folder", "Check the path.", shown(str(path)))


def kind_of(path: Path) -> Kind:
    """Tell how the archive is compressed: the suffix decides for bz2 and gz, the first bytes for all others."""
    for suffix, kind in _SUFFIXES.items():
        if path.name.endswith(suffix):
            return kind
    with path.open("rb") as file:
        begin = file.read(6)
    return next((kind for magic, kind in _MAGIC.items() if begin.startswith(magic)), "tar")


def chunks(path: Path, look: Callable[[bytes], object]) -> Iterator[bytes]:
    """Read the file once, in chunks, and show each to `look` on the way."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            look(chunk)
            yield chunk
