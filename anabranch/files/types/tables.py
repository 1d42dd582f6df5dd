"""Tables and their types: fit one into another schema exactly, and find out what does not fit."""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from anabranch.errors import SourceError
from anabranch.files.model import BadRow, Examined, MisfitError
from anabranch.files.options import OnConflict, ReadOptions
from anabranch.files.types.schema import is_nested, shown_type, unify

_LONG_END = float(1 << 63)


def fitted(table: pa.Table, wanted: pa.Schema) -> pa.Table:
    """Give the table the columns of a schema that holds all of its own; those that it lacks are null."""
    if table.schema == wanted:
        return table
    columns = [
        _cast(table.column(field.name), field.type)
        if field.name in table.schema.names
        else pa.nulls(table.num_rows, field.type)
        for field in wanted
    ]
    return pa.table(columns, schema=wanted)


def cast(table: pa.Table, wanted: pa.Schema) -> pa.Table:
    """Cast a table exactly; MisfitError where a value cannot be held, or a column has no place."""
    if any(name not in wanted.names for name in table.schema.names):
        raise MisfitError
    try:
        return fitted(table, wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise MisfitError from error


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
    """Give all arrays of floating numbers of a table, nested ones too."""
    return _floats(chunk for column in table.columns for chunk in column.chunks)


def has_huge_floats(table: pa.Table) -> bool:
    """Say whether a number is so large that it may be an integer which needs a decimal, were it not among others."""
    return any((pc.max(pc.abs(array)).as_py() or 0) >= _LONG_END for array in floats(table))


def examine(table: pa.Table, wanted: pa.Schema, options: ReadOptions) -> Examined:
    """Tell what a table that does not fit needs; a value that is in conflict makes a bad row."""
    schema = folded(wanted, [table.schema], options.on_conflict) if not options.schema_file else wanted
    bad: dict[int, BadRow] = {}
    for field in table.schema:
        index = schema.get_field_index(field.name)
        if index < 0:
            bad |= {row: _unexpected(row, field) for row in range(table.num_rows)}
            continue
        column = table.column(field.name)
        if not _holds(column, schema.field(index).type):
            schema = schema.set(index, wanted.field(field.name))
            expected = schema.field(index).type
            bad |= {row: _bad(row, field, column[row], expected) for row in _misfits(column, expected)}
    return Examined(table.num_rows, schema, tuple(bad[row] for row in sorted(bad)))


def _floats(arrays: Iterable[pa.Array]) -> Iterator[pa.Array]:
    for array in arrays:
        if is_nested(array.type):
            inner = array.flatten()
            yield from _floats(inner if isinstance(inner, list) else [inner])
        elif types.is_floating(array.type):
            yield array


def _cast(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    return column if column.type == wanted else pc.cast(column, wanted, safe=True)


def _holds(column: pa.ChunkedArray, wanted: pa.DataType) -> bool:
    try:
        _cast(column, wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return False
    return True


def _misfits(column: pa.ChunkedArray, wanted: pa.DataType) -> Sequence[int]:
    """Find the rows whose value the type cannot hold, by halving; most columns have few."""
    if _holds(column, wanted):
        return []
    if len(column) == 1:
        return [0]
    half = len(column) // 2
    return [*_misfits(column[:half], wanted), *(row + half for row in _misfits(column[half:], wanted))]


def _bad(row: int, field: pa.Field, value: pa.Scalar, expected: pa.DataType) -> BadRow:
    text, found = str(value.as_py()), shown_type(field.type)
    reason = f"column {field.name!r}: {text!r} is {found}, where {shown_type(expected)} is expected"
    return BadRow(row, -1, 0, "", reason, field.name, text, shown_type(expected), found)


def _unexpected(row: int, field: pa.Field) -> BadRow:
    return BadRow(row, -1, 0, "", f"the schema has no column {field.name!r}", field.name)
