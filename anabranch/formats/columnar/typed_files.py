"""Files that pyarrow reads, cut into the pieces that their formats give them."""

from collections.abc import Iterator, Sequence
from typing import IO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import orc

from anabranch.formats.columnar.arrow_join import MAGIC

BATCH_ROWS = 64 << 10
BATCH_BYTES = 32 << 20  # of a batch of parquet, where its rows are wide
_BUFFER = 1 << 20  # bytes of a column that are read at once


class TypedFile(Protocol):
    """An open file, perhaps cut into units."""

    schema: pa.Schema
    warnings: tuple[str, ...]

    def units(self) -> tuple[int, ...]:
        """Count the rows of each unit; nothing where the file is not cut."""

    def batches(self, unit: int, wanted: pa.Schema, /) -> Iterator[pa.RecordBatch]:
        """Return a unit's rows, or those of a file that is not cut; the types may be others than wanted."""


def gathered(pieces: Sequence[tuple[int, int]]) -> Iterator[range]:
    """Join small neighbours, of so many rows and bytes each, so that what is made of them is not cut as small."""
    first = rows = size = 0
    for index, (more, bytes_) in enumerate(pieces):
        rows, size = rows + more, size + bytes_
        if rows >= BATCH_ROWS or size >= BATCH_BYTES or index == len(pieces) - 1:
            yield range(first, index + 1)
            first, rows, size = index + 1, 0, 0


class ParquetFile:
    """A parquet file of row groups; small neighbours are one unit."""

    warnings: tuple[str, ...] = ()

    def __init__(self, file: IO[bytes], *_: object) -> None:
        self._file = pq.ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER)
        self.schema = self._file.schema_arrow
        groups = [self._file.metadata.row_group(index) for index in range(self._file.num_row_groups)]
        self._units = list(gathered([(group.num_rows, group.total_byte_size) for group in groups]))

    def units(self) -> tuple[int, ...]:
        """See TypedFile."""
        return tuple(self._total(unit, "num_rows") for unit in self._units)

    def _total(self, groups: range, what: str) -> int:
        return sum(getattr(self._file.metadata.row_group(index), what) for index in groups)

    def batches(self, unit: int, *_: object) -> Iterator[pa.RecordBatch]:
        """See TypedFile."""
        if self._units:
            groups = self._units[unit]
            width = max(self._total(groups, "total_byte_size") // max(self._total(groups, "num_rows"), 1), 1)
            rows = max(min(BATCH_ROWS, BATCH_BYTES // width), 1)
            yield from self._file.iter_batches(rows, row_groups=list(groups), use_threads=False)


class ArrowFile:
    """An arrow file, which lists its batches; small neighbours are one unit."""

    warnings: tuple[str, ...] = ()

    def __init__(self, file: IO[bytes], *_: object) -> None:
        first_column = pa.ipc.IpcReadOptions(use_threads=False, included_fields=[0])
        narrow = pa.ipc.open_file(file, options=first_column)
        self._rows = [narrow.get_batch(index).num_rows for index in range(narrow.num_record_batches)]
        self._units = list(gathered([(rows, 0) for rows in self._rows]))
        self._file = pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(use_threads=False))
        self.schema = self._file.schema

    def units(self) -> tuple[int, ...]:
        """See TypedFile."""
        return tuple(sum(self._rows[unit.start : unit.stop]) for unit in self._units)

    def batches(self, unit: int, *_: object) -> Iterator[pa.RecordBatch]:
        """See TypedFile."""
        for index in self._units[unit] if self._units else ():
            yield self._file.get_batch(index)


class ArrowStream:
    """Batches one after the other, which can only be read from start to end."""

    warnings: tuple[str, ...] = ()

    def __init__(self, file: IO[bytes]) -> None:
        self._stream = pa.ipc.open_stream(file, options=pa.ipc.IpcReadOptions(use_threads=False))
        self.schema = self._stream.schema

    def units(self) -> tuple[int, ...]:
        """See TypedFile."""
        return ()

    def batches(self, *_: object) -> Iterator[pa.RecordBatch]:
        """See TypedFile."""
        yield from self._stream


class OrcFile:
    """An orc file of stripes."""

    warnings: tuple[str, ...] = ()

    def __init__(self, file: IO[bytes], *_: object) -> None:
        self._file = orc.ORCFile(file)
        self.schema = self._file.schema

    def units(self) -> tuple[int, ...]:
        """See TypedFile."""
        return tuple(self._file.read_stripe(unit, [0]).num_rows for unit in range(self._file.nstripes))

    def batches(self, unit: int, *_: object) -> Iterator[pa.RecordBatch]:
        """See TypedFile."""
        if self._file.nstripes:
            yield self._file.read_stripe(unit)


def arrow_file(file: IO[bytes], *_: object) -> TypedFile:
    """Open an arrow file or stream."""
    begin = file.read(len(MAGIC))
    file.seek(0)
    return ArrowFile(file) if begin == MAGIC else ArrowStream(file)
