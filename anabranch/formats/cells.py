"""The records of a chunk before anything is inferred: each cell as its text, and the position of each record."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


class Fault(NamedTuple):
    """Why a record cannot be read; `column` is the file's own, empty where the whole record is at fault."""

    record: int  # from 0 within the chunk
    code: str  # field_count, bad_encoding, unterminated_quote, stray_quote, bad_json or not_an_object
    message: str
    column: str = ""


class Place(NamedTuple):
    """The position of a record."""

    line: int | None  # from 0 within the chunk; None where the format has no lines
    byte: int | None  # of the decompressed text, from 0; None where that is not known
    raw: bytes  # the record as it is written, in UTF-8, without its line end


class Field(NamedTuple):
    """A column to take from records: its name in the result, and the keys that lead to its value."""

    name: str
    path: tuple[str, ...]
    as_json: bool = False  # a string keeps its quotes


@dataclass(frozen=True, slots=True)
class Cells:
    """The records of a chunk. Those in `faults` are not in the table; nulls are what the file has no value for."""

    records: int  # all of them, the faulty ones included
    table: pa.Table  # columns of text
    numbers: Numbers  # of each row of the table: its record, from 0 within the chunk
    faults: Sequence[Fault]
    locate: Callable[[Sequence[int]], list[Place]]  # of records in ascending order
    lines: int = 0  # that the chunk spans
    native: Mapping[str, str] = field(default_factory=dict)  # columns whose text was written by us, not by the file
    unknown: frozenset[str] = frozenset()  # keys of records that no field asks for

    def between(self, start: int, stop: int) -> "Cells":
        """Return the records of this range, counted from 0 again; `lines` stays that of the whole chunk."""
        first, last = np.searchsorted(self.numbers, [start, stop]).tolist()
        return replace(
            self,
            records=stop - start,
            table=self.table.slice(first, last - first),
            numbers=self.numbers[first:last] - start,
            faults=[
                fault._replace(record=fault.record - start) for fault in self.faults if start <= fault.record < stop
            ],
            locate=lambda records: self.locate([record + start for record in records]),
        )


def sound(table: pa.Table, locate: Callable[[Sequence[int]], list[Place]], lines: int) -> Cells:
    """Return the cells of a chunk without faults."""
    return Cells(table.num_rows, table, np.arange(table.num_rows), (), locate, lines)


def lines_before(text: bytes, starts: Sequence[int], newline: bytes = b"\n") -> list[int]:
    """Count the line ends before each place; the places ascend."""
    counts, before, at = [], 0, 0
    for start in starts:
        before += text.count(newline, at, start)
        at = start
        counts.append(before)
    return counts
