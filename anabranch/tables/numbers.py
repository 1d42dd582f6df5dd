"""Cells as numbers: the quick way takes whole columns, and only those that Arrow refuses are looked at by pattern."""

import re
from contextlib import suppress
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from anabranch.tables.notation import Coerced, Mask, Masked, Notation, as_mask, filled, holds, kept, matches, trimmed
from anabranch.tables.target import ColumnType

_DECIMAL = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?"
_BLANKS = " \u00a0\u202f\u2009"  # between thousands
_SHORT = 100  # characters
_MOST_WHOLE, _MOST_FRACTION = 131_072, 16_383  # digits of a number of PostgreSQL
_MOST = 20  # digits that can still be a bigint
_DIGITS = 38  # of Arrow's decimal128


def as_integer(cells: pa.StringArray, kind: ColumnType, notation: Notation) -> Coerced:
    """Read whole numbers, also those with a fraction of zeros; without hexadecimal ones and exponents."""
    if notation.plain and not (holds(cells, b"x") or holds(cells, b"X")):  # which Arrow takes for hexadecimal
        with suppress(pa.ArrowInvalid):
            return Coerced(pc.cast(cells, kind.arrow), [])
    plain, odd = _plain(cells, notation)
    found = pc.extract_regex(plain, pattern=r"^(?P<sign>[+-]?)0*(?P<digits>\d+?)(?:\.0*)?$")
    fits = np.asarray(found.is_valid())
    digits = found.field("digits")
    short = fits & as_mask(pc.less_equal(pc.binary_length(digits), _MOST - 1))
    sign = pc.if_else(pc.equal(found.field("sign"), "-"), "-", "")
    number = pc.cast(kept(pc.binary_join_element_wise(sign, digits, ""), short), pa.decimal128(_DIGITS))
    low, high = -(2 ** (kind.arrow.bit_width - 1)), 2 ** (kind.arrow.bit_width - 1) - 1
    inside = short & as_mask(pc.and_(pc.greater_equal(number, Decimal(low)), pc.less_equal(number, Decimal(high))))
    values = pc.cast(pc.if_else(pa.array(inside), number, pa.scalar(None, number.type)), kind.arrow)
    bad = filled(cells) & (odd | ~fits)
    return Coerced(
        values,
        [
            Masked(bad, "bad_integer", "it is not a whole number"),
            Masked(fits & ~odd & ~inside, "out_of_range", f"{kind} holds {low} to {high}"),
        ],
    )


def as_decimal(cells: pa.StringArray, kind: ColumnType, notation: Notation) -> Coerced:
    """Read decimal numbers; none is rounded. What is wider than Arrow's decimals stays text, without an exponent."""
    exact = pa.types.is_decimal(kind.arrow)
    if notation.plain and exact:
        with suppress(pa.ArrowInvalid):
            return Coerced(pc.cast(cells, kind.arrow), [])
    plain, odd = _plain(cells, notation)
    fits = matches(plain, _DECIMAL)
    bad = Masked(filled(cells) & (odd | ~fits), "bad_decimal", "it is not a decimal number")
    if exact:
        with suppress(pa.ArrowInvalid):
            return Coerced(pc.cast(kept(plain, fits), kind.arrow), [bad])
    plain = _without_zeros(plain) if exact else plain
    simple = fits & matches(plain, _simple(kind)) & as_mask(pc.less(pc.binary_length(plain), _SHORT))
    lossy, wide = np.zeros(len(cells), np.bool_), np.zeros(len(cells), np.bool_)
    spelled: dict[int, str] = {}
    for row in np.flatnonzero(fits & ~simple).tolist():
        text, lossy[row], wide[row] = _spelled(plain[row].as_py(), kind)
        if not (lossy[row] or wide[row]):
            spelled[row] = text
    if spelled:
        mask = np.zeros(len(cells), np.bool_)
        mask[list(spelled)] = True
        plain = pc.replace_with_mask(
            plain, pa.array(mask), pa.array([spelled[row] for row in sorted(spelled)], pa.string())
        )
    left = kept(plain, fits & ~lossy & ~wide)
    values = pc.cast(left, kind.arrow) if exact else pc.replace_substring_regex(left, r"^\+", "")
    room = f"{kind} has {_whole(kind)} digits before the point"
    return Coerced(
        values,
        [
            bad,
            Masked(wide, "out_of_range", room),
            Masked(lossy, "precision_loss", f"{kind} keeps {kind.scale or 0} digits after the point"),
        ],
    )


