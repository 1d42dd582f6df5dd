"""Columns as columns of another type: exactly, or not at all."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import types

from anabranch.core.errors import SourceError
from anabranch.schema.fit import MisfitError
from anabranch.schema.lattice import is_bytes, is_text
from anabranch.schema.narrowing import cast, fits, places
from anabranch.schema.plain import retyped
from anabranch.schema.rules import Manner, OnConflict
from anabranch.schema.schema import is_nested, wider

_STRING = pa.string()


def cast_column(
    column: pa.ChunkedArray, type_: pa.DataType, manner: Manner = "given", on_conflict: OnConflict = "fail"
) -> pa.ChunkedArray | pa.Array:
    """Cast a column, text by the rules of delimited text, except that '' is not null; raises MisfitError.

    A type that was not given must hold all that the column's type can hold, by the rules of `schema.unify`: else 1
    would come of true, and 1704067200 of a date.
    """
    if column.type == type_:
        return column
    if column.null_count == len(column) and not is_nested(type_):
        return pa.nulls(len(column), type_)
    if _is_cell(column, type_):
        cells = column.combine_chunks()
        if _empty(cells).any():
            raise MisfitError
        return cast(cells, type_, manner)
    try:
        if manner != "given" and wider(type_, column.type, on_conflict) != type_:
            raise MisfitError
        found = retyped(_alone(column), type_)
        if _is_lossy(column.type, type_) and found.cast(column.type) != column:
            raise MisfitError
    except (SourceError, pa.ArrowException) as error:
        raise MisfitError from error
    return found


def misfits(
    column: pa.ChunkedArray, type_: pa.DataType, manner: Manner = "given", on_conflict: OnConflict = "fail"
) -> NDArray[np.bool_]:
    """Return, for each value of a column, whether it cannot be cast."""
    if _is_cell(column, type_):
        cells = column.combine_chunks()
        return ~fits(cells, type_, manner) | _empty(cells)

    def hold(start: int, stop: int) -> bool:
        try:
            cast_column(column.slice(start, stop - start), type_, manner, on_conflict)
        except MisfitError:
            return False
        return True

    marks = np.zeros(len(column), np.bool_)
    marks[list(places(len(column), hold))] = True
    return marks


def _alone(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Copy nested values, since pyarrow also casts the items outside a slice."""
    return column.take(np.arange(len(column))) if is_nested(column.type) else column


def _is_lossy(one: pa.DataType, two: pa.DataType) -> bool:
    """Whether pyarrow silently loses something when it casts from one type to the other."""
    return bool(
        types.is_boolean(two)
        or (types.is_timestamp(one) and (types.is_date(two) or types.is_time(two)))
        or (types.is_decimal(one) and types.is_floating(two))
    )


def _is_cell(column: pa.ChunkedArray, type_: pa.DataType) -> bool:
    other = is_text(type_) or is_bytes(type_) or is_nested(type_) or types.is_dictionary(type_)
    return bool(column.type == _STRING and not other)


def _empty(cells: pa.StringArray) -> NDArray[np.bool_]:
    return np.array(pc.fill_null(pc.equal(pc.binary_length(cells), 0), False), np.bool_)
