"""Tables whose columns have types as cells: every value as text from which the same value can be read again."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from anabranch.core.errors import SourceError
from anabranch.formats.cells import Cells, Place, sound
from anabranch.formats.delimited.writing import as_json, csv_rows, without_exponent
from anabranch.schema.plain import retyped

_UUID = pa.binary(16)


def cells(table: pa.Table, native: str) -> Cells:
    """Write the values of a table as text; `native` says by which rules, see `Cells`."""
    text = pa.table(
        [as_text(column, name) for name, column in zip(table.column_names, table.columns, strict=True)],
        names=table.column_names,
    )
    found = sound(text, _locator(text), 0)
    ours = {field.name: native for field in table.schema if native != "typed" or not types.is_string(field.type)}
    return replace(found, native=ours)


def as_text(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Write a column's values: dates and times as ISO, in UTC where they have a zone, nested values as JSON.

    SourceError for binary values, except those of 16 bytes, which are written as the digits of a UUID.
    """
    kind = column.type
    if types.is_string(kind):
        return column
    if types.is_large_string(kind) or types.is_null(kind):
        return column.cast(pa.string())
    if types.is_nested(kind):
        return as_json(column, name)
    if types.is_decimal(kind):
        return without_exponent(column).cast(pa.string())
    if kind == _UUID:
        digits = [None if value is None else value.hex() for value in column.to_pylist()]
        return pa.chunked_array([pa.array(digits, pa.string())])
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        raise SourceError("type-not-read", f"column {name!r} holds bytes that are not text", "Leave the column out.")
    if types.is_duration(kind):
        raise SourceError("type-not-read", f"column {name!r} holds durations", "Leave the column out.")
    if types.is_timestamp(kind) and kind.tz is not None:
        column = column.cast(pa.timestamp(kind.unit, "UTC"))
    return pc.cast(column, pa.string()) if types.is_floating(kind) else retyped(column, pa.string(), name)


def _locator(text: pa.Table) -> Callable[[Sequence[int]], list[Place]]:
    """Return the records as they would be written in a CSV file, since they have no text."""

    def locate(records: Sequence[int]) -> list[Place]:
        return [
            Place(None, None, bytes(csv_rows(text.slice(record, 1), ",")).removesuffix(b"\n")) for record in records
        ]

    return locate