def as_float(cells: pa.StringArray, kind: ColumnType, notation: Notation) -> Coerced:
    """Read binary floating point numbers; NaN and infinity are not taken, since not every database keeps them."""
    plain, odd = _plain(cells, notation) if not notation.plain else (trimmed(cells), np.zeros(len(cells), np.bool_))
    fits = matches(plain, _DECIMAL)
    wide = pc.cast(kept(plain, fits), pa.float64())
    values = wide if kind.arrow == pa.float64() else pc.cast(wide, kind.arrow)
    numbers = np.asarray(pc.fill_null(values, 0.0))
    vanished = fits & (numbers == 0) & matches(plain, r"[+-]?[0.]*[1-9].*")
    outside = np.isinf(numbers) | vanished
    return Coerced(
        pc.if_else(pa.array(outside), pa.scalar(None, values.type), values),
        [
            Masked(filled(cells) & (odd | ~fits), "bad_decimal", "it is not a number"),
            Masked(outside, "out_of_range", f"{kind} has no number so big or so near to zero"),
        ],
    )


def _plain(cells: pa.StringArray, notation: Notation) -> tuple[pa.StringArray, Mask]:
    """Write numbers as in SQL; the mask says which are not of the notation that was declared."""
    text = trimmed(cells)
    if notation.plain:
        return text, np.zeros(len(cells), np.bool_)
    point, group = re.escape(notation.decimal), _class(notation.thousands)
    grouped = f"\\d{{1,3}}(?:{group}\\d{{3}})+|" if group else ""
    fits = matches(text, f"[+-]?(?:(?:{grouped}\\d+)(?:{point}\\d*)?|{point}\\d+)(?:[eE][+-]?\\d{{1,4}})?")
    found = kept(text, fits)
    if group:
        found = pc.replace_substring_regex(found, pattern=group, replacement="")
    found = pc.replace_substring(found, pattern=notation.decimal, replacement=".")
    return found, filled(cells) & ~fits


def _class(mark: str) -> str:
    return f"[{_BLANKS}]" if mark in _BLANKS and mark else re.escape(mark)


def _whole(kind: ColumnType) -> int:
    return _MOST_WHOLE if kind.precision is None else kind.precision - (kind.scale or 0)


def _without_zeros(text: pa.StringArray) -> pa.StringArray:
    """Leave out the zeros that mean nothing, of which Arrow takes no more than a number may have digits."""
    left = pc.replace_substring_regex(text, pattern=r"^([+-]?)0+(\d)", replacement=r"\1\2")
    return pc.replace_substring_regex(left, pattern=r"^([+-]?\d*\.\d*?)0+$", replacement=r"\1")


def _simple(kind: ColumnType) -> str:
    """Write the pattern of the numbers that need no second look."""
    if kind.precision is None:
        return r"[+-]?\d+(?:\.\d+)?"
    whole, scale = kind.precision - (kind.scale or 0), kind.scale or 0
    return rf"[+-]?0*\d{{0,{min(whole, _SHORT)}}}(?:\.\d{{0,{min(scale, _SHORT)}}}0*)?"


def _spelled(text: str, kind: ColumnType) -> tuple[str, bool, bool]:
    """Write a number without an exponent; say whether it loses digits after the point, or has too many before it."""
    number = Decimal(text)
    most = _MOST_WHOLE if kind.precision is None else kind.precision - (kind.scale or 0)
    least = _MOST_FRACTION if kind.precision is None else kind.scale or 0
    wide = bool(number) and number.adjusted() >= most
    _, digits, exponent = number.as_tuple()
    zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    lossy = bool(number) and -int(exponent) - zeros > least
    return (text if wide or lossy else f"{number:f}"), lossy and not wide, wide
