"""Unpack big compressed files in slices, many at a time, so that their text can be read in blocks, many at a time."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from anabranch.core.batches import contiguous, part_count
from anabranch.core.errors import AnabranchError, SourceError, Stopped, TemporaryError
from anabranch.core.parts import Manifest, Outcome, Part, Plan, WorkFile, first_to_last
from anabranch.core.storage import fingerprint, leave_hole, published, require_room, work_file
from anabranch.sources import codecs, remote
from anabranch.sources.bounds import require_bounded
from anabranch.sources.cutting import cut, decode, up_to_damage
from anabranch.sources.decoding import DamageError
from anabranch.sources.finding import require_unchanged
from anabranch.sources.source import Source
from anabranch.sources.spans import Span

MAGIC = 16  # bytes by which a codec is detected
_GZ_SIZE = 4  # bytes at the end of a gz stream that tell how long its text is
BIG = 16 << 20  # bytes; smaller files are decoded where they are read
# Compressed bytes that one core unpacks and writes in a second: measured with CSV packed to a fifth, lz4 to a third.
_RATES = {"gz": 50e6, "bz2": 5e6, "xz": 10e6, "zst": 60e6, "lz4": 120e6}


@dataclass(frozen=True, slots=True)
class SourceSlice:
    """A range of a compressed source that can be decoded on its own, in bits."""

    source: Source
    codec: str  # none where the bytes are copied as they are
    target: str  # file for what it holds
    seconds: float  # estimated cost on one core
    first_bit: int
    stop_bit: int
    keeps: bool = False  # what precedes the damage of a damaged one

    @property
    def bits(self) -> range:
        """The range; it begins at 0 where it is the whole file, or its first streams."""
        return range(self.first_bit, self.stop_bit)


@dataclass(frozen=True, slots=True)
class SlicePart(Part):
    """A slice of a big file, or several small ones."""

    slices: tuple[SourceSlice, ...]


@dataclass(frozen=True, slots=True)
class Packed:
    """A source to unpack, and the name of its content, after which its slices are named."""

    source: Source
    codec: str
    content: str


@dataclass(frozen=True, slots=True)
class Manner:
    """How a column has its sources unpacked."""

    rates: Mapping[str, float]  # compressed bytes that one core unpacks and writes in a second, by codec
    whole: int = 0  # bytes; smaller files are not cut
    keeps: bool = False  # what precedes the damage of a damaged one; else it gives no file


@dataclass(frozen=True, slots=True)
class Slices(Plan[SlicePart]):
    """All sources, and the parts that unpack the compressed ones among them."""

    sources: tuple[Source, ...] = ()

    def save(self) -> None:
        """Raise TemporaryError where the disk has no room for the slices that are not there yet."""
        needed = [one for part in self.parts for one in part.slices if not Path(one.target).exists()]
        if needed:
            require_room(Path(self.folder), sum(map(_least_size, needed)))


LeaveOut = Callable[[Iterable[bytes]], Iterator[bytes | int]]  # yields sizes in place of what is not to be written


@dataclass(frozen=True, slots=True)
class SliceManifest(Manifest):
    """What was written; `holes` has for each file by its name where bytes were left out, and how many."""

    holes: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)


class Preceding(NamedTuple):
    """Where a source's bytes lie as far as it could be unpacked, and why they end there."""

    spans: list[Span]
    error: AnabranchError | None = None


def slices(sources: Sequence[Source], folder: Path, threads: int, key: str) -> Slices:
    """Cut the big compressed sources into slices to be unpacked into the folder; no parts where nothing is big.

    `key` names the code that will unpack them. Reads the files, and writes nothing.
    """
    packed = [one for source in sources if (one := _packed(source))]
    parts = unpacking(packed, Manner(_RATES), folder, threads, key)
    reads = tuple(WorkFile(source.path, source.size, 0) for source in sources)
    return Slices(parts, str(folder), reads=reads, sources=tuple(sources))


def unpacking(packed: Sequence[Packed], manner: Manner, folder: Path, threads: int, key: str) -> tuple[SlicePart, ...]:
    """Plan the parts that unpack these sources: each is cut into as many slices as its share of the work deserves."""
    costs = [one.source.size / manner.rates[one.codec] for one in packed]
    total, found = sum(costs), list[SourceSlice]()
    for one, seconds in zip(packed, costs, strict=True):
        count = max(round(part_count(total, threads) * seconds / total), 1) if total else 1
        for bits in _ranges(one, count, manner):
            target = str(folder / f"{fingerprint('slice', key, one.content, one.codec, bits)}.text")
            keeps = manner.keeps and _is_sure(one, bits)
            share = seconds * len(bits) / 8 / max(one.source.size, 1)
            found.append(SourceSlice(one.source, one.codec, target, share, bits.start, bits.stop, keeps))
    return _slice_parts(found, threads)


