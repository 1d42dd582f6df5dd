"""Cells of text as values of a type, whole columns at a time; `narrowing` says when which of these casts is due.

All raise MisfitError or pyarrow's ArrowInvalid where a cell cannot be held exactly. No cell is empty, but null.
"""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import types

from anabranch.schema.fit import MisfitError
from anabranch.schema.lattice import MOST_DIGITS

_TRUTHS = ("true", "True", "TRUE", "false", "False", "FALSE")  # no array: pyarrow imports pandas at its first one
_FIRST_YEAR, _LAST_YEAR = np.datetime64("0001-01-01T00:00"), np.datetime64("9999-12-31T23:59:59.999999")
_COLON = 13  # its place in 2024-01-31T12:30
_DATE = 10  # characters
_MANTISSA = {pa.float64(): 53, pa.float32(): 24, pa.float16(): 11}  # bits: up to 2^bits, every integer is exact


def cast_strictly(cells: pa.StringArray, kind: pa.DataType, dates: bool) -> pa.Array:
    """Cast cells that are written as we would write them; `dates` may occur among timestamps."""
    if types.is_integer(kind):
        return _integers(cells).cast(kind)
    if kind == pa.float64():
        return _doubles(cells)
    if types.is_boolean(kind):
        return _truths(cells)
    if types.is_decimal(kind) and not kind.scale:
        _require(not pc.any(pc.invert(pc.match_substring_regex(cells, r"^(?:-?[1-9]\d*|0)$"))).as_py())
    if types.is_timestamp(kind):
        _require_clock(cells, dates)
    return _cast(cells, kind)


def cast_given(cells: pa.StringArray, kind: pa.DataType) -> pa.Array:
    """Cast what can be cast without loss."""
    try:
        return _cast(cells, kind)
    except pa.ArrowInvalid:
        return _cast(pc.ascii_trim_whitespace(cells), kind)


def _cast(cells: pa.StringArray, kind: pa.DataType) -> pa.Array:
    if types.is_decimal(kind):  # decimal128 overflows in silence
        values = cells.cast(pa.decimal256(MOST_DIGITS, kind.scale)).cast(kind)
        _require_decimals(cells, values)
        return values
    if types.is_time(kind):
        return _times(cells, kind)
    values = cells.cast(kind)
    if kind in _MANTISSA:
        numbers = pc.fill_null(values, 0).to_numpy().astype(np.float64)
        _require_exact(cells, numbers, 2.0 ** _MANTISSA[kind])
    elif types.is_date(kind) or types.is_timestamp(kind):
        _require_years(values)
    return values


def _require(fits: bool | np.bool_) -> None:
    if not fits:
        raise MisfitError


def _integers(cells: pa.StringArray) -> pa.Array:
    """Compare lengths: where a cast drops zeros, a sign or an 0x, the numbers are shorter than what was written."""
    values = cells.cast(pa.int64())
    offsets, text = layout(cells)
    written = text[offsets[0] : offsets[-1]]
    _require(written.max() <= ord("9") and written.size == _digits(values.drop_null().to_numpy()))
    return values


def _digits(numbers: NDArray[np.int64]) -> int:
    """Count the characters of all numbers, written in decimal."""
    least, most = int(numbers.min()), int(numbers.max())
    count = numbers.size + (np.count_nonzero(numbers < 0) if least < 0 else 0)
    power = 10
    while power <= max(most, -least):
        count += np.count_nonzero(numbers >= power) if power <= most else 0
        count += np.count_nonzero(numbers <= -power) if least <= -power else 0
        power *= 10
    return int(count)


def _doubles(cells: pa.StringArray) -> pa.Array:
    values = cells.cast(pa.float64())
    numbers = pc.fill_null(values, 0).to_numpy()
    offsets, text = layout(cells)
    begins, ends = offsets[:-1].astype(np.intp), offsets[1:]
    if cells.null_count:
        begins, ends = begins[begins < ends], ends[begins < ends]
    signs = text.take(begins)
    if (negative := signs == ord("-")).any():
        _require(not (np.signbit(numbers) & (numbers == 0) & (np.diff(offsets) == len("-0"))).any())
        begins = begins + negative
    zeros = np.flatnonzero(text.take(begins) == ord("0"))
    zeros = zeros[begins[zeros] + 1 < ends[zeros]]
    _require(not (_is_digit(text[begins[zeros] + 1]).any() or (signs == ord("+")).any()))
    _require(np.isfinite(numbers).all())
    _require_exact(cells, numbers, 2.0 ** _MANTISSA[values.type])
    return values


