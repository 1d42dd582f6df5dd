"""Unpack big compressed files in slices, many at a time, so that their text can be read in blocks, many at a time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from anabranch.core.batches import part_count
from anabranch.core.errors import SourceError
from anabranch.core.parts import Manifest, Outcome, WorkFile
from anabranch.core.storage import fingerprint, work_file
from anabranch.formats.model import Source
from anabranch.sources import remote
from anabranch.sources.cutting import cut, decode
from anabranch.sources.decoding import DamageError
from anabranch.sources.finding import require_unchanged
from anabranch.sources.spans import Span
from anabranch.sources.unpacking import Slice, SlicePart, slice_parts, write

__all__ = ["SlicePart", "SourceSlice", "slice_parts", "slices", "spans", "unpack"]

BIG = 16 << 20  # bytes; smaller files are decoded where they are read
# Compressed bytes that one core unpacks and writes in a second: measured with CSV packed to a fifth, lz4 to a third.
_RATES = {"gz": 50e6, "bz2": 5e6, "xz": 10e6, "zst": 60e6, "lz4": 120e6}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSlice(Slice):
    """A range of a compressed source."""

    source: Source
    codec: str


def slices(source: Source, codec: str, folder: Path, threads: int, key: str) -> list[SourceSlice]:
    """Cut a big compressed file into slices to unpack into the folder: one where it is a single stream.

    `key` names the code that will unpack them. None for a file that is small, not compressed or not local. Reads the
    file, and writes nothing.
    """
    if source.size < BIG or not codec or remote.is_url(source.path):
        return []
    seconds = source.size / _RATES[codec]
    ranges = cut(Path(source.path), codec, part_count(seconds, threads))
    return [
        SourceSlice(
            source.label,
            str(folder / f"{fingerprint('slice', key, source.stamp, codec, bits)}.text"),
            seconds * len(bits) / 8 / source.size,
            bits.start,
            bits.stop,
            source=source,
            codec=codec,
        )
        for bits in ranges
    ]


def unpack(part: SlicePart[SourceSlice], stop: Callable[[], bool] = lambda: False) -> Manifest:
    """Write what the part's slices hold; a slice that does not hold whole streams gives no file, see `spans`.

    A source that changed since it was found gives an error of the manifest. Stopped when `stop` says so.
    """
    files, errors = list[WorkFile](), list[SourceError]()
    for one in part.slices:
        try:
            write(Path(one.target), _content(one), stop)
            files.append(work_file(Path(one.target)))
        except DamageError:
            continue
        except SourceError as error:
            errors.append(error)
    return Manifest(tuple(files), {"bytes": sum(file.size for file in files)}, errors=tuple(errors))


def spans(of_source: Sequence[SourceSlice], outcomes: Sequence[Outcome]) -> list[Span] | None:
    """Give where a source's decompressed bytes lie, once its slices are unpacked.

    None where one of them is missing: the source is damaged, or was cut in the wrong place. Who then reads it from its
    begin gets either all of it, or the error that says what is wrong.
    """
    files = {Path(file.path).name: file for outcome in outcomes if outcome.done for file in outcome.manifest.files}
    found = [_kept(files.get(Path(one.target).name), Path(one.target)) for one in of_source]
    return [Span(file.path, 0, file.size) for file in found if file] if all(found) else None


def _kept(file: WorkFile | None, target: Path) -> WorkFile | None:
    """Give what the cache has in the folder of another run a name in ours, since that run clears its own when it ends.

    None where it has just done so; the file itself where the file system has no hard links.
    """
    if file is None or file.path == str(target):
        return file
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with suppress(FileExistsError):  # of the same slice, by its name
            target.hardlink_to(file.path)
    except FileNotFoundError:
        return None
    except OSError:
        return file
    return work_file(target)


def _content(one: SourceSlice) -> Iterator[bytes]:
    yield from decode(Path(one.source.path), one.codec, one.bits)
    require_unchanged(one.source)
