"""Tables whose types every format has a place for, and tables without structs."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from anabranch.core.errors import SourceError
from anabranch.schema.durations import spelled
from anabranch.schema.lattice import MOST_DIGITS, decimal, is_text

Leaf = Callable[[pa.DataType], pa.DataType]

_UNITS = ("s", "ms", "us", "ns")
_PER_DAY = {pa.date32(): 1, pa.date64(): 86_400_000} | {
    pa.timestamp(unit): 86_400 * 1000**place for place, unit in enumerate(_UNITS)
}
_FIRST_DAY, _LAST_DAY = -12_687_428, 11_248_737  # of the years -32767 and 32767, counted from 1970


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema without metadata and ways to store values: dictionaries, views, extensions."""
    return with_leaves(schema, plain_type)


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the plain type that holds exactly what a type that is not nested holds."""
    if isinstance(kind, pa.BaseExtensionType):
        return mapped(kind.storage_type, plain_type)
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return mapped(kind.value_type, plain_type)
    if types.is_decimal(kind) and kind.scale < 0:  # parquet knows none, and on one pyarrow's writer of orc ends us
        digits = kind.precision - kind.scale
        return decimal(digits) if digits <= MOST_DIGITS else pa.string()
    if types.is_decimal32(kind) or types.is_decimal64(kind):
        return pa.decimal128(kind.precision, kind.scale)
    return {pa.string_view(): pa.string(), pa.binary_view(): pa.binary(), pa.float16(): pa.float32()}.get(kind, kind)


def with_leaves(schema: pa.Schema, leaf: Leaf) -> pa.Schema:
    """Return the schema with the type of every value mapped, also those of nested ones; without metadata."""
    return pa.schema([_mapped_field(field, leaf) for field in schema])


def mapped(kind: pa.DataType, leaf: Leaf) -> pa.DataType:
    """Return a type whose innermost types are mapped by `leaf`; a view of a list becomes a list."""
    if types.is_struct(kind):
        return pa.struct([_mapped_field(field, leaf) for field in kind])
    if types.is_map(kind):
        return pa.map_(_mapped_field(kind.key_field, leaf), _mapped_field(kind.item_field, leaf), kind.keys_sorted)
    if types.is_fixed_size_list(kind) and kind.list_size:  # pyarrow writes parquet of size 0 that none can read
        return pa.list_(_mapped_field(kind.value_field, leaf), kind.list_size)
    if types.is_large_list(kind) or types.is_large_list_view(kind):
        return pa.large_list(_mapped_field(kind.value_field, leaf))
    if types.is_list(kind) or types.is_list_view(kind) or types.is_fixed_size_list(kind):
        return pa.list_(_mapped_field(kind.value_field, leaf))
    return leaf(kind)


def cast_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Cast the columns, in their order, to types of a schema that hold the same values."""
    pairs = zip(table.columns, schema, strict=True)
    return pa.Table.from_arrays([_cast(column, field.type) for column, field in pairs], schema=schema)


def retyped(column: pa.ChunkedArray, kind: pa.DataType, name: str = "") -> pa.ChunkedArray:
    """Cast a column; times in a zone become text in UTC. Raises ArrowInvalid, or SourceError for dates without text."""
    if is_text(kind) and (types.is_date(column.type) or types.is_timestamp(column.type)):
        require_sayable(column, name)
    in_utc = mapped(column.type, _in_utc)  # the offsets of long ago have seconds, which arrow's text leaves out
    return _cast(_cast(column, in_utc), kind)


def in_coarsest_unit(times: Any) -> Any:
    """Cast an array of times or timestamps to the coarsest unit that loses nothing; those with a time zone to UTC."""
    kind = times.type
    for unit in _UNITS[: _UNITS.index(kind.unit)]:
        with suppress(pa.ArrowInvalid):
            return times.cast(_in_unit(kind, unit))
    return times.cast(_in_unit(kind, kind.unit))


