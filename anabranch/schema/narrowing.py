"""The least type that holds the cells of a column of text, and the cells as values of a type: exactly, or not at all.

An empty cell is null; only in a column of text, one in quotes is ''. How strictly the others are read is a manner:

strict  only what says the same when it is written again: 00123, +5 and -0 are text, and so are dates among timestamps
wide    the same, but a date among timestamps is its midnight
given   the user named the type: all that can be cast without loss
"""

import re
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import types

from anabranch.schema.casting import cast_given, cast_strictly, layout
from anabranch.schema.fit import MisfitError
from anabranch.schema.rules import Manner

INTEGER, LONG, HUGE, DOUBLE = pa.int64(), pa.decimal128(38, 0), pa.decimal256(76, 0), pa.float64()
DATE, TIME = pa.date32(), pa.time64("us")
STAMP, FINE_STAMP = pa.timestamp("us"), pa.timestamp("ns")
ZONED, FINE_ZONED = pa.timestamp("us", "UTC"), pa.timestamp("ns", "UTC")


def _up_to(most: int) -> str:
    """Match the integers that have as many digits and are not greater."""
    digits = str(most)
    lower = (
        rf"{digits[:place]}[{int(not place)}-{int(digit) - 1}]\d{{{len(digits) - place - 1}}}"
        for place, digit in enumerate(digits)
        if int(digit) > int(not place)
    )
    return "|".join([*lower, digits])


_DAY = r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,%d})?)?"
_ZONE = r"(?:Z|[-+]\d\d(?::?\d\d)?)"
_LOOKS = {  # what cells of these types look like, least types first; whether they are, a cast decides
    INTEGER: rf"0|-?(?:[1-9]\d{{0,17}}|{_up_to(2**63 - 1)})|-{2**63}",
    LONG: r"0|-?[1-9]\d{0,37}",
    HUGE: r"0|-?[1-9]\d{0,75}",
    DOUBLE: r"-?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?",
    pa.bool_(): r"true|True|TRUE|false|False|FALSE",
    DATE: _DAY,
    STAMP: rf"{_DAY}[T ]{_CLOCK % 6}",
    FINE_STAMP: rf"{_DAY}[T ]{_CLOCK % 9}",
    ZONED: rf"{_DAY}[T ]{_CLOCK % 6}{_ZONE}",
    FINE_ZONED: rf"{_DAY}[T ]{_CLOCK % 9}{_ZONE}",
    TIME: _CLOCK % 6,
}
_PATTERNS = {kind: re.compile(look, re.ASCII) for kind, look in _LOOKS.items()}
_GIVEN: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (  # all that may be cast to types that the user names
    (types.is_boolean, r"(?i)\s*(?:true|false|0|1)\s*"),
    (types.is_integer, r"\s*-?(?:\d+|0[xX][\da-fA-F]+)\s*"),
    (types.is_date, r"\s*\d{4}-\d\d-\d\d\s*"),
    (types.is_timestamp, r"\s*\d{4}-\d\d-\d\d.*"),
    (types.is_time, r"\s*\d\d:.*"),
    (lambda _: True, r"\s*[-+.\dniNI].*"),
)
_NATURAL = {  # a column that grows from one type into these is not a conflict
    INTEGER: (INTEGER, LONG, HUGE, DOUBLE),
    LONG: (LONG, HUGE),
    STAMP: (STAMP, FINE_STAMP),
    ZONED: (ZONED, FINE_ZONED),
}
_WIDE = {DATE: (DATE, STAMP, FINE_STAMP)}


def natural(kind: pa.DataType) -> tuple[pa.DataType, ...]:
    """Return the types into which a column grows without a conflict, the type itself first."""
    return _NATURAL.get(kind, (kind,))


def widened(kind: pa.DataType) -> tuple[pa.DataType, ...]:
    """Return the types, except text, into which a column may grow although its values then look different."""
    return _WIDE.get(kind, natural(kind))


