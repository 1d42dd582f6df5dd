"""The least type that holds what two types hold, and loses nothing."""

from collections.abc import Callable

import pyarrow as pa
from pyarrow import types

Join = Callable[[pa.DataType, pa.DataType], pa.DataType | None]

DIGITS = 38  # of a decimal128
MOST_DIGITS = 76  # of a decimal256

_TEXTS = (pa.string(), pa.string_view(), pa.large_string())
_BYTES = (pa.binary(), pa.binary_view(), pa.large_binary())
_CHAINS = (  # each type holds all before it
    (pa.date32(), pa.date64()),
    (pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
    tuple(pa.duration(unit) for unit in ("s", "ms", "us", "ns")),
    _TEXTS,
    _BYTES,
    (pa.float16(), pa.float32(), pa.float64()),
)
_PLACE = {type_: (chain, place) for chain in _CHAINS for place, type_ in enumerate(chain)}
_UNITS = ("s", "ms", "us", "ns")
_SIGNED = (pa.int8(), pa.int16(), pa.int32(), pa.int64())
_UNSIGNED = (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
_LISTS = ("list", "list_view", "large_list", "large_list_view")
_LONG_DIGITS = 19  # of an int64


def decimal(digits: int, scale: int = 0) -> pa.DataType:
    """Return the narrowest decimal type of that many digits, at most MOST_DIGITS, `scale` of them after the point."""
    return (pa.decimal128 if digits <= DIGITS else pa.decimal256)(digits, scale)


def joined(one: pa.DataType, two: pa.DataType) -> pa.DataType | None:
    """Return the narrowest type that holds two different types that are not nested; None if there is none."""
    if one in _PLACE and two in _PLACE and _PLACE[one][0] is _PLACE[two][0]:
        return max(one, two, key=lambda type_: _PLACE[type_][1])
    for check, join in _JOINS:
        if check(one) and check(two):
            return join(one, two)
    return None


def list_of(one: pa.DataType, two: pa.DataType, item: pa.DataType) -> pa.DataType:
    """Return the narrowest kind of list of such items that holds the lengths of both."""
    if types.is_fixed_size_list(one) and types.is_fixed_size_list(two) and one.list_size == two.list_size:
        return pa.list_(item, one.list_size)
    names = [str(type_).partition("<")[0] for type_ in (one, two)]
    name = max((name for name in names if name in _LISTS), key=_LISTS.index, default="list")
    return getattr(pa, "list_" if name == "list" else name)(item)


def is_text(type_: pa.DataType) -> bool:
    """Whether values of the type are text."""
    return type_ in _TEXTS


def is_bytes(type_: pa.DataType) -> bool:
    """Whether values of the type are bytes that are not text."""
    return type_ in _BYTES or bool(types.is_fixed_size_binary(type_))


def _is_number(type_: pa.DataType) -> bool:
    return any(check(type_) for check in (types.is_integer, types.is_floating, types.is_decimal))


def _bytes(one: pa.DataType, two: pa.DataType) -> pa.DataType:
    return next((type_ for type_ in (one, two) if not types.is_fixed_size_binary(type_)), pa.binary())


def _timestamp(one: pa.DataType, two: pa.DataType) -> pa.DataType | None:
    if (one.tz is None) != (two.tz is None):
        return None
    return pa.timestamp(max(one.unit, two.unit, key=_UNITS.index), one.tz if one.tz == two.tz else "UTC")


def _number(one: pa.DataType, two: pa.DataType) -> pa.DataType | None:
    if types.is_integer(one) and types.is_integer(two):
        return _integer(one, two)
    if types.is_floating(one) or types.is_floating(two):
        # an int64 may be more exact than a double: a cast must look at its value; a uint64 joins the decimals
        safe = not any(types.is_decimal(type_) or type_ == pa.uint64() for type_ in (one, two))
        return pa.float64() if safe else None
    return _decimal(one, two)


def _integer(one: pa.DataType, two: pa.DataType) -> pa.DataType:
    if (one in _SIGNED) == (two in _SIGNED):
        return max(one, two, key=lambda type_: type_.bit_width)
    signed, unsigned = (one, two) if one in _SIGNED else (two, one)
    if unsigned == pa.uint64():
        return _decimal(one, two)
    return _SIGNED[max(_SIGNED.index(signed), _UNSIGNED.index(unsigned) + 1)]


def _decimal(one: pa.DataType, two: pa.DataType) -> pa.DataType | None:
    scale = max(_scale(one), _scale(two))
    digits = max(_whole_digits(one), _whole_digits(two)) + scale
    if digits > MOST_DIGITS:
        return None
    wide = types.is_decimal256(one) or types.is_decimal256(two)
    return pa.decimal256(digits, scale) if wide else decimal(digits, scale)


def _scale(type_: pa.DataType) -> int:
    return int(max(type_.scale, 0)) if types.is_decimal(type_) else 0


def _whole_digits(type_: pa.DataType) -> int:
    if types.is_decimal(type_):
        return int(type_.precision - type_.scale)
    return _LONG_DIGITS + int(type_ == pa.uint64())


_JOINS: tuple[tuple[Callable[[pa.DataType], bool], Join], ...] = (
    (_is_number, _number),
    (types.is_timestamp, _timestamp),
    (is_bytes, _bytes),
)