def _is_digit(text: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return (text >= ord("0")) & (text <= ord("9"))


def _require_exact(cells: pa.StringArray, numbers: NDArray[np.float64], limit: float) -> None:
    """Refuse integers that the numbers are not; what is written with a point or an exponent need not be exact."""
    if not numbers.size or max(numbers.max(), -numbers.min()) < limit:
        return
    big = np.flatnonzero(np.abs(numbers) >= limit)
    for cell, number in zip(cells.take(pa.array(big)).to_pylist(), numbers[big].tolist(), strict=True):
        if cell.lstrip("+-").isdecimal():
            _require(np.isfinite(number) and int(number) == int(cell))
        else:
            _require(np.isfinite(number) or cell.lstrip("+-").isalpha())  # 1e999 is not inf


def _require_decimals(cells: pa.StringArray, values: pa.Array) -> None:
    """Refuse what pyarrow lets overflow, or rounds to 0: more digits than fit before the point, and exponents."""
    doubtful = pc.match_substring_regex(cells, f"[eE]|.{{{MOST_DIGITS - values.type.scale}}}")
    pairs = zip(cells.filter(doubtful).to_pylist(), values.filter(doubtful).to_pylist(), strict=True)
    _require(all(Decimal(cell) == value for cell, value in pairs))


def _truths(cells: pa.StringArray) -> pa.Array:
    """Cast true, True and TRUE, no 1 and no tRuE."""
    values = cells.cast(pa.bool_())
    offsets, text = layout(cells)
    size = len("false") * (len(cells) - cells.null_count) - values.true_count
    _require(offsets[-1] - offsets[0] == size)  # else there is a 0 or a 1
    if (text[offsets[0] : offsets[-1]] < ord("a")).any():
        _require(pc.index_in(cells, pa.array(_TRUTHS)).null_count == cells.null_count)
    return values


def _require_clock(cells: pa.StringArray, dates: bool) -> None:
    """Refuse mere hours, which only pyarrow accepts as timestamps, and dates if required."""
    offsets, text = layout(cells)
    sizes = np.diff(offsets)
    begins = offsets[:-1].astype(np.intp)
    if dates or cells.null_count:
        stamps = sizes > (_DATE if dates else 0)
        sizes, begins = sizes[stamps], begins[stamps]
    if begins.size:
        _require(sizes.min() > _COLON and (text.take(begins + _COLON) == ord(":")).all())


def _require_years(values: pa.Array) -> None:
    """Refuse years that Python, and so most readers of our output, cannot represent."""
    bounds = pc.min_max(values.view(pa.int32() if pa.types.is_date32(values.type) else pa.int64()))
    if bounds["min"].as_py() is None:
        return
    unit = "D" if types.is_date32(values.type) else "ms" if types.is_date64(values.type) else values.type.unit
    if unit == "ns":  # holds fewer years
        return
    _require(_FIRST_YEAR.astype(f"M8[{unit}]").astype(int) <= bounds["min"].as_py())
    _require(bounds["max"].as_py() <= _LAST_YEAR.astype(f"M8[{unit}]").astype(int))


def _times(cells: pa.StringArray, kind: pa.DataType) -> pa.Array:
    unit = "ns" if kind == pa.time64("ns") else "us"
    _require_clock(stamps := pc.binary_join_element_wise("1970-01-01T", cells, ""), False)
    return stamps.cast(pa.timestamp(unit)).cast(pa.time64(unit)).cast(kind)


def layout(cells: pa.StringArray) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Return the start of each cell, with the end of the last, and the text of all; nulls are 0 bytes long."""
    _, offsets, text = cells.buffers()
    begin = cells.offset
    return np.frombuffer(offsets, np.int32)[begin : begin + len(cells) + 1], np.frombuffer(text, np.uint8)
