"""Slices of compressed files, which are unpacked into files of their own, many at a time."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from anabranch.core.batches import contiguous, part_count
from anabranch.core.errors import Stopped
from anabranch.core.parts import Part, first_to_last
from anabranch.core.storage import fingerprint, published


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
