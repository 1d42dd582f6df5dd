"""Tables and their types: fit one into another schema exactly, and find out what does not fit."""

from collections.abc import Container, Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from anabranch.core.errors import SourceError
from anabranch.schema.exact import cast_column, misfits
from anabranch.schema.fit import BadRow, Examined, MisfitError
from anabranch.schema.plain import retyped, with_texts
from anabranch.schema.rules import Manner, OnConflict, Rules
from anabranch.schema.schema import is_nested, shown_type, unify

_LONG_END = float(1 << 63)


def fitted(table: pa.Table, wanted: pa.Schema) -> pa.Table:
    """Return the table with the columns of a schema that contains all of its own; missing ones are null."""
    if table.schema == wanted:
        return table
    columns = [
        _cast(table.column(field.name), field)
        if field.name in table.schema.names
        else pa.nulls(table.num_rows, field.type)
        for field in wanted
    ]
    return pa.table(columns, schema=wanted)


def cast(table: pa.Table, wanted: pa.Schema, rules: Rules, given: Container[str] = ()) -> pa.Table:
    """Cast a table exactly; MisfitError where a value cannot be held, or a column has no place.

    The columns of which the user gave the types are cast where that is exact; the others, where their types allow it.
    """
    if any(name not in wanted.names for name in table.schema.names):
        raise MisfitError
    columns = [_column(table, field, rules, given) for field in wanted]
    return pa.table(columns, schema=wanted)


def folded(schema: pa.Schema, needs: Iterable[pa.Schema], on_conflict: OnConflict) -> pa.Schema:
    """Widen a schema by what each chunk needs, in order; a column keeps its type where a chunk's conflicts with it."""
    for need in needs:
        for field in need:
            one = pa.schema([field])
            if field.name not in schema.names:
                schema = schema.append(field)
                continue
            index = schema.get_field_index(field.name)
            try:
                both = unify([pa.schema([schema.field(index)]), one], on_conflict)
            except SourceError:
                continue
            schema = schema.set(index, both.field(0))
    return schema


def floats(table: pa.Table) -> Iterator[pa.Array]:
    """Return all arrays of floating numbers of a table, nested ones too."""
    return _floats(chunk for column in table.columns for chunk in column.chunks)


def has_huge_floats(table: pa.Table) -> bool:
    """Whether a number is so large that it may be an integer which would need a decimal."""
    return any((pc.max(pc.abs(array)).as_py() or 0) >= _LONG_END for array in floats(table))


def examine(table: pa.Table, wanted: pa.Schema, rules: Rules, given: Container[str] = ()) -> Examined:
    """Return what a table that does not fit needs; a conflicting value makes a bad row."""
    schema = _grown(wanted, table.schema, rules)
    bad: dict[int, BadRow] = {}
    for field in table.schema:
        index = schema.get_field_index(field.name)
        if index < 0:
            bad |= {row: _unexpected(row, field) for row in range(table.num_rows)}
            continue
        column, manner = table.column(field.name), _manner(field, rules, given)
        if misfits(column, schema.field(index).type, manner, rules.on_conflict).any():
            schema = schema.set(index, wanted.field(field.name))
        expected = schema.field(index)
        marks = misfits(column, expected.type, manner, rules.on_conflict)
        if not expected.nullable:
            marks |= column.is_null().to_numpy()
        bad |= {row: _bad(row, field, column[row], expected.type) for row in np.flatnonzero(marks).tolist()}
    lacking = [field for field in schema if not field.nullable and field.name not in table.schema.names]
    for field in lacking:
        bad |= {row: _missing(row, field) for row in range(table.num_rows)}
    return Examined(table.num_rows, schema, tuple(bad[row] for row in sorted(bad)))


def _grown(wanted: pa.Schema, found: pa.Schema, rules: Rules) -> pa.Schema:
    """Widen a schema by a table's as far as may be; of sampled types only where the sample had no value."""
    if rules.fixed:
        return wanted
    if rules.sampled and rules.on_conflict == "fail":
        empty = [field.name for field in wanted if types.is_null(field.type)]
        found = pa.schema([field for field in found if field.name in empty])
    return folded(wanted, [found], rules.on_conflict)


def _column(table: pa.Table, field: pa.Field, rules: Rules, given: Container[str]) -> pa.ChunkedArray | pa.Array:
    if field.name in table.schema.names:
        column = table.column(field.name)
        column = cast_column(column, field.type, _manner(field, rules, given), rules.on_conflict)
    else:
        column = pa.nulls(table.num_rows, field.type)
    if column.null_count and not field.nullable:
        raise MisfitError
    return column


def _manner(field: pa.Field, rules: Rules, given: Container[str]) -> Manner:
    return "given" if field.name in given else rules.manner


def _floats(arrays: Iterable[pa.Array]) -> Iterator[pa.Array]:
    for array in arrays:
        if is_nested(array.type):
            inner = array.flatten()
            yield from _floats(inner if isinstance(inner, list) else [inner])
        elif types.is_floating(array.type):
            yield array


def _cast(column: pa.ChunkedArray, wanted: pa.Field) -> pa.ChunkedArray:
    if column.type == wanted.type:
        return column
    return retyped(with_texts(column, wanted.type), wanted.type, wanted.name)


def _bad(row: int, field: pa.Field, value: pa.Scalar, expected: pa.DataType) -> BadRow:
    text, found = _shown(value), shown_type(field.type)
    reason = f"column {field.name!r}: {text!r} is {found}, where {shown_type(expected)} is expected"
    return BadRow(row, -1, 0, "", reason, field.name, text, shown_type(expected), found)


def _shown(value: pa.Scalar) -> str:
    try:
        return str(value.as_py())
    except (OverflowError, ValueError):  # a time that Python has no value for
        return str(pa.array([value], value.type).to_string(skip_new_lines=True)[1:-1])


def _unexpected(row: int, field: pa.Field) -> BadRow:
    return BadRow(row, -1, 0, "", f"the schema has no column {field.name!r}", field.name)


def _missing(row: int, field: pa.Field) -> BadRow:
    return BadRow(row, -1, 0, "", f"there is no column {field.name!r}, which must not be null", field.name)
