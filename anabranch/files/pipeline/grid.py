"""Cut the rows of a block into chunks, at places that depend on nothing but their number."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from anabranch.files.pipeline.decision import PROBE

FIRST = 10  # records of the first chunk: enough to tell whether the function takes a microsecond or a second

S = TypeVar("S", bound=Any)  # a list, or a table


def bounds(rows: int, chunk_size: int, *, batch: bool) -> list[tuple[int, int]]:
    """Give the first row of each chunk, and the one behind its last.

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
    """Cut rows that come in pieces, each a list or a table, at other places; what nobody wants is passed over."""
    coming, held, end = iter(pieces), list[tuple[int, S]](), 0
    for start, stop in wanted:
        while end < stop and (piece := next(coming, None)) is not None:
            held.append((end, piece))
            end += len(piece)
        yield [piece[max(start - at, 0) : stop - at] for at, piece in held if at < stop and at + len(piece) > start]
        held = [(at, piece) for at, piece in held if at + len(piece) > stop]
