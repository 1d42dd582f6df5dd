"""The least type that holds the cells of a column of text, and the cells as values of a type: exactly, or not at all.

An empty cell is null; only in a column of text, one in quotes is ''. How strictly the others are read is a manner:

strict  only what says the same when it is written again: 00123, +5 and -0 are text, and so are dates among timestamps
wide    the same, but a date among timestamps is its midnight
given   the user named the type: all that can be cast without loss
"""

import re
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import types

from anabranch.files.casting import cast_given, cast_strictly, layout
from anabranch.files.model import MisfitError

Manner = Literal["strict", "wide", "given"]

INTEGER, LONG, HUGE, DOUBLE = pa.int64(), pa.decimal128(38, 0), pa.decimal256(76, 0), pa.float64()
DATE, TIME = pa.date32(), pa.time64("us")
STAMP, FINE_STAMP = pa.timestamp("us"), pa.timestamp("ns")
ZONED, FINE_ZONED = pa.timestamp("us", "UTC"), pa.timestamp("ns", "UTC")

_DAY, _CLOCK = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?"
_KINDS = {  # what cells look like that may be of these types; whether they are, a cast decides
    r"-?[1-9]\d{0,75}|0": (INTEGER, LONG, HUGE, DOUBLE),
    r"-?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?": (DOUBLE,),
    r"true|True|TRUE|false|False|FALSE": (pa.bool_(),),
    _DAY: (DATE,),
    rf"{_DAY}[T ]{_CLOCK}": (STAMP, FINE_STAMP),
    rf"{_DAY}[T ]{_CLOCK}(?:Z|[-+]\d\d(?::?\d\d)?)": (ZONED, FINE_ZONED),
    _CLOCK: (TIME,),
}
_PATTERNS = {re.compile(look, re.ASCII): kinds for look, kinds in _KINDS.items()}
_NATURAL = {  # nobody calls it a conflict when a column grows from the one type into these
    INTEGER: (INTEGER, LONG, HUGE, DOUBLE),
    LONG: (LONG, HUGE),
    STAMP: (STAMP, FINE_STAMP),
    ZONED: (ZONED, FINE_ZONED),
}
_WIDE = {DATE: (DATE, STAMP, FINE_STAMP)}


def natural(kind: pa.DataType) -> tuple[pa.DataType, ...]:
    """Give the types into which a column grows without a conflict, the type itself first."""
    return _NATURAL.get(kind, (kind,))


def widened(kind: pa.DataType) -> tuple[pa.DataType, ...]:
    """Give the types into which a column grows that may change what its values look like, but text."""
    return _WIDE.get(kind, natural(kind))


def least(cells: pa.StringArray, manner: Manner = "strict") -> pa.DataType:
    """Give the least type that holds all cells: null where all are, string where they are of several kinds."""
    filled = cells.filter(pc.greater(pc.binary_length(cells), 0))
    if not len(filled):
        return pa.null() if cells.null_count == len(cells) else pa.string()
    return next((kind for kind in _kinds(filled[0].as_py(), manner) if _holds(filled, kind, manner)), pa.string())


def _kinds(cell: str, manner: Manner) -> Iterator[pa.DataType]:
    for pattern, kinds in _PATTERNS.items():
        if pattern.fullmatch(cell):
            yield from kinds
            if manner == "wide":
                yield from _WIDE.get(kinds[0], ())


def cast(cells: pa.StringArray, kind: pa.DataType, manner: Manner) -> pa.Array:
    """Give the cells as values of the type; MisfitError if one of them cannot be held exactly."""
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


def fits(cells: pa.StringArray, kind: pa.DataType, manner: Manner) -> NDArray[np.bool_]:
    """Say of each cell whether the type can hold it."""
    if _holds(cells, kind, manner):
        return np.ones(len(cells), np.bool_)
    fit = _alike(cells, kind, manner)
    cells = pc.if_else(pa.array(fit), cells, None)
    todo = [(0, len(cells))]
    while todo:  # halve what does not fit
        start, stop = todo.pop()
        middle = (start + stop) // 2
        if _holds(cells[start:stop], kind, manner):
            continue
        if middle == start:
            fit[start] = False
        else:
            todo += [(start, middle), (middle, stop)]
    return fit


def _holds(cells: pa.StringArray, kind: pa.DataType, manner: Manner) -> bool:
    try:
        cast(cells, kind, manner)
    except MisfitError:
        return False
    return True


def _alike(cells: pa.StringArray, kind: pa.DataType, manner: Manner) -> NDArray[np.bool_]:
    """Leave out the cells that do not even look like values of the type, so that few are left to halve for."""
    looks = [look for look, kinds in _KINDS.items() if kind in kinds or (manner == "wide" and _grows(kinds[0], kind))]
    if manner == "given":
        looks = [r"(?i)true|false|0|1"] if types.is_boolean(kind) else [r"(?s)\s*[-+.\dniNI].*"]
    if not looks or _is_text(kind):
        return np.ones(len(cells), np.bool_)
    alike = pc.match_substring_regex(cells, f"^(?:{'|'.join(looks)}|)$")
    return np.array(pc.fill_null(alike, True), np.bool_)


def _grows(kind: pa.DataType, into: pa.DataType) -> bool:
    return into in _WIDE.get(kind, ())


def _is_text(kind: pa.DataType) -> bool:
    return not types.is_primitive(kind) and not types.is_decimal(kind)


def _without_empty(cells: pa.StringArray) -> pa.StringArray:
    offsets, _ = layout(cells) if len(cells) else (np.empty(0), None)
    if np.count_nonzero(offsets[1:] == offsets[:-1]) == cells.null_count:
        return cells
    return pc.if_else(pc.equal(pc.binary_length(cells), 0), None, cells)
