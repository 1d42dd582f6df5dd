"""Blocks of JSON lines as cells: strings as their text, numbers as they are written, everything else as JSON."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa

from anabranch.formats.cells import Cells, Fault, Field, Place, lines_before, sound
from anabranch.formats.json.parsing import BLANK, parse
from anabranch.formats.json.paths import ABSENT, value_at
from anabranch.formats.json.values import MalformedError, decoded, encoded, text_of
from anabranch.formats.model import Look
from anabranch.formats.options import ReadOptions
from anabranch.schema.fit import MisfitError


def cells(block: bytes, look: Look, options: ReadOptions, offset: int, fields: Sequence[Field]) -> Cells:
    """Take the fields of the records of a block, which begins at byte `offset` of the text (-1: unknown).

    A key that is absent is null.
    """
    has_lines = look.format == "jsonl"

    def locate(records: Sequence[int]) -> list[Place]:
        lines = list(_lines(block))
        starts = [lines[record][0] for record in records]
        numbers = lines_before(block, starts)
        return [
            Place(number if has_lines else None, offset + start if offset >= 0 else None, lines[record][1])
            for record, start, number in zip(records, starts, numbers, strict=True)
        ]

    lines = block.count(b"\n")
    if not any(field.as_json or len(field.path) > 1 for field in fields):
        with suppress(MisfitError):
            return sound(_quickly(block, look, options, fields), locate, lines)
    return _one_by_one(block, fields, locate, lines)


def _quickly(block: bytes, look: Look, options: ReadOptions, fields: Sequence[Field]) -> pa.Table:
    """Let Arrow read top-level values as text; MisfitError where a record has other keys, or a fault."""
    asked = {field.path[0] for field in fields}
    if not asked.issuperset(look.names):
        raise MisfitError  # which keys are there that no field asks for, only records tell
    table = parse(block, look, pa.schema([(key, pa.string()) for key in sorted(asked)]), options)
    return pa.table({field.name: table.column(field.path[0]) for field in fields})


def _one_by_one(block: bytes, fields: Sequence[Field], locate: Any, lines: int) -> Cells:
    columns: list[list[str | None]] = [[] for _ in fields]
    numbers: list[int] = []
    faults: list[Fault] = []
    unknown: set[str] = set()
    asked = {field.path[0] for field in fields}
    count = 0
    for record, (_, line) in enumerate(_lines(block)):
        count += 1
        try:
            found = decoded(line)
        except MalformedError as error:
            faults.append(Fault(record, error.code, error.reason, error.column))
            continue
        numbers.append(record)
        unknown |= found.keys() - asked
        for column, field in zip(columns, fields, strict=True):
            column.append(_cell(found, field))
    arrays = [pa.array(column, pa.string()) for column in columns]
    table = pa.table(arrays, names=[field.name for field in fields])
    return Cells(count, table, np.array(numbers, np.int64), faults, locate, lines, unknown=frozenset(unknown))


def _cell(record: dict[str, Any], field: Field) -> str | None:
    found = value_at(record, field.path)
    value = None if found is ABSENT else found
    if field.as_json and value is not None:
        return encoded(value).decode()
    return text_of(value)


def _lines(block: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the start and the text of each line that is not blank."""
    start = 0
    for line in block.split(b"\n"):
        if line.strip(BLANK):
            yield start, line.removesuffix(b"\r")
        start += len(line) + 1
