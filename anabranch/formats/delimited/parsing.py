"""Blocks of delimited text as tables: parsed strictly and fast, or examined row by row where something does not fit."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from anabranch.formats.delimited.masking import uncommented
from anabranch.formats.delimited.quotes import Quotes, is_regular
from anabranch.formats.delimited.rows import Rows
from anabranch.formats.model import Dialect, Look
from anabranch.formats.options import ReadOptions
from anabranch.schema import narrowing
from anabranch.schema.fit import BadRow, Examined, MisfitError
from anabranch.schema.rules import Manner
from anabranch.schema.schema import shown_type

_QUICK = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float64())
_BLANK = re.compile(rb"[\r\n]*")
_EXACT = 2.0**53  # every integer that is less is a double
_NONE: Mapping[str, pa.DataType] = {}


def parse(block: bytes, look: Look, schema: pa.Schema, options: ReadOptions) -> pa.Table:
    """Return the rows of a block as a table of exactly this schema; a column that the file lacks is null.

    MisfitError where a row has too few or too many cells, where text follows a closing quote or is not UTF-8, and
    where a column's type cannot hold a cell exactly.
    """
    if look.dialect is None:
        raise TypeError("this is not delimited text")
    block = uncommented(block, look.dialect)
    if not is_regular(block, look.dialect) and not Quotes(block, look.dialect).sound:
        raise MisfitError
    try:
        cells = _cells(block, look, look.dialect, schema, options)
    except pa.ArrowInvalid as error:
        raise MisfitError from error
    columns = [_column(cells, field, _manner(field, look, options)) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _cells(block: bytes, look: Look, dialect: Dialect, schema: pa.Schema, options: ReadOptions) -> dict[str, pa.Array]:
    """Read the cells as text, but as numbers at once where the user named such a type, if nothing is lost."""
    quick = {field.name: field.type for field in schema if field.type in _QUICK and _named(field, look, options)}
    if quick:
        with suppress(pa.ArrowInvalid):
            cells = read_text(block, dialect, look.names, options, quick)
            if all(_is_exact(cells[name]) for name in quick if name in cells):
                return cells
    return read_text(block, dialect, look.names, options)


def _is_exact(numbers: pa.Array) -> bool:
    """Whether no double is so large that it may represent another integer."""
    if numbers.type != pa.float64():
        return True
    most = pc.max(pc.abs(numbers)).as_py()
    return most is None or most < _EXACT


def read_text(
    block: bytes,
    dialect: Dialect,
    names: Sequence[str],
    options: ReadOptions,
    numbers: Mapping[str, pa.DataType] = _NONE,
) -> dict[str, pa.Array]:
    """Return the cells of a block by column, as text but for the `numbers`; ArrowInvalid where it cannot be read so."""
    if dialect.spaced:
        return read_text(Rows(block, dialect).closed_up(), replace(dialect, spaced=False), names, options, numbers)
    if dialect.padded:
        plain = replace(dialect, padded=False)
        with suppress(pa.ArrowInvalid):
            return read_text(block, plain, names, options, numbers)
        return read_text(Rows(block, dialect).padded(len(names)), plain, names, options, numbers)
    if dialect.trailing:
        beyond = _beyond(names)
        columns = read_text(block, replace(dialect, trailing=False), [*names, beyond], options, numbers)
        last = columns.pop(beyond)
        if last.null_count < len(last) or (options.null_values and not Rows(block, dialect).trail.all()):
            raise pa.ArrowInvalid("a cell follows the last delimiter")
        return columns
    types = {name: numbers.get(name, pa.string()) for name in names}
    if _BLANK.fullmatch(block):
        return {name: pa.array([], kind) for name, kind in types.items()}
    table = pa.csv.read_csv(
        pa.BufferReader(block),
        pa.csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=names),
        pa.csv.ParseOptions(
            delimiter=dialect.delimiter,
            quote_char=dialect.quote or False,
            newlines_in_values=True,
            escape_char=dialect.escape or False,
        ),
        pa.csv.ConvertOptions(
            column_types=types,
            null_values=["", *options.null_values],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    return {name: column.chunk(0) for name, column in zip(names, table.columns, strict=True)}


def _beyond(names: Sequence[str]) -> str:
    """Return a name for the column after the last one that none of these has."""
    return max(names, key=len) + "_"


def _manner(field: pa.Field, look: Look, options: ReadOptions) -> Manner:
    return "given" if _named(field, look, options) else options.rules.manner


def _named(field: pa.Field, look: Look, options: ReadOptions) -> bool:
    return options.schema_file is not None and (field.name in look.given or not look.given)


def _column(cells: dict[str, pa.Array], field: pa.Field, manner: Manner) -> pa.Array:
    if field.name not in cells:
        return pa.nulls(len(next(iter(cells.values()))), field.type)
    values = cells[field.name]
    values = values if values.type == field.type else narrowing.cast(values, field.type, manner)
    if values.null_count and not field.nullable:
        raise MisfitError
    return values


def examine(block: bytes, look: Look, schema: pa.Schema, options: ReadOptions) -> Examined:
    """Find all rows of a block that do not fit, and the narrowest types that hold the others, from `schema` on.

    A block without the rows that are named bad can be parsed with the schema that is given back.
    """
    if look.dialect is None:
        raise TypeError("this is not delimited text")
    rows = Rows(block, look.dialect)
    bad = rows.broken(look.names)
    count = len(rows.start)
    sound = np.setdiff1d(np.arange(count), list(bad), assume_unique=True)
    broken = [bad[row] for row in sorted(bad)]
    text = read_text(rows.without(broken), look.dialect, look.names, options)
    fields = []
    for column in schema:
        if column.name not in text:
            fields.append(column)
            continue
        cells = text[column.name]
        field, misfits = _settled(cells, column, _manner(column, look, options), options)
        fields.append(field)
        for place in misfits.tolist():
            row = int(sound[place])
            if row not in bad:
                bad[row] = _conflict(rows.bad(row, ""), field, cells[place].as_py())
    return Examined(count, pa.schema(fields), [bad[row] for row in sorted(bad)])


def _settled(
    cells: pa.StringArray, field: pa.Field, manner: Manner, options: ReadOptions
) -> tuple[pa.Field, NDArray[np.intp]]:
    """Return the field that a column becomes, and the places of the cells that it does not hold."""
    none, missing = np.empty(0, np.intp), _missing(cells, field)
    if pa.types.is_null(field.type) and manner != "given":
        return field.with_type(narrowing.least(cells, manner)), none
    kinds = _candidates(field.type, manner, options)
    for kind in kinds:
        if not missing.any() and narrowing.holds(cells, kind, manner):
            return field.with_type(kind), none
    if manner != "given" and options.on_conflict != "fail":
        return field.with_type(pa.string()), none
    misfits = [np.flatnonzero(missing | ~narrowing.fits(cells, kind, manner)) for kind in kinds]
    best = min(range(len(kinds)), key=lambda place: misfits[place].size)
    return field.with_type(kinds[best]), misfits[best]


def _candidates(kind: pa.DataType, manner: Manner, options: ReadOptions) -> Sequence[pa.DataType]:
    if manner == "given":
        return (kind,)
    if manner == "wide":
        return narrowing.widened(kind)
    return narrowing.natural(kind) if options.infer == "all" else (kind,)


def _missing(cells: pa.StringArray, field: pa.Field) -> NDArray[np.bool_]:
    """Return which cells are null that must not be."""
    if field.nullable:
        return np.zeros(len(cells), np.bool_)
    missing = cells.is_null() if field.type == pa.string() else pc.equal(pc.fill_null(pc.binary_length(cells), 0), 0)
    return np.array(missing, np.bool_)


def _conflict(row: BadRow, field: pa.Field, value: str | None) -> BadRow:
    found = shown_type(narrowing.kind_of(value) if value else pa.null())
    expected = shown_type(field.type)
    reason = f"column {field.name!r}: {value or ''!r} is {found}, where {expected} is expected"
    return replace(row, reason=reason, column=field.name, value=value or "", expected=expected, found=found)
