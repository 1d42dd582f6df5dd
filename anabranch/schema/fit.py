"""What does not fit a schema: rows, with their place and the reason."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

RAW = 2000  # characters of a bad row that are kept


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that does not fit; `row` counts from 0 within what was read, blank lines left out."""

    row: int
    offset: int  # of its first byte, within the block
    size: int  # bytes of the row, its end of line included
    raw: str  # the row as written in the file, at most RAW characters
    reason: str
    column: str = ""
    value: str = ""
    expected: str = ""  # type of the column
    found: str = ""  # type of the value


@dataclass(frozen=True, slots=True)
class Examined:
    """What a block holds: its rows, the types that they need, and the rows that fit none of the allowed types."""

    rows: int  # the bad ones included
    schema: pa.Schema  # like the one that was asked for, columns as wide as this block needs them
    bad: Sequence[BadRow] = ()


class MisfitError(Exception):
    """Some row of a block does not fit the schema: examine it."""