def least(cells: pa.StringArray, manner: Manner = "strict") -> pa.DataType:
    """Return the narrowest type that holds all cells: null if all are, string if they are of several kinds."""
    filled = cells.filter(pc.greater(pc.binary_length(cells), 0))
    if not len(filled):
        return pa.null() if cells.null_count == len(cells) else pa.string()
    return next((kind for kind in _kinds(filled[0].as_py(), manner) if holds(filled, kind, manner)), pa.string())


def kind_of(cell: str) -> pa.DataType:
    """Return the narrowest type of one cell."""
    return next((kind for kind in _kinds(cell, "strict") if holds(pa.array([cell]), kind, "strict")), pa.string())


def _kinds(cell: str, manner: Manner) -> Iterator[pa.DataType]:
    """Return the types that a column with this cell may have."""
    for kind, pattern in _PATTERNS.items():
        if pattern.fullmatch(cell):
            yield kind
            if manner == "wide":
                yield from _WIDE.get(kind, ())


def cast(cells: pa.StringArray, kind: pa.DataType, manner: Manner) -> pa.Array:
    """Return the cells as values of the type; MisfitError if one of them cannot be held exactly."""
    if kind == pa.string():
        return cells
    if types.is_null(kind) and cells.null_count < len(cells):
        raise MisfitError
    cells = _without_empty(cells)
    if cells.null_count == len(cells):
        return pa.nulls(len(cells), kind)
    try:
        return cast_given(cells, kind) if manner == "given" else cast_strictly(cells, kind, manner == "wide")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise MisfitError from error


def holds(cells: pa.StringArray, kind: pa.DataType, manner: Manner) -> bool:
    """Whether the type can hold all cells."""
    try:
        cast(cells, kind, manner)
    except MisfitError:
        return False
    return True


def fits(cells: pa.StringArray, kind: pa.DataType, manner: Manner) -> NDArray[np.bool_]:
    """Return, for each cell, whether the type can hold it."""
    if holds(cells, kind, manner):
        return np.ones(len(cells), np.bool_)
    fit = _alike(cells, kind, manner)
    cells = pc.if_else(pa.array(fit), cells, "")  # a null put there would keep the cell's bytes
    fit[list(places(len(cells), lambda start, stop: holds(cells[start:stop], kind, manner)))] = False
    return fit


def places(count: int, hold: Callable[[int, int], bool]) -> Iterator[int]:
    """Find, by halving, the places that make `hold` say no of a range that they are in."""
    todo = [(0, count)]
    while todo:
        start, stop = todo.pop()
        if start == stop or hold(start, stop):
            continue
        middle = (start + stop) // 2
        if middle == start:
            yield start
        else:
            todo += [(start, middle), (middle, stop)]


def _alike(cells: pa.StringArray, kind: pa.DataType, manner: Manner) -> NDArray[np.bool_]:
    """Leave out the cells that do not even look like values of the type, so that few are left to halve for."""
    if manner == "given":
        looks = [next(look for check, look in _GIVEN if check(kind))]
    else:
        growing = [kind, *(narrow for narrow, wide in _WIDE.items() if manner == "wide" and kind in wide)]
        looks = [_LOOKS[narrow] for narrow in growing if narrow in _LOOKS]
    if not looks or _is_text(kind):
        return np.ones(len(cells), np.bool_)
    alike = pc.match_substring_regex(cells, f"(?s)^(?:{'|'.join(looks)}|)$")
    return np.array(pc.fill_null(alike, True), np.bool_)


def _is_text(kind: pa.DataType) -> bool:
    return not types.is_primitive(kind) and not types.is_decimal(kind)


def _without_empty(cells: pa.StringArray) -> pa.StringArray:
    offsets, _ = layout(cells) if len(cells) else (np.empty(0), None)
    if np.count_nonzero(offsets[1:] == offsets[:-1]) == cells.null_count:
        return cells
    return pc.if_else(pc.equal(pc.binary_length(cells), 0), None, cells)
