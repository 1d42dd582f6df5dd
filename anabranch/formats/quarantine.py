"""Rows that were set aside: one JSON line for each, with its number, its place, its text, and why."""

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import orjson

from anabranch.core.errors import UsageError
from anabranch.core.parts import WorkFile
from anabranch.core.storage import published, work_file
from anabranch.formats.options import ReadOptions
from anabranch.schema.fit import BadRow


def require_none(options: ReadOptions) -> None:
    """Raise UsageError if bad rows are to be set aside while records are handed out one by one."""
    if options.on_bad_row == "quarantine":
        raise UsageError(
            "no-quarantine",
            "on_bad_row is quarantine, which is not possible for records that pass through this process",
            "Convert the files first; or, for pipeline, give a path as destination and importable functions.",
        )


class Lines:
    """A file of lines that is made with the first of them, and published at the end: a context manager."""

    def __init__(self, path: Path, *, durable: bool) -> None:
        self.count = 0
        self._path, self._durable = path, durable
        self._stack = ExitStack()
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, line: bytes) -> None:
        """Append one line, its end included."""
        if self._file is None:
            self._file = self._stack.enter_context(published(self._path, durable=self._durable))
        self._file.write(line)
        self.count += 1

    def file(self) -> WorkFile | None:
        """Note the finished file; None if there was no line."""
        return work_file(self._path) if self.count else None


class Quarantine(Lines):
    """A piece's bad rows, numbered within it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, durable=False)

    def add(self, rows: Iterable[BadRow]) -> None:
        """Append rows."""
        for row in rows:
            self.write(orjson.dumps(_plain(row), option=orjson.OPT_APPEND_NEWLINE))


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
        "byte": row.offset if row.offset >= 0 else "",
        "reason": row.reason,
        "column": row.column,
        "value": row.value,
        "expected": row.expected,
        "found": row.found,
        "raw": row.raw,
    }
    return {name: value for name, value in facts.items() if value != ""}
