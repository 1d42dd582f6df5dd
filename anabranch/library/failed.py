"""The records for which the function failed, in memory and in a file next to the destination."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from anabranch.files.pipeline.step import Failure, Record
from anabranch.formats.quarantine import Lines
from anabranch.library.origin import Origin

MOST_FAILED = 10_000  # failed records that are kept in memory; all of them are in the file


class Failed:
    """Keep failed records, and write all of them next to the destination if that is a file: a context manager."""

    def __init__(self, destination: Any, origin: Origin) -> None:
        self.rows: list[dict[str, Any]] = []
        self._path = Path(f"{destination}.quarantine.jsonl") if isinstance(destination, str | Path) else None
        self._file = Lines(self._path, durable=True) if self._path else None
        self._origin = origin

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._path and not self.rows and not self._origin.holds_nothing:
            self._path.unlink(missing_ok=True)  # of an earlier run
        if self._file:
            self._file.__exit__(kind, error, trace)

    def add(self, records: Callable[[], Sequence[Record]], failures: Sequence[Failure], before: int) -> None:
        """Keep the records of a chunk that failed."""
        chunk = records() if failures else ()
        for one in failures:
            row = self._told(one, chunk[one.index], before)
            if len(self.rows) < MOST_FAILED:
                self.rows.append(row)
            if self._file:
                self._file.write(_line(row))

    def _told(self, failure: Failure, record: Record, before: int) -> dict[str, Any]:
        label, row = self._origin.place(before + failure.index + 1)
        facts = {"row": row, "error": failure.error, "message": failure.message, "record": record}
        return {"source": label, **facts} if label else facts


def _line(row: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(row, default=str, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # names that are not texts, integers of more than 64 bits, half of a character
        return orjson.dumps({name: _escaped(value) for name, value in row.items()}, option=orjson.OPT_APPEND_NEWLINE)


def _escaped(value: Any) -> Any:
    return value if isinstance(value, int) else str(value).encode(errors="backslashreplace").decode()
