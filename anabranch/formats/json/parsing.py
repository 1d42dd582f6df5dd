"""Parse blocks of JSON lines with Arrow, strictly: what Arrow accepts but does not keep exactly is found afterwards."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json
from pyarrow import types

from anabranch.formats.json.types import (
    BOOL,
    DOUBLE,
    NATURAL,
    NULL,
    STRING,
    becomes_infinite,
    rounds,
    text_tree,
    told,
    tree_of_schema,
    type_of,
)
from anabranch.formats.json.values import MalformedError, decoded, encoded
from anabranch.formats.model import Look
from anabranch.formats.options import ReadOptions
from anabranch.schema.exact import cast_column
from anabranch.schema.fit import MisfitError
from anabranch.schema.lattice import DIGITS, MOST_DIGITS, is_text
from anabranch.schema.schema import is_nested
from anabranch.schema.tables import floats

BLANK = b" \t\r"  # what may surround a record

_NEWLINE, _OPEN, _CLOSE = b"\n{}"
_LONG_INTEGER = re.compile(rb'[:,\[]\s*"?-?\d{8,}+"?\s*[,}\]]')
_NOT_FINITE = re.compile(rb"[:,\[]\s*(?:NaN|-?Infinity)\b")
_SCALAR = rb"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false"
_EXACT = {pa.float16(): 1 << 11, pa.float32(): 1 << 24, DOUBLE: 1 << 53}  # up to there every integer is itself


def parse(block: bytes, look: Look, schema: pa.Schema, options: ReadOptions) -> pa.Table:  # noqa: ARG001  as for CSV
    """Parse a block of JSON lines into a table of exactly this schema; blank lines are passed over.

    A key that is absent is null, a column of text takes each scalar as it is written. Raises MisfitError where a row
    is malformed, has a key or a value that the schema has no place for, or would change its value.
    """
    count = count_records(block)
    if not count:
        return schema.empty_table()
    reading = _Reading(count, schema, given=casts(schema, options))
    natural = mapped(schema, _read_as)
    try:
        return reading.read(block, natural)
    except (MisfitError, pa.ArrowException) as error:
        if not (reading.given or _is_about_text(error)):
            raise MisfitError from error
    if not reading.given:
        with suppress(pa.ArrowException, MisfitError):
            return reading.read(_with_quotes(block, natural), natural)
    tree = text_tree(tree_of_schema(natural)) if reading.given else tree_of_schema(natural)
    try:
        _require_finite(block, schema)
        return reading.read(rewritten(block, tree, text=takes_nested(options)), pa.schema(type_of(tree)), block)
    except (MalformedError, pa.ArrowException) as error:
        raise MisfitError from error


def casts(schema: pa.Schema, options: ReadOptions) -> bool:
    """Whether the types are given from outside, so that values are cast to them where that is exact."""
    natural = mapped(schema, lambda type_: type_ if type_ in NATURAL or types.is_decimal(type_) else pa.null())
    return options.schema_file is not None or not natural.equals(schema)


def takes_nested(options: ReadOptions) -> bool:
    """Whether a column of text takes nested values, as JSON."""
    return options.on_conflict == "string" or options.infer == "none"


def count_records(block: bytes) -> int:
    """Count the lines that are not blank; MisfitError where one does not begin and end as an object does.

    With this, no line that Arrow accepts can hold two records, nor a record two lines, unless the counts differ.
    """
    text = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(text == _NEWLINE)
    if len(text) and text[-1] != _NEWLINE:
        ends = np.append(ends, len(text))
    starts = np.concatenate([[0], ends[:-1] + 1])[: len(ends)]
    if (text[starts] == _OPEN).all() and (text[ends - 1] == _CLOSE).all():
        return len(ends)
    lines = [line for line in (line.strip(BLANK) for line in block.split(b"\n")) if line]
    if not all(line.startswith(b"{") and line.endswith(b"}") for line in lines):
        raise MisfitError
    return len(lines)


def read_json(block: bytes, schema: pa.Schema | None = None) -> pa.Table:
    """Read a block of UTF-8 by Arrow alone, with the types that it infers if there is no schema."""
    ends = pa.py_buffer(np.array([0, len(block)], np.int64))
    pa.Array.from_buffers(pa.large_string(), 1, [None, ends, pa.py_buffer(block)]).validate(full=True)
    return arrow_json.read_json(
        pa.BufferReader(block),
        arrow_json.ReadOptions(use_threads=False, block_size=len(block) + 1),
        arrow_json.ParseOptions(
            explicit_schema=schema,
            newlines_in_values=False,
            unexpected_field_behavior="infer" if schema is None else "error",
        ),
    )


def mapped(schema: Iterable[pa.Field], change: Callable[[pa.DataType], pa.DataType]) -> pa.Schema:
    """Return the schema with all types changed that are not nested; lists of every kind become plain ones."""

    def changed(type_: pa.DataType) -> pa.DataType:
        if types.is_struct(type_):
            return pa.struct(list(mapped(type_, change)))
        if is_nested(type_) and hasattr(type_, "value_type"):
            return pa.list_(changed(type_.value_type))
        return change(type_)

    return pa.schema([pa.field(field.name, changed(field.type)) for field in schema])


def rewritten(block: bytes, tree: dict[str, object], *, text: bool) -> bytes:
    """Write the block's records again, with text in place of the values of text columns; raises MalformedError."""
    lines = (line for line in block.split(b"\n") if line.strip(BLANK))
    return b"\n".join([encoded(told(tree, decoded(line), text=text)) for line in lines])


