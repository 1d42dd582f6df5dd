"""What a part of a pipeline works on, and what it brings back; how the rows of a block are cut into chunks."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa

from anabranch.core.parts import WorkFile
from anabranch.files.pipeline.decision import PROBE
from anabranch.files.pipeline.step import Failure
from anabranch.files.plan import ConvertPart, Piece, Segment

FIRST = 10  # records of the first chunk: enough to see whether the function takes a microsecond or a second

S = TypeVar("S", bound=Any)  # a list, or a table


@dataclass(frozen=True, slots=True)
class Span(Piece):
    """Consecutive units of a file, or some of the equal shares of the chunks of one unit."""

    share: int = 0  # the first one
    taken: int = 1  # from that one on
    shares: int = 1
    skip: int = 0  # chunks at the start of the unit that are done already
    limit: int = 0  # chunks at most; 0 for all


@dataclass(frozen=True, slots=True)
class ApplyPart(ConvertPart):
    """Spans in the order of the join."""

    pieces: tuple[Span, ...]
    threads: int = 1  # that call the function at the same time, within the part
    alone: bool = False  # whether no other part of this process may call it meanwhile


@dataclass(frozen=True, slots=True)
class Applied(Segment):
    """What came of a span; `rows` are the records that were read, of which `bad` were none."""

    piece: Span
    results: int = 0
    dropped: int = 0
    failed: int = 0
    schemas: tuple[pa.Schema, ...] = ()  # of its results, in order, each once
    state: WorkFile | None = None
    first: str = ""  # why the function failed for the first record that is among `failed`
    failure: Failure | None = None  # for which the span was given up
    chunks: int = 0
    cpu: float = 0.0  # seconds in the function
    wall: float = 0.0
    density: float = 0.0  # rows per byte of text


def bounds(rows: int, chunk_size: int, *, batch: bool) -> list[tuple[int, int]]:
    """Return the first row of each chunk, and the one after its last.

    Where records come one by one, two small chunks begin a block, so that they can be measured.
    """
    small = [] if batch else [end for end in (FIRST, PROBE) if end < min(rows, chunk_size)]
    begin = small[-1] if small else 0
    ends = [*small, *range(begin + chunk_size, rows, chunk_size), rows]
    return list(zip([0, *ends], ends, strict=False)) if rows else []


def shares_of(chunks: Sequence[S], share: int, taken: int, shares: int, skip: int) -> Sequence[S]:
    """Take some of so many equal shares of the chunks, of which the first ones are done already."""
    left = chunks[skip:]
    return left[len(left) * share // shares : len(left) * (share + taken) // shares]


def cut(pieces: Iterable[S], wanted: Iterable[tuple[int, int]]) -> Iterator[list[S]]:
    """Cut rows that come in pieces, each a list or a table, at other places; unwanted rows are skipped."""
    coming, held, end = iter(pieces), list[tuple[int, S]](), 0
    for start, stop in wanted:
        while end < stop and (piece := next(coming, None)) is not None:
            held.append((end, piece))
            end += len(piece)
        yield [piece[max(start - at, 0) : stop - at] for at, piece in held if at < stop and at + len(piece) > start]
        held = [(at, piece) for at, piece in held if at + len(piece) > stop]
