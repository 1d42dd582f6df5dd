"""Rows that were set aside: one JSON line for each, with its number, its place, its text, and why."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import orjson

from anabranch.files.model import BadRow
from anabranch.parts import WorkFile
from anabranch.storage import published, work_file


def write_quarantine(rows: Sequence[BadRow], path: Path) -> WorkFile | None:
    """Write a piece's bad rows, numbered within it; no file where there is none."""
    if not rows:
        return None
    with published(path, durable=False) as file:
        for row in rows:
            file.write(orjson.dumps(_plain(row), option=orjson.OPT_APPEND_NEWLINE))
    return work_file(path)


def join_quarantine(pieces: Iterable[tuple[int, WorkFile | None]], out: IO[bytes]) -> None:
    """Write the rows of a file's pieces, in order, numbered from 1; each piece comes with the rows before it."""
    for before, file in pieces:
        for row in _rows(file):
            out.write(orjson.dumps({**row, "row": row["row"] + before + 1}, option=orjson.OPT_APPEND_NEWLINE))


def _rows(file: WorkFile | None) -> Iterator[dict[str, Any]]:
    if file:
        with Path(file.path).open("rb") as lines:
            yield from map(json.loads, lines)


def _plain(row: BadRow) -> dict[str, Any]:
    facts = {
        "row": row.row,
        "byte": row.offset,
        "reason": row.reason,
        "column": row.column,
        "value": row.value,
        "expected": row.expected,
        "found": row.found,
        "raw": row.raw,
    }
    return {name: value for name, value in facts.items() if value != ""}
