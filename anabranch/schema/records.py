"""Records of Python objects as tables: each column gets the narrowest type that holds all of its values exactly."""

import datetime as dt
import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import reduce
from itertools import chain
from typing import Any

import pyarrow as pa

from anabranch.core.errors import SourceError
from anabranch.schema.lattice import DIGITS, MOST_DIGITS, decimal
from anabranch.schema.rules import OnConflict
from anabranch.schema.schema import ConflictError, wider

Record = Mapping[str, Any]

ROWS = 1024  # of a table made of records; one by one they cost more, many more need memory
WEIGHT = 16 << 20  # characters and bytes of such a table, where its rows are large

_TYPES = {
    type(None): pa.null(), bool: pa.bool_(), float: pa.float64(), str: pa.string(), bytes: pa.binary(),
    dt.date: pa.date32(), dt.time: pa.time64("us"),
}  # fmt: skip


def tables(records: Iterable[Record], head: int) -> Iterator[pa.Table]:
    """Gather records into tables of ROWS, or of fewer where their texts are long.

    A column of which the first `head` values are of several kinds is text in all tables.
    """
    rest = iter(records)
    begin = first(rest, head)
    texts = mixed(begin)
    for taken in _gathered(chain(begin, rest), ROWS):
        yield table(taken, texts)


def first(records: Iterator[Record], rows: int) -> Sequence[Record]:
    """Take the first rows, or fewer where their texts are long."""
    return next(_gathered(records, rows), ())


def _gathered(records: Iterable[Record], rows: int) -> Iterator[Sequence[Record]]:
    taken: list[Record] = []
    weight = 0
    for record in records:
        taken.append(record)
        weight += sum(len(value) for value in record.values() if isinstance(value, str | bytes | list | dict))
        if len(taken) == rows or weight > WEIGHT:
            yield taken
            taken, weight = [], 0
    if taken:
        yield taken


def table(records: Sequence[Record], texts: Container[str] = ()) -> pa.Table:
    """Make a table of records; a key that one lacks is null there, columns come in the order first seen.

    A column of values of several kinds becomes text, like those named in `texts`: a text stays as it is, all else is
    JSON. SourceError where bytes are among them, or where a value has no type in a table.
    """
    columns = {}
    for name, values in _columns(records):
        found = None if name in texts else _typed(name, values)
        columns[name] = found if found is not None else _texts(values)
    return pa.table(columns)


def mixed(records: Sequence[Record]) -> Container[str]:
    """Name the columns that hold values of several kinds."""
    return {name for name, values in _columns(records) if _typed(name, values) is None}


def _columns(records: Sequence[Record]) -> Iterator[tuple[str, list[Any]]]:
    for name in dict.fromkeys(name for record in records for name in record):
        yield name, [record.get(name) for record in records]


def schema_of(records: Sequence[Record], on_conflict: OnConflict) -> pa.Schema:
    """Name the narrowest types of some records' columns; ConflictError where a column holds what no one type holds."""
    return pa.schema([(name, _least(values, on_conflict, name)) for name, values in _columns(records)])


def fitted(records: Sequence[Record], schema: pa.Schema) -> pa.Table:
    """Make a table of a schema that holds what `schema_of` says of the records, perhaps unified with others.

    ConflictError where a value cannot be held exactly after all, such as an integer beyond 2^53 among doubles.
    """
    columns = []
    for field in schema:
        values = [_fitted(record.get(field.name), field.type) for record in records]
        try:
            columns.append(pa.array(values, field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise ConflictError(
                "type-conflict", f"column {field.name!r}: {error}", "Write such values as text.", item=field.name
            ) from error
    return pa.table(columns, schema=schema)


def _fitted(value: Any, type_: pa.DataType) -> Any:
    """Return a value as a column of this type holds it, if Arrow would refuse it or drop something."""
    if value is None:
        return None
    if pa.types.is_string(type_):
        return as_text(value)
    if pa.types.is_struct(type_):
        return {field.name: _fitted(value.get(field.name), field.type) for field in type_}
    if pa.types.is_list(type_):
        return [_fitted(item, type_.value_type) for item in value]
    if pa.types.is_timestamp(type_) and type(value) is dt.date:
        return dt.datetime.combine(value, dt.time())
    return value


def type_of(value: Any, on_conflict: OnConflict = "fail") -> pa.DataType:
    """Name the least type of one value; ConflictError for a list of several kinds, SourceError for what has none."""
    kind = type(value)
    if kind in _TYPES:
        return _TYPES[kind]
    if kind is int:
        return _integer_type(value)
    if kind is dict:
        return pa.struct([(name, type_of(item, on_conflict)) for name, item in value.items()])
    if kind is list:
        return pa.list_(_least(value, on_conflict))
    if kind is dt.datetime:
        return pa.timestamp("us", "UTC" if value.tzinfo else None)
    if kind is Decimal and value.is_finite():
        return _decimal_type(value)
    raise SourceError("value-unknown", f"a table cannot hold {value!r}, a {kind.__name__}", "Leave the source out.")


def as_text(value: Any) -> str:
    """Write a value as text: a text as it is, all else as JSON; dates, times and decimals without quotes around."""
    if isinstance(value, str):
        return value
    if isinstance(value, dt.date | dt.time | Decimal):
        return _plain_text(value)
    return json.dumps(value, ensure_ascii=False, default=_plain_text)


def _plain_text(value: Any) -> str:
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise SourceError("value-unknown", f"{type(value).__name__} among texts is not a text", "Leave the source out.")


def _typed(name: str, values: Sequence[Any]) -> pa.Array | None:
    """Return a column with the narrowest type of its values; None if they are of several kinds or too large."""
    try:
        return pa.array(values, _least(values))
    except (ConflictError, pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return None
    except SourceError as error:
        raise SourceError(error.code, f"column {name!r}: {error.reason}", error.remedy) from error


def _texts(values: Sequence[Any]) -> pa.Array:
    return pa.array([value if value is None else as_text(value) for value in values], pa.string())


def _least(values: Sequence[Any], on_conflict: OnConflict = "fail", column: str = "") -> pa.DataType:
    if set(map(type, values)) <= _TYPES.keys():
        found = {_TYPES[kind] for kind in set(map(type, values))}  # without a look at each value
    else:
        found = {type_of(value, on_conflict) for value in values}
    return reduce(lambda one, two: wider(one, two, on_conflict, column), found, pa.null())


def _integer_type(value: int) -> pa.DataType:
    if -(1 << 63) <= value < 1 << 63:
        return pa.int64()
    digits = len(str(abs(value)))
    if digits > MOST_DIGITS:
        return pa.string()
    return decimal(DIGITS if digits <= DIGITS else MOST_DIGITS, 0)


def _decimal_type(value: Decimal) -> pa.DataType:
    _, digits, exponent = value.as_tuple()
    scale = max(-int(exponent), 0)
    precision = max(len(digits) + max(int(exponent), 0), scale, 1)
    return pa.string() if precision > MOST_DIGITS else decimal(precision, scale)