def uncut(slices: Slices, outcomes: Sequence[Outcome]) -> Slices:
    """Plan to unpack as wholes the sources that were cut in the wrong place: a slice of them does not hold streams."""
    sound = {source for source, told in _told(outcomes).items() if not any(_error(source, each) for _, each in told)}
    wrong = [
        of
        for source, of in _by_source(slices).items()
        if source in sound and not of[0].keeps and spans(of, outcomes) is None
    ]
    redone = [
        replace(
            of[0],
            target=str(Path(slices.folder) / f"{fingerprint('whole', *(Path(one.target).name for one in of))}.text"),
            seconds=sum(one.seconds for one in of),
            stop_bit=of[-1].stop_bit,
            keeps=True,
        )
        for of in wrong
    ]
    return replace(slices, parts=_slice_parts(redone, len(redone)))


def unpack(
    part: SlicePart, stop: Callable[[], bool] = lambda: False, leave_out: LeaveOut | None = None
) -> SliceManifest:
    """Write what the part's slices hold; a slice that does not hold whole streams gives no file, see `spans`.

    Of a damaged source, a slice that keeps it gives what precedes the damage, and an error of the manifest. A source
    that changed since it was found gives an error and no file. Stopped when `stop` says so. `leave_out` takes the bytes
    of a slice at the start of its source.
    """
    files, errors, holes = list[WorkFile](), list[SourceError](), dict[str, tuple[tuple[int, int], ...]]()
    for one in part.slices:
        try:
            content: Iterable[bytes | int] = _content(one, errors)
            if leave_out and not one.first_bit:
                content = leave_out(_content(one, errors))
            holes[Path(one.target).name] = _write(Path(one.target), content, stop)
            files.append(work_file(Path(one.target)))
        except DamageError:
            continue
        except SourceError as error:
            error.part = error.part or one.source.label
            errors.append(error)
    size = sum(file.size for file in files)
    return SliceManifest(tuple(files), {"bytes": size}, errors=tuple(errors), holes=holes)


def unpacked(slices: Slices, outcomes: Sequence[Outcome]) -> list[Source]:
    """Return the sources; those that were unpacked know where their text lies."""
    of_source = _by_source(slices)
    return [_unpacked(source, of_source.get(source, ()), outcomes) for source in slices.sources]


def spans(of_source: Sequence[SourceSlice], outcomes: Sequence[Outcome]) -> list[Span] | None:
    """Return where a source's decompressed bytes lie, once its slices are unpacked.

    None where one of them is missing: the source is damaged, or was cut in the wrong place. Reading it from its start
    then gives either all of it, or the error that says what is wrong.
    """
    made = _made(outcomes)
    found = [_kept(made.get(Path(one.target).name), Path(one.target)) for one in of_source]
    return [Span(file.path, 0, file.size) for file in found if file] if all(found) else None


def preceding(outcomes: Sequence[Outcome]) -> dict[Source, Preceding]:
    """Return for each source where its bytes lie up to the first slice that failed or is damaged."""
    made, found = _made(outcomes), dict[Source, Preceding]()
    for source, told in _told(outcomes).items():
        spans, error = list[Span](), None
        for one, outcome in [each for each in told if each[0].keeps] or told:
            file = _kept(made.get(Path(one.target).name), Path(one.target))
            spans += [Span(file.path, 0, file.size)] if file else []
            error = _error(source, outcome) or (None if file else _gone(source))
            if error:
                break
        found[source] = Preceding(spans, error or _too_large(source, spans))
    return found


