"""Unpack big compressed files in slices, many at a time, so that their text can be read in blocks, many at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from anabranch.core.batches import contiguous, part_count
from anabranch.core.errors import AnabranchError, SourceError, Stopped
from anabranch.core.parts import Manifest, Outcome, Part, Plan, WorkFile, first_to_last
from anabranch.core.storage import fingerprint, published, work_file
from anabranch.sources import codecs, remote
from anabranch.sources.cutting import cut, decode
from anabranch.sources.decoding import DamageError
from anabranch.sources.finding import require_unchanged
from anabranch.sources.source import Source
from anabranch.sources.spans import Span

_MAGIC = 16  # bytes that tell a codec
BIG = 16 << 20  # bytes; smaller files are decoded where they are read
# Compressed bytes that one core unpacks and writes in a second: measured with CSV packed to a fifth, lz4 to a third.
_RATES = {"gz": 50e6, "bz2": 5e6, "xz": 10e6, "zst": 60e6, "lz4": 120e6}


@dataclass(frozen=True, slots=True)
class Slice:
    """A range of a compressed file that can be decoded on its own, in bits; workloads add of which file."""

    label: str  # of the compressed file
    target: str  # file for what it holds
    seconds: float  # estimated cost on one core
    first_bit: int = 0
    stop_bit: int = 0  # 0 for the whole file

    @property
    def bits(self) -> range:
        """The range; empty for the whole file."""
        return range(self.first_bit, self.stop_bit)


S_co = TypeVar("S_co", bound=Slice, covariant=True)


@dataclass(frozen=True, slots=True)
class SlicePart(Part, Generic[S_co]):
    """A slice of a big file, or several small ones."""

    slices: tuple[S_co, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSlice(Slice):
    """A range of a compressed source."""

    source: Source
    codec: str


@dataclass(frozen=True, slots=True)
class Slices(Plan[SlicePart[SourceSlice]]):
    """All sources, and the parts that unpack the big compressed ones among them."""

    sources: tuple[Source, ...] = ()


def slices(sources: Sequence[Source], folder: Path, threads: int, key: str) -> Slices:
    """Cut the big compressed sources into slices to be unpacked into the folder; no parts where nothing is big.

    `key` names the code that will unpack them. Reads the files, and writes nothing.
    """
    cut_ones = [one for source in sources for one in _slices(source, folder, threads, key)]
    reads = tuple(WorkFile(source.path, source.size, 0) for source in sources)
    return Slices(slice_parts(cut_ones, threads), str(folder), reads=reads, sources=tuple(sources))


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


def unpacked(slices: Slices, outcomes: Sequence[Outcome]) -> list[Source]:
    """Return the sources; those that were unpacked know where their text lies."""
    of_source: dict[Source, list[SourceSlice]] = {}
    for part in slices.parts:
        for one in part.slices:
            of_source.setdefault(one.source, []).append(one)
    return [_unpacked(source, of_source.get(source, ()), outcomes) for source in slices.sources]


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


def slice_parts(slices: Sequence[S_co], threads: int) -> tuple[SlicePart[S_co], ...]:
    """Group neighbours into parts that keep so many threads busy."""
    costs = [one.seconds for one in slices]
    batches = contiguous(costs, part_count(sum(costs), threads))
    return tuple(_part(index, slices[batch.start : batch.stop]) for index, batch in enumerate(batches))


def write(target: Path, pieces: Iterable[bytes], stop: Callable[[], bool]) -> None:
    """Write a slice's content; Stopped when `stop` says so before a piece."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with published(target, durable=False) as out:
        for data in pieces:
            if stop():
                raise Stopped
            out.write(data)


def _part(index: int, slices: Sequence[S_co]) -> SlicePart[S_co]:
    label = first_to_last(one.label for one in slices)
    key = fingerprint(*(Path(one.target).name for one in slices))
    return SlicePart(index, f"{label}, slice {index + 1}", sum(one.seconds for one in slices), key, tuple(slices))


def _slices(source: Source, folder: Path, threads: int, key: str) -> list[SourceSlice]:
    """Cut one source; none where it is small, not compressed or not local."""
    if source.size < BIG or remote.is_url(source.path):
        return []
    try:
        with codecs.open_source(source) as raw:
            codec = codecs.sniff(raw.read(_MAGIC))
        if not codec:
            return []
        seconds = source.size / _RATES[codec]
        ranges = cut(Path(source.path), codec, part_count(seconds, threads))
    except (AnabranchError, OSError):  # the part that looks at the file reports it
        return []
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


def _unpacked(source: Source, cut_ones: Sequence[SourceSlice], outcomes: Sequence[Outcome]) -> Source:
    found = spans(cut_ones, outcomes) if cut_ones else None
    return replace(source, spans=tuple(found), packed=cut_ones[0].codec) if found else source
