"""Rows on their way to one output: kept in a work file as they come, since their types are known at the end only."""

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from anabranch.library.lanes import weight_of
from anabranch.schema import records, tables
from anabranch.schema.rules import OnConflict
from anabranch.schema.schema import ConflictError, unify, writable

ROWS = 8192  # records that are kept in memory
WEIGHT = 4 << 20  # bytes of them


class Spool:
    """Take records, batches and tables, then give them back as tables of one schema: a context manager."""

    def __init__(self, path: Path, on_conflict: OnConflict) -> None:
        self.rows = 0
        self._needed = pa.schema([])
        self._on_conflict = on_conflict
        self._waiting: list[Mapping[str, Any]] = []
        self._weight = 0
        self._file = path.open("w+b")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def schema(self, to: str) -> pa.Schema:
        """Return the narrowest types that hold all rows in a format, after `end`; text if no row had a value."""
        return writable(self._needed, to)

    def add(self, item: Any) -> None:
        """Append a record, a batch or a table; ConflictError where a column needs types that no one type holds."""
        if isinstance(item, Mapping):
            self._waiting.append(item)
            self._weight += weight_of(item)
            if len(self._waiting) >= ROWS or self._weight >= WEIGHT:
                self._flush()
            return
        self._flush()
        for batch in item.to_batches() if isinstance(item, pa.Table) else [item]:
            self._keep(_packed(batch), batch.schema, batch.num_rows)

    def end(self) -> None:
        """Mark the end of the rows."""
        self._flush()

    def tables(self, wanted: pa.Schema) -> Iterator[pa.Table]:
        """Yield all rows in the order in which they came, as tables of this schema, after `end`."""
        end = self._file.tell()
        self._file.seek(0)
        while self._file.tell() < end:
            item = pickle.load(self._file)  # noqa: S301  our own work file
            yield records.fitted(item, wanted) if isinstance(item, list) else _fitted(item, wanted)

    def _flush(self) -> None:
        if self._waiting:
            self._keep(self._waiting, records.schema_of(self._waiting, self._on_conflict), len(self._waiting))
            self._waiting, self._weight = [], 0

    def _keep(self, item: Any, schema: pa.Schema, rows: int) -> None:
        self._needed = unify([self._needed, schema], self._on_conflict)
        pickle.dump(item, self._file, pickle.HIGHEST_PROTOCOL)
        self.rows += rows


def _packed(batch: pa.RecordBatch) -> bytes:
    """Write a batch; pickled, a slice would be all that it is a slice of."""
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(out.getvalue())


def _fitted(packed: bytes, wanted: pa.Schema) -> pa.Table:
    try:
        return tables.fitted(pa.ipc.open_stream(packed).read_all(), wanted)
    except pa.ArrowException as error:
        raise ConflictError("type-conflict", str(error), "Write such values as text.") from error
