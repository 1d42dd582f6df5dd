"""Whether the first row of a table names its columns, or is a row of data."""

import re
from collections.abc import Sequence

from pyarrow import types

from anabranch.schema import narrowing

_YEAR = re.compile(r"1[5-9]\d\d|20\d\d|2100")
_SHOWN = 80  # characters of a cell


def header_warnings(cells: Sequence[str]) -> tuple[str, ...]:
    """Return a warning where the first row looks like data: with a fraction, a date or a time, or mostly integers.

    Years and a row of consecutive integers are names that tables have.
    """
    given = [cell for cell in cells if cell]
    kinds = [narrowing.kind_of(cell) for cell in given]
    integers = [cell for cell, kind in zip(given, kinds, strict=True) if types.is_integer(kind)]
    others = [
        cell
        for cell, kind in zip(given, kinds, strict=True)
        if types.is_floating(kind) or types.is_decimal(kind) or types.is_temporal(kind)
    ]
    data = others or [cell for cell in integers if not _YEAR.fullmatch(cell)]
    if not others and (2 * len(data) < len(given) or (len(integers) == len(given) and _consecutive(integers))):
        return ()
    return tuple(
        f"the first row, with {cell[:_SHOWN]!r}, looks like data and named the columns; --no-header reads it as data"
        for cell in data[:1]
    )


def _consecutive(integers: Sequence[str]) -> bool:
    first = int(integers[0]) if integers else 0
    return len(integers) > 1 and [int(cell) for cell in integers] == list(range(first, first + len(integers)))
