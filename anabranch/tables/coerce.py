"""Text becomes values of a column's type, whole columns at once and exactly: what does not fit is a fault."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from anabranch.tables import clocks, numbers
from anabranch.tables.notation import Coerced, Masked, Notation
from anabranch.tables.target import Column, ColumnType
from anabranch.tables.texts import as_boolean, as_json, as_text, as_uuid

_Coerce = Callable[[pa.StringArray, ColumnType, Notation], Coerced]


class Fault(NamedTuple):
    """A cell that its column cannot take: `row` counts from 0 within the array."""

    row: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A column's values; where a cell has a fault, its value is null and means nothing."""

    values: pa.Array
    faults: list[Fault]


_KINDS: Mapping[str, _Coerce] = {
    "text": as_text,
    "varchar": as_text,
    "char": as_text,
    "smallint": numbers.as_integer,
    "integer": numbers.as_integer,
    "bigint": numbers.as_integer,
    "numeric": numbers.as_decimal,
    "real": numbers.as_float,
    "double": numbers.as_float,
    "boolean": as_boolean,
    "date": clocks.as_date,
    "time": clocks.as_time,
    "timestamp": clocks.as_timestamp,
    "timestamptz": clocks.as_instant,
    "uuid": as_uuid,
    "json": as_json,
    "jsonb": as_json,
}


def coerce(cells: pa.StringArray, column: Column, notation: Notation, *, null_key: bool = False) -> Taken:
    """Turn cells into values of the column's type; with `null_key` a null is a fault, since the key needs a value."""
    if column.type is None:
        raise TypeError(f"column {column.name} takes no values")
    values, masked = _KINDS[column.type.kind](cells, column.type, notation)
    if cells.null_count and (null_key or not column.nullable):
        code, why = (
            ("null_not_allowed", "the column is NOT NULL")
            if not column.nullable
            else ("null_key", "the key needs a value")
        )
        masked = [*masked, Masked(np.asarray(cells.is_null()), code, f"no value, and {why}")]
    return Taken(values, _faults(masked))


def _faults(masked: list[Masked]) -> list[Fault]:
    found: dict[int, Fault] = {}
    for mask, code, message in masked:
        for row in np.flatnonzero(mask).tolist():
            found.setdefault(row, Fault(row, code, message))
    return [found[row] for row in sorted(found)]