def require_sayable(dates: Any, path: str) -> None:
    """Raise SourceError for dates and timestamps of years beyond 32767, as whose text Arrow gives an error message."""
    kind = pa.timestamp(dates.type.unit) if types.is_timestamp(dates.type) else dates.type
    ends = [end.value // _PER_DAY[kind] for end in pc.min_max(dates).values() if end.is_valid]
    if any(not _FIRST_DAY <= day <= _LAST_DAY for day in ends):
        raise SourceError(
            "type-not-written",
            f"column {path!r} holds a date beyond the year 32767, which cannot be written as text",
            "Write parquet or arrow instead, or replace these values in the source.",
            item=path,
        )


def flat_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema that `flat_table` gives a table; SourceError if two columns get the same name."""
    flat = flat_table(schema.empty_table()).schema
    repeated = [name for name in flat.names if flat.names.count(name) > 1]
    if repeated:
        raise SourceError(
            "duplicate-columns",
            f"flattened, two columns are called {repeated[0]!r}",
            "Rename one, or do not flatten.",
            item=repeated[0],
        )
    return flat


def flat_table(table: pa.Table) -> pa.Table:
    """Return a table where the fields of structs, however deep, are columns with dotted names."""
    while any(types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    return table


def leaves(path: str, values: Any) -> Iterator[tuple[str, pa.Array]]:
    """Yield the innermost values of an array, with the names that parquet gives their columns."""
    kind = values.type
    if types.is_struct(kind):
        for index, field in enumerate(kind):
            yield from leaves(f"{path}.{field.name}", values.field(index))
    elif types.is_map(kind):
        yield from leaves(f"{path}.key_value.key", values.keys)
        yield from leaves(f"{path}.key_value.value", values.items)
    elif types.is_nested(kind):
        yield from leaves(f"{path}.list.element", values.flatten())
    else:
        yield path, values


def with_texts(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    """Write records that never have a field, such as JSON's {}, as text where text is wanted."""
    if not _has_empty_struct(column.type):
        return column
    chunks = [_with_texts(chunk, wanted) for chunk in column.chunks]
    return pa.chunked_array(chunks) if chunks else pa.chunked_array([], wanted)


def _has_empty_struct(kind: pa.DataType) -> bool:
    inner = [kind.field(place).type for place in range(kind.num_fields)]
    return any(map(_has_empty_struct, inner)) or (types.is_struct(kind) and not inner)


def _with_texts(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    kind = array.type
    if types.is_struct(kind) and not kind.num_fields and types.is_string(wanted):
        return pc.if_else(array.is_valid(), "{}", pa.scalar(None, pa.string()))
    if types.is_struct(kind) and kind.num_fields and types.is_struct(wanted):
        fields = [_with_texts(array.field(field.name), wanted.field(field.name).type) for field in kind]
        return pa.StructArray.from_arrays(fields, kind.names, mask=array.is_null())
    if types.is_list(kind) and types.is_list(wanted):
        lengths = pc.fill_null(pc.list_value_length(array), 0)
        ends = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
        return pa.ListArray.from_arrays(ends, _with_texts(array.flatten(), wanted.value_type), mask=array.is_null())
    return array


def _in_unit(kind: pa.DataType, unit: str) -> pa.DataType:
    if types.is_timestamp(kind):
        return pa.timestamp(unit, kind.tz and "UTC")
    return pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)


def _in_utc(kind: pa.DataType) -> pa.DataType:
    return pa.timestamp(kind.unit, "UTC") if types.is_timestamp(kind) and kind.tz else kind


def _mapped_field(field: pa.Field, leaf: Leaf) -> pa.Field:
    return pa.field(field.name, mapped(field.type, leaf), field.nullable)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if column.type == kind:
        return column
    if types.is_duration(column.type) and is_text(kind):
        return pa.chunked_array([spelled(column).cast(kind)])
    if _is_castable(column.type) and not _holds_null(kind):
        return column.cast(kind)
    return pa.chunked_array([pa.array(column.to_pylist(), kind)])


def _holds_null(kind: pa.DataType) -> bool:
    """Whether pyarrow 26 may make invalid arrays of it: lists of nulls inside others keep too few of them."""
    return types.is_null(kind) or any(_holds_null(kind.field(place).type) for place in range(kind.num_fields))


def _is_castable(kind: pa.DataType) -> bool:
    """Whether pyarrow casts from it: not from views of lists (it makes invalid arrays of nulls) and run ends."""
    odd = (types.is_list_view, types.is_large_list_view, types.is_run_end_encoded)
    return not any(check(kind) for check in odd) and all(
        _is_castable(kind.field(place).type) for place in range(kind.num_fields)
    )