def _kept(file: WorkFile | None, target: Path) -> WorkFile | None:
    """Link a file that the cache has in another run's folder into ours, since that run clears its own when it ends.

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


def _made(outcomes: Sequence[Outcome]) -> dict[str, WorkFile]:
    return {Path(file.path).name: file for outcome in outcomes if outcome.done for file in outcome.manifest.files}


def _told(outcomes: Sequence[Outcome]) -> dict[Source, list[tuple[SourceSlice, Outcome]]]:
    """Group the slices of each source, in their order, with what became of them."""
    found: dict[Source, list[tuple[SourceSlice, Outcome]]] = {}
    for outcome in sorted(outcomes, key=lambda outcome: outcome.part.index):
        if isinstance(outcome.part, SlicePart):
            for one in outcome.part.slices:
                found.setdefault(one.source, []).append((one, outcome))
    return found


def _error(source: Source, outcome: Outcome) -> AnabranchError | None:
    return outcome.error or next((error for error in outcome.errors if error.part == source.label), None)


def _too_large(source: Source, spans: Sequence[Span]) -> SourceError | None:
    """Return the error where the slices of a source, each within its bound, are too much together."""
    try:
        require_bounded(sum(span.size for span in spans), source.size, source.label, source.most)
    except SourceError as error:
        return error
    return None


def _least_size(one: SourceSlice) -> int:
    """Return how many bytes a slice unpacks to at least, as far as that can be known without unpacking it."""
    packed = len(one.bits) * 99 // 800  # what cannot be compressed is stored, with a little around it
    if one.codec != "gz" or one.first_bit or remote.is_url(one.source.path):
        return packed
    with suppress(OSError), Path(one.source.path).open("rb") as file:
        file.seek(-_GZ_SIZE, os.SEEK_END)
        return max(packed, int.from_bytes(file.read(_GZ_SIZE), "little"))  # of the last stream, modulo 4 GiB
    return packed


def _gone(source: Source) -> TemporaryError:
    return TemporaryError("file-changed", "its unpacked text is gone", "Run the same command again.", source.label)


def _by_source(slices: Slices) -> dict[Source, list[SourceSlice]]:
    found: dict[Source, list[SourceSlice]] = {}
    for part in slices.parts:
        for one in part.slices:
            found.setdefault(one.source, []).append(one)
    return found


def _content(one: SourceSlice, errors: list[SourceError]) -> Iterator[bytes]:
    size = 0
    try:
        for data in _decoded(one):
            size += len(data)
            require_bounded(size, len(one.bits) // 8, one.source.label, one.source.most)
            yield data
    except DamageError as error:
        if not one.keeps:
            raise
        errors.append(_damaged(one.source, str(error)))
    require_unchanged(one.source)


def _decoded(one: SourceSlice) -> Iterator[bytes]:
    if not one.keeps:
        yield from decode(Path(one.source.path), one.codec, one.bits, one.source.most)
        return
    with codecs.open_source(one.source) as file:
        yield from up_to_damage(file, one.codec, one.bits)


def _damaged(source: Source, fault: str) -> SourceError:
    return SourceError(
        "archive-damaged",
        f"cannot be unpacked to its end ({fault})",
        "The report holds what precedes the damage, if anything. Fetch the archive again.",
        source.label,
    )


def _write(target: Path, pieces: Iterable[bytes | int], stop: Callable[[], bool]) -> tuple[tuple[int, int], ...]:
    """Write the pieces, of which a number is a hole of that size; return where the holes begin, and their sizes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    holes = list[tuple[int, int]]()
    with published(target, durable=False) as out:
        for data in pieces:
            if stop():
                raise Stopped
            if isinstance(data, bytes):
                out.write(data)
                continue
            begin, size = holes.pop() if holes and sum(holes[-1]) == out.tell() else (out.tell(), 0)
            holes.append((begin, size + data))
            leave_hole(out, data)
    return tuple(holes)


def _packed(source: Source) -> Packed | None:
    """Return the codec of a source; None if it is small, not compressed, not local, or cannot be read."""
    if source.size < BIG or remote.is_url(source.path):
        return None
    try:
        with codecs.open_source(source) as raw:
            codec = codecs.sniff(raw.read(MAGIC))
    except (AnabranchError, OSError):  # the part that looks at the file reports it
        return None
    return Packed(source, codec, source.stamp) if codec else None


def _ranges(one: Packed, count: int, manner: Manner) -> list[range]:
    """Cut a source; none where it cannot be read, and is not to be kept up to there."""
    whole = [range(one.source.size * 8)]
    if one.source.size <= manner.whole or remote.is_url(one.source.path) or not one.codec:
        return whole
    try:
        return cut(Path(one.source.path), one.codec, count)
    except (AnabranchError, OSError):  # the part that reads the file reports it
        return whole if manner.keeps else []


def _is_sure(one: Packed, bits: range) -> bool:
    """Whether a range certainly holds whole streams, so that what does not is damaged."""
    return one.codec == "bz2" or len(bits) == one.source.size * 8


def _slice_parts(slices: Sequence[SourceSlice], threads: int) -> tuple[SlicePart, ...]:
    """Group neighbours into parts that keep so many threads busy."""
    costs = [one.seconds for one in slices]
    batches = contiguous(costs, part_count(sum(costs), threads))
    return tuple(_part(index, slices[batch.start : batch.stop]) for index, batch in enumerate(batches))


def _part(index: int, slices: Sequence[SourceSlice]) -> SlicePart:
    label = first_to_last(one.source.label for one in slices)
    key = fingerprint(*(Path(one.target).name for one in slices))
    return SlicePart(index, f"{label}, slice {index + 1}", sum(one.seconds for one in slices), key, tuple(slices))


def _unpacked(source: Source, cut_ones: Sequence[SourceSlice], outcomes: Sequence[Outcome]) -> Source:
    found = spans(cut_ones, outcomes) if cut_ones else None
    found = None if found and _too_large(source, found) else found  # so that reading it tells the error
    return replace(source, spans=tuple(found), packed=cut_ones[0].codec) if found else source
