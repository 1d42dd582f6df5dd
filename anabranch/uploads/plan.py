"""Plan an upload: which files are sent in parts, which in groups, and what of a file is sent in which part."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from anabranch.core.parts import Outcome, Plan, WorkFile, first_to_last
from anabranch.core.storage import fingerprint
from anabranch.uploads.context import Context
from anabranch.uploads.options import UploadOptions
from anabranch.uploads.parts import is_small, part_size, ranges
from anabranch.uploads.pieces import Piece, SendPart
from anabranch.uploads.select import Chosen
from anabranch.uploads.stores.base import Limits, StoredPart, Upload

GROUP = 25  # small files of one task: a task for each is slower, by half on a quick link
FEW = 8  # threads, for fewer of which no more parts are put together
MOST_OF_A_TASK = 8  # parts of a big file: a task costs about 50 ms of the two cores that this was measured on
_RATE, _REQUEST_SECONDS = 60e6, 0.02  # bytes a second of one connection, and what each request costs


@dataclass(frozen=True, slots=True)
class Unit:
    """What takes one place among the uploads that run at the same time: a big file, or some small ones."""

    files: tuple[Chosen, ...]
    part_size: int = 0  # of a big file; 0 for small ones

    @property
    def is_big(self) -> bool:
        """Whether it is one file, sent in parts."""
        return bool(self.part_size)

    @property
    def size(self) -> int:
        """All its bytes."""
        return sum(file.stamp.size for file in self.files)


@dataclass(frozen=True, slots=True)
class Opened:
    """A big file whose upload was begun, or found: what the store holds of it is by number."""

    file: Chosen
    upload: Upload
    part_size: int
    held: dict[int, StoredPart]


@dataclass(frozen=True, slots=True)
class SendPlan(Plan[SendPart]):
    """The parts of a preview; or none at first, and those of each file once it may begin."""

    about: tuple[tuple[str, str], ...] = ()
    grow: Callable[[Outcome | None], Sequence[SendPart] | None] = lambda _: None

    def further(self, ended: Outcome | None) -> Sequence[SendPart] | None:
        """Return the parts of files that may begin now."""
        return self.grow(ended)

    def notes(self) -> Iterator[tuple[str, str]]:
        """Yield what is known of each file besides its size."""
        yield from self.about


def units(files: Sequence[Chosen], options: UploadOptions, limits: Limits, *, in_order: bool = False) -> list[Unit]:
    """Group the files; the biggest come first. UsageError "part-size" where the store would refuse the parts.

    Of a store that takes bytes in order a big file is a group of its own.
    """
    sizes = {file: part_size(file.stamp.size, limits, options.part_bytes) for file in files}
    small = [file for file in files if is_small(file.stamp.size, sizes[file])]
    big = [
        Unit((file,), 0 if in_order else sizes[file]) for file in files if not is_small(file.stamp.size, sizes[file])
    ]
    groups = [Unit(tuple(small[first : first + GROUP])) for first in range(0, len(small), GROUP)]
    return [*sorted(big, key=lambda unit: -unit.size), *groups]


def parts_of(context: Context, whats: Sequence[Opened | Unit], first: int = 0) -> tuple[SendPart, ...]:
    """Cut opened files into parts, and make one part of each unit of small ones; number them from `first` on."""
    options, run = context.options, context.run
    in_flight, most = options.in_flight
    sets = [pieces for what in whats for pieces in _sets(what, most)]
    return tuple(
        SendPart(
            index=index,
            label=_label(pieces),
            cost=sum(_REQUEST_SECONDS + piece.length / _RATE for piece in pieces),
            # of this run only: the store is asked what it holds, and no record of ours would know better
            key=fingerprint(run, [(piece.key, piece.number, piece.upload) for piece in pieces]),
            run=run,
            destination=context.selection.destination,
            if_exists=options.if_exists,
            in_flight=in_flight,
            most_in_flight=most,
            max_memory_percent=options.max_memory_percent,
            chunk=part_size(0, context.store.limits, options.part_bytes),
            work_dir=str(context.job.work_dir),
            pieces=tuple(pieces),
        )
        for index, pieces in enumerate(sets, first)
    )


def reads(files: Sequence[Chosen]) -> tuple[WorkFile, ...]:
    """Note the files as they were when they were planned."""
    return tuple(WorkFile(file.path, file.stamp.size, file.stamp.mtime_ns) for file in files)


def _sets(what: Opened | Unit, in_flight: int) -> list[list[Piece]]:
    if isinstance(what, Unit):
        return [[_whole(file) for file in what.files]]
    pieces = list(_pieces(what))
    ends = list(accumulate(tasks(len(pieces), in_flight), initial=0))
    return [pieces[first:last] for first, last in pairwise(ends)]


def tasks(parts: int, in_flight: int) -> Iterator[int]:
    """Yield how many parts each task sends: several while many are left, one at the end, so that all end together."""
    while parts > 0:
        taken = min(max(parts // (2 * max(in_flight, FEW)), 1), MOST_OF_A_TASK)
        yield taken
        parts -= taken


def _pieces(opened: Opened) -> Iterator[Piece]:
    file = opened.file
    for number, offset, length in ranges(file.stamp.size, opened.part_size):
        held = opened.held.get(number)
        yield Piece(file.path, file.label, file.key, file.stamp, number, offset, length, opened.upload, held)


def _whole(file: Chosen) -> Piece:
    return Piece(file.path, file.label, file.key, file.stamp, length=file.stamp.size)


def _label(pieces: Sequence[Piece]) -> str:
    first = pieces[0]
    if first.upload:
        last = pieces[-1].number
        return f"part {first.number}{f' to {last}' if last > first.number else ''} of {first.label}"
    return first_to_last(piece.label for piece in pieces)