@dataclass(frozen=True, slots=True)
class _Reading:
    """So many records, that must become a table of this schema."""

    count: int
    schema: pa.Schema
    given: bool

    def read(self, block: bytes, natural: pa.Schema, original: bytes = b"") -> pa.Table:
        """Read the block with types that Arrow knows of JSON, and cast; raises MisfitError and Arrow's own errors.

        `original` is the block as it was before it was rewritten.
        """
        table = read_json(block, natural)
        if table.num_rows != self.count or not (self.given or _are_numbers(block, natural)):
            raise MisfitError
        if any(
            not field.nullable and column.null_count for field, column in zip(self.schema, table.columns, strict=True)
        ):
            raise MisfitError
        if table.schema != self.schema:
            columns = [
                cast_column(column, field.type) for field, column in zip(self.schema, table.columns, strict=True)
            ]
            table = pa.Table.from_arrays(columns, schema=self.schema)
        _require_exact(table, block, original or block)
        return table


def _read_as(type_: pa.DataType) -> pa.DataType:
    """Name the type by which Arrow reads values that are cast to this one."""
    if type_ == NULL:
        return BOOL  # Arrow would make a broken array of a list of nulls
    natural = (types.is_integer, types.is_float32, types.is_decimal)
    return type_ if type_ in NATURAL or is_text(type_) or any(check(type_) for check in natural) else STRING


def _are_numbers(block: bytes, schema: pa.Schema) -> bool:
    """Whether the columns of decimals hold no strings, which Arrow takes, too."""
    as_doubles = mapped(schema, lambda type_: DOUBLE if types.is_decimal(type_) else type_)
    return as_doubles == schema or read_json(block, as_doubles) is not None


def _require_finite(block: bytes, schema: pa.Schema) -> None:
    """Raise MisfitError where a text would become NaN or an infinity, though the block has such numbers, too."""
    if _NOT_FINITE.search(block):
        tree = tree_of_schema(schema)
        if any(becomes_infinite(tree, decoded(line)) for line in block.split(b"\n") if line.strip(BLANK)):
            raise MisfitError


def _require_exact(table: pa.Table, block: bytes, original: bytes) -> None:
    """Refuse a number that is not itself any more as a floating one or a decimal, and a text that became NaN."""
    beyond = False
    for array in floats(table):
        largest = pc.max(pc.abs(array)).as_py()
        if not (pc.all(pc.is_finite(array), min_count=0).as_py() or _NOT_FINITE.search(original)):
            raise MisfitError
        beyond |= largest is not None and largest >= _EXACT[array.type]
    if beyond and _rounds(block, table.schema, _LONG_INTEGER):
        raise MisfitError
    decimals = list(_decimals(table.schema))
    if decimals and _rounds(block, table.schema, _overflowing(decimals)):
        raise MisfitError


def _decimals(fields: Iterable[pa.Field]) -> Iterator[pa.DataType]:
    for field in fields:
        if types.is_decimal(field.type):
            yield field.type
        elif is_nested(field.type):
            yield from _decimals(field.type.field(place) for place in range(field.type.num_fields))


def _overflowing(decimals: Iterable[pa.DataType]) -> re.Pattern[bytes]:
    """Match what Arrow may let overflow or round in silence: too many digits before the point, and exponents."""
    most = min((DIGITS if types.is_decimal128(type_) else MOST_DIGITS) - type_.scale for type_ in decimals)
    return re.compile(rb"\d[eE][-+]?\d|\d{%d}" % (most + 1))


def _rounds(block: bytes, schema: pa.Schema, suspects: re.Pattern[bytes]) -> bool:
    """Look at the records whose text holds a number that may not be itself any more."""
    tree, end = tree_of_schema(schema), 0
    for found in suspects.finditer(block):
        if found.start() >= end:
            begin = block.rfind(b"\n", 0, found.start()) + 1
            end = block.find(b"\n", begin) + 1 or len(block)
            if rounds(tree, decoded(block[begin:end])):
                return True
    return False


def _with_quotes(block: bytes, schema: pa.Schema) -> bytes:
    """Put quotes around the scalars of text columns, as they are written.

    A name in quotes with a colon after it can only be a key; where it is one of an inner object too, whose type then
    does not fit, or where this is not enough, the records must be written again.
    """
    names = b"|".join(re.escape(encoded(field.name)) for field in schema if is_text(field.type))
    return re.sub(rb"((?:%b)\s*:\s*)(%b)(?=\s*[,}])" % (names, _SCALAR), rb'\1"\2"', block) if names else block


def _is_about_text(error: Exception) -> bool:
    return "changed from string to" in str(error) or "Number too big" in str(error)
