"""Columns that were read of JSON, mostly as text, as columns of the types that a user gave: exactly, or not at all."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from anabranch.files.delimited.narrowing import cast, fits
from anabranch.files.json.types import NULL, STRING
from anabranch.files.model import MisfitError
from anabranch.files.types.lattice import is_bytes, is_text
from anabranch.files.types.schema import is_nested


def cast_column(column: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray | pa.Array:
    """Cast a column, text by the rules of delimited text, except that '' is not null; raises MisfitError."""
    if column.type == type_:
        return column
    if _is_cell(column, type_):
        cells = column.combine_chunks()
        if _empty(cells).any():
            raise MisfitError
        return cast(cells, type_, "given")
    try:
        return pa.array(column.to_pylist(), type_) if _holds_null(type_) else column.cast(type_)
    except pa.ArrowException as error:
        raise MisfitError from error


def misfits(column: pa.ChunkedArray, type_: pa.DataType) -> NDArray[np.bool_]:
    """Say of each value of a column whether it cannot be cast."""
    if _is_cell(column, type_):
        cells = column.combine_chunks()
        return ~fits(cells, type_, "given") | _empty(cells)
    marks = np.zeros(len(column), np.bool_)
    marks[list(_halved(column, type_, 0, len(column)))] = True
    return marks


def _halved(column: pa.ChunkedArray, type_: pa.DataType, start: int, stop: int) -> Iterator[int]:
    try:
        cast_column(column.slice(start, stop - start), type_)
    except MisfitError:
        middle = (start + stop) // 2
        if middle == start:
            yield start
        else:
            yield from _halved(column, type_, start, middle)
            yield from _halved(column, type_, middle, stop)


def _is_cell(column: pa.ChunkedArray, type_: pa.DataType) -> bool:
    other = is_text(type_) or is_bytes(type_) or is_nested(type_) or pa.types.is_dictionary(type_)
    return bool(column.type == STRING and not other)


def _empty(cells: pa.StringArray) -> NDArray[np.bool_]:
    return np.array(pc.fill_null(pc.equal(pc.binary_length(cells), 0), False), np.bool_)


def _holds_null(type_: pa.DataType) -> bool:
    if is_nested(type_):
        return any(_holds_null(type_.field(place).type) for place in range(type_.num_fields))
    return bool(type_ == NULL)
