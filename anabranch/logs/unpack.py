"""Undo the outer compression: `survey` cuts every archive into slices, `unpack` writes one slice of its tar stream."""

import bz2
import hashlib
import lzma
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import IO

from anabranch.batches import contiguous, part_count
from anabranch.errors import SourceError, Stopped
from anabranch.logs import bzip2
from anabranch.logs.archive import CHUNK, Archive, Kind, chunks, find, kind_of, require_unchanged
from anabranch.logs.reading import GZIP, DamageError, damage_noticed, inflate
from anabranch.parts import Manifest, Part, Plan
from anabranch.storage import code_version, fingerprint, published, shown, work_file

# Compressed bytes that one core unpacks in a second (measured with logs that are gzipped inside).
_RATES: dict[Kind, float] = {"bz2": 14e6, "gz": 60e6, "xz": 40e6}
_WHOLE = 4 << 20  # bytes; a smaller bzip2 file is not worth cutting
_LIBRARIES = ("ahocorasick-rs", "isal", "python-dateutil")  # what they find decides what is written


@dataclass(frozen=True, slots=True)
class Slice:
    """A range of an archive to unpack: all of it, or consecutive bzip2 blocks."""

    archive: Archive
    target: str  # file for this slice of the tar stream
    first_bit: int = 0
    stop_bit: int = 0  # 0 for the whole archive

    @property
    def seconds(self) -> float:
        """Estimated cost on one core."""
        share = (self.stop_bit - self.first_bit) / 8 / self.archive.size if self.stop_bit else 1
        return _seconds(self.archive) * share


@dataclass(frozen=True, slots=True)
class SlicePart(Part):
    """A slice of a big archive, or several small archives whole."""

    slices: tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class Survey(Plan[SlicePart]):
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
            errors.append(SourceError("source-unreadable", str(error), "Mend that, and run again.", shown(path.name)))
    archives = tuple(archive for archive, _ in looked)
    folder = work_dir / "logs" / fingerprint(code_key(), archives)
    total = sum(map(_seconds, archives))
    slices = [
        one
        for archive, blocks in looked
        for one in _slices(archive, blocks, folder, share=_seconds(archive) / total if total else 0, threads=threads)
    ]
    costs = [one.seconds for one in slices]
    batches = contiguous(costs, part_count(sum(costs), threads))
    parts = [_part(index, slices[batch.start : batch.stop]) for index, batch in enumerate(batches)]
    reads = tuple(archive.file for archive in archives)
    return Survey(tuple(parts), str(folder), reads=reads, archives=archives, errors=tuple(errors))


def unpack(part: SlicePart, stop: Callable[[], bool] = lambda: False) -> Manifest:
    """Write the part's slices of tar streams.

    An archive that is damaged gives an error of the manifest, and a slice of what precedes the damage; one that
    changed since it was surveyed gives an error and no slice.
    """
    files, errors = [], []
    for one in part.slices:
        try:
            if fault := _unpack(one, stop):
                errors.append(_damaged(one.archive, fault))
            files.append(work_file(Path(one.target)))
        except SourceError as error:
            errors.append(error)
    return Manifest(tuple(files), {"bytes": sum(file.size for file in files)}, errors=tuple(errors))


def _unpack(one: Slice, stop: Callable[[], bool]) -> str:
    """Write one slice; return how its archive is damaged, if it is."""
    target, fault = Path(one.target), ""
    target.parent.mkdir(parents=True, exist_ok=True)
    with published(target, durable=False) as out:
        try:
            for data in _blocks(one) if one.stop_bit else _stream(one.archive):
                if stop():
                    raise Stopped
                out.write(data)
        except DamageError as error:
            fault = str(error)
        require_unchanged(one.archive.file)
    return fault


def _damaged(archive: Archive, fault: str) -> SourceError:
    return SourceError(
        "archive-damaged",
        f"cannot be unpacked to its end ({fault})",
        "What precedes the damage is in the report. Fetch the archive again.",
        archive.label,
    )


@cache
def code_key() -> str:
    """Fingerprint the code and the rules of this workload, and the software under it that decides bytes, too."""
    return fingerprint(code_version(Path(__file__).parent), sys.version_info[:2], *map(version, _LIBRARIES))


def _look(path: Path) -> tuple[Archive, list[range]]:
    """Read the archive once: its fingerprint, and its blocks where it can be cut."""
    kind, noted, digest = kind_of(path), work_file(path), hashlib.blake2b(digest_size=16)
    read = chunks(path, digest.update)
    found = list(bzip2.marks(read)) if kind == "bz2" and noted.size > _WHOLE else []
    for _ in read:
        pass
    archive = Archive(shown(path.name), noted.path, noted.size, kind, digest.hexdigest(), noted.modified_ns)
    return archive, bzip2.spans(found, noted.size) if found else []


def _slices(archive: Archive, blocks: Sequence[range], folder: Path, *, share: float, threads: int) -> Iterator[Slice]:
    """Cut an archive into as many slices as its share of all the work deserves."""
    if archive.kind == "tar":
        return
    count = max(round(part_count(_seconds(archive) / share, threads) * share), 1) if share else 1
    runs = contiguous([len(block) for block in blocks], count)
    for bits in [range(blocks[run.start].start, blocks[run.stop - 1].stop) for run in runs] or [range(0)]:
        key = fingerprint("slice", code_key(), archive.digest, archive.kind, bits)
        yield Slice(archive, str(folder / f"{key}.tar"), bits.start, bits.stop)


def _part(index: int, slices: Sequence[Slice]) -> SlicePart:
    labels = list(dict.fromkeys(one.archive.label for one in slices))
    label = labels[0] if len(labels) == 1 else f"{labels[0]} to {labels[-1]}"
    key = fingerprint(*(Path(one.target).name for one in slices))
    return SlicePart(index, f"{label}, slice {index + 1}", sum(one.seconds for one in slices), key, tuple(slices))


def _seconds(archive: Archive) -> float:
    return archive.size / _RATES[archive.kind] if archive.kind in _RATES else 0.0


def _stream(archive: Archive) -> Iterator[bytes]:
    with damage_noticed(), Path(archive.path).open("rb") as raw:
        if archive.kind == "gz":
            if raw.read(len(GZIP)) != GZIP:
                raise DamageError("it is not gzip data")
            raw.seek(0)
            yield from inflate(raw)
        else:
            with bz2.open(raw) if archive.kind == "bz2" else lzma.open(raw) as file:
                while data := file.read1(CHUNK):  # `read` would lose what precedes an error in the same megabyte
                    yield data


def _blocks(one: Slice) -> Iterator[bytes]:
    base = one.first_bit // 8
    with damage_noticed(), Path(one.archive.path).open("rb") as file:
        file.seek(base)
        found = [mark._replace(bit=mark.bit + base * 8) for mark in bzip2.marks(_until(file, one.stop_bit))]
        inside = [mark for mark in found if one.first_bit <= mark.bit < one.stop_bit]
        ends = [mark.bit for mark in inside[1:]] + [one.stop_bit]
        for mark, end in zip(inside, ends, strict=True):
            if not mark.last:
                first = mark.bit // 8
                file.seek(first)
                yield bzip2.decode(file.read((end + 7) // 8 - first), range(mark.bit % 8, end - first * 8))


def _until(file: IO[bytes], stop_bit: int) -> Iterator[bytes]:
    """Read on in chunks, up to that bit."""
    left = (stop_bit + 7) // 8 - file.tell()
    while left > 0 and (data := file.read(min(left, CHUNK))):
        left -= len(data)
        yield data
