"""Undo the outer compression: `survey` cuts every archive into slices, `unpack` writes one slice of its tar stream."""

import bz2
import hashlib
import lzma
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from anabranch.core import versions
from anabranch.core.batches import joined, part_count
from anabranch.core.errors import SourceError
from anabranch.core.parts import Manifest, Plan, WorkFile
from anabranch.core.storage import fingerprint, shown, work_file
from anabranch.logs.archive import CHUNK, Archive, Kind, chunks, find, kind_of, require_unchanged
from anabranch.logs.reading import inflate
from anabranch.sources import bzip2
from anabranch.sources.decoding import GZIP, DamageError, damage_noticed
from anabranch.sources.unpack import Slice, SlicePart, slice_parts, write

# Compressed bytes that one core unpacks in a second (measured with logs that are gzipped inside).
_RATES: dict[Kind, float] = {"bz2": 14e6, "gz": 60e6, "xz": 40e6}
_WHOLE = 4 << 20  # bytes; a smaller bzip2 file is not worth cutting
_LIBRARIES = ("ahocorasick-rs", "isal", "python-dateutil")  # what they find decides what is written


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSlice(Slice):
    """A range of an archive to unpack: all of it, or consecutive bzip2 blocks."""

    archive: Archive


@dataclass(frozen=True, slots=True)
class Survey(Plan[SlicePart[ArchiveSlice]]):
    """The slices to unpack, and all archives; one that is not compressed needs no slice.

    `errors` are of the archives that cannot even be opened, and are left out.
    """

    archives: tuple[Archive, ...] = ()
    errors: tuple[SourceError, ...] = ()


def survey(source: Sequence[str], work_dir: Path, threads: int) -> Survey:
    """Find the archives, read each once for its fingerprint, and cut the work of unpacking; writes nothing.

    Raises UsageError where a source is missing or two archives have the same name.
    """
    looked, errors = [], []
    for path in find(source):
        try:
            looked.append(_look(path))
        except OSError as error:
            errors.append(SourceError("source-unreadable", str(error), "Fix that, and run again.", shown(path.name)))
    archives = tuple(archive for archive, _ in looked)
    folder = work_dir / "logs" / fingerprint(code_key(), archives)
    total = sum(map(_seconds, archives))
    slices = [
        one
        for archive, blocks in looked
        for one in _slices(archive, blocks, folder, share=_seconds(archive) / total if total else 0, threads=threads)
    ]
    parts, reads = slice_parts(slices, threads), tuple(archive.file for archive in archives)
    return Survey(parts, str(folder), reads=reads, archives=archives, errors=tuple(errors))


def unpack(part: SlicePart[ArchiveSlice], stop: Callable[[], bool] = lambda: False) -> Manifest:
    """Write the part's slices of tar streams.

    An archive that is damaged gives an error of the manifest, and a slice of what precedes the damage; one that
    changed since it was surveyed gives an error and no slice.
    """
    files, errors = list[WorkFile](), list[SourceError]()
    for one in part.slices:
        try:
            write(Path(one.target), _content(one, errors), stop)
            files.append(work_file(Path(one.target)))
        except SourceError as error:
            errors.append(error)
    return Manifest(tuple(files), {"bytes": sum(file.size for file in files)}, errors=tuple(errors))


def _content(one: ArchiveSlice, errors: list[SourceError]) -> Iterator[bytes]:
    """Give the tar stream as far as it goes; that it goes no further is added to the errors."""
    try:
        with damage_noticed(), Path(one.archive.path).open("rb") as raw:
            yield from bzip2.decode_range(raw, one.bits) if one.bits else _stream(raw, one.archive.kind)
    except DamageError as error:
        errors.append(_damaged(one.archive, str(error)))
    require_unchanged(one.archive.file)


def _damaged(archive: Archive, fault: str) -> SourceError:
    return SourceError(
        "archive-damaged",
        f"cannot be unpacked to its end ({fault})",
        "The report holds what precedes the damage, if anything. Fetch the archive again.",
        archive.label,
    )


def code_key() -> str:
    """Fingerprint the code, the rules and the libraries that decide the bytes of the reports."""
    return versions.code_key("core", "sources", "logs", libraries=_LIBRARIES)


def _look(path: Path) -> tuple[Archive, list[range]]:
    """Read the archive once: its fingerprint, and its blocks where it can be cut; OSError where it cannot be read."""
    if path.exists() and not path.is_file():
        raise OSError("it is not a regular file")  # a pipe, for one, on whose end one would wait for ever
    kind, noted, digest = kind_of(path), work_file(path), hashlib.blake2b(digest_size=16)
    read = chunks(path, digest.update)
    found = list(bzip2.marks(read)) if kind == "bz2" and noted.size > _WHOLE else []
    for _ in read:
        pass
    archive = Archive(shown(path.name), noted.path, noted.size, kind, digest.hexdigest(), noted.modified_ns)
    return archive, bzip2.spans(found, noted.size) if found else []


def _slices(
    archive: Archive, blocks: Sequence[range], folder: Path, *, share: float, threads: int
) -> Iterator[ArchiveSlice]:
    """Cut an archive into as many slices as its share of all the work deserves."""
    if archive.kind == "tar":
        return
    count = max(round(part_count(_seconds(archive) / share, threads) * share), 1) if share else 1
    for bits in joined(blocks, count):
        key = fingerprint("slice", code_key(), archive.digest, archive.kind, bits)
        seconds = _seconds(archive) * (len(bits) / 8 / archive.size if bits else 1)
        yield ArchiveSlice(archive.label, str(folder / f"{key}.tar"), seconds, bits.start, bits.stop, archive=archive)


def _seconds(archive: Archive) -> float:
    return archive.size / _RATES[archive.kind] if archive.kind in _RATES else 0.0


def _stream(raw: IO[bytes], kind: Kind) -> Iterator[bytes]:
    if kind == "gz":
        if raw.read(len(GZIP)) != GZIP:
            raise DamageError("it is not gzip data")
        raw.seek(0)
        yield from inflate(raw)
    else:
        with bz2.open(raw) if kind == "bz2" else lzma.open(raw) as file:
            while data := file.read1(CHUNK):  # `read` would lose what precedes an error in the same megabyte
                yield data
