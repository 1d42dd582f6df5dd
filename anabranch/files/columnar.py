"""Read formats whose columns have types: parquet, arrow and orc piece by piece, avro and excel from begin to end."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import orc

from anabranch.errors import AnabranchError, SourceError
from anabranch.files.arrow_join import MAGIC
from anabranch.files.avro import AvroFile
from anabranch.files.excel import ExcelFile
from anabranch.files.model import Dialect, Look
from anabranch.files.names import unique_names
from anabranch.files.options import ReadOptions
from anabranch.files.plain import cast_columns, plain_schema

Open = Callable[[], IO[bytes]]

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
        """Give a unit's rows, or those of a file that is not cut; the types may be others than wanted."""


def look_columnar(open_file: Open, format: str, options: ReadOptions) -> Look:  # noqa: A002
    """Read a file's schema and the rows of its units; SourceError where it is damaged or has columns of one name."""
    with _readable(format), open_file() as file:
        typed = _FORMATS[format](file, options)
        names, nameless = unique_names(typed.schema.names, rename=options.duplicate_columns == "rename")
        return Look(
            format,
            dialect=Dialect("", "", "", options.header) if format == "excel" else None,
            names=names,
            schema=_renamed(plain_schema(typed.schema), names),
            units=typed.units(),
            warnings=(*typed.warnings, *nameless),
        )


def read_columnar(open_file: Open, look: Look, first: int, stop: int) -> Iterator[pa.RecordBatch]:
    """Give the rows of the units from `first` up to `stop`; see `read_units`."""
    return (batch for _, batch in read_units(open_file, look, range(first, stop)))


def read_units(open_file: Open, look: Look, units: range) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Give the rows of some units in batches of at most BATCH_ROWS rows, each with the number of its unit.

    A file without units is one. The types are those of the look, but for excel's: there each batch has its own.
    Raises SourceError where the file is damaged.
    """
    options = ReadOptions(header=look.dialect is None or look.dialect.header)
    with _readable(look.format), open_file() as packed, _seekable(packed, look.codec) as file:
        typed = _FORMATS[look.format](file, options)
        for unit in range(units.start, min(units.stop, len(look.units) or 1)):
            for batch in typed.batches(unit, look.schema):
                for part in _plain(batch, look.names).to_batches(BATCH_ROWS):
                    yield unit, part


class _Parquet:
    warnings: tuple[str, ...] = ()

    def __init__(self, file: IO[bytes], *_: object) -> None:
        self._file = pq.ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER)
        self.schema = self._file.schema_arrow

    def units(self) -> tuple[int, ...]:
        metadata = self._file.metadata
        return tuple(metadata.row_group(index).num_rows for index in range(metadata.num_row_groups))

    def batches(self, unit: int, *_: object) -> Iterator[pa.RecordBatch]:
        if self._file.num_row_groups:
            group = self._file.metadata.row_group(unit)
            width = max(group.total_byte_size // max(group.num_rows, 1), 1)
            rows = max(min(BATCH_ROWS, BATCH_BYTES // width), 1)
            yield from self._file.iter_batches(rows, row_groups=[unit], use_threads=False)


class _Arrow:
    """A file that lists its batches."""

    warnings: tuple[str, ...] = ()

    def __init__(self, file: IO[bytes], *_: object) -> None:
        self._source = file
        self._file = pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(use_threads=False))
        self.schema = self._file.schema

    def units(self) -> tuple[int, ...]:
        first_column = pa.ipc.IpcReadOptions(use_threads=False, included_fields=[0])
        narrow = pa.ipc.open_file(self._source, options=first_column)
        return tuple(narrow.get_batch(index).num_rows for index in range(narrow.num_record_batches))

    def batches(self, unit: int, *_: object) -> Iterator[pa.RecordBatch]:
        if self._file.num_record_batches:
            yield self._file.get_batch(unit)


class _ArrowStream:
    """Batches one behind the other, which can only be read from begin to end."""

    warnings: tuple[str, ...] = ()

    def __init__(self, file: IO[bytes]) -> None:
        self._stream = pa.ipc.open_stream(file, options=pa.ipc.IpcReadOptions(use_threads=False))
        self.schema = self._stream.schema

    def units(self) -> tuple[int, ...]:
        return ()

    def batches(self, *_: object) -> Iterator[pa.RecordBatch]:
        yield from self._stream


class _Orc:
    warnings: tuple[str, ...] = ()

    def __init__(self, file: IO[bytes], *_: object) -> None:
        self._file = orc.ORCFile(file)
        self.schema = self._file.schema

    def units(self) -> tuple[int, ...]:
        return tuple(self._file.read_stripe(unit, [0]).num_rows for unit in range(self._file.nstripes))

    def batches(self, unit: int, *_: object) -> Iterator[pa.RecordBatch]:
        if self._file.nstripes:
            yield self._file.read_stripe(unit)


def _arrow(file: IO[bytes], *_: object) -> TypedFile:
    begin = file.read(len(MAGIC))
    file.seek(0)
    return _Arrow(file) if begin == MAGIC else _ArrowStream(file)


_FORMATS: dict[str, Callable[[IO[bytes], ReadOptions], TypedFile]] = {
    "parquet": _Parquet,
    "arrow": _arrow,
    "orc": _Orc,
    "avro": AvroFile,
    "excel": ExcelFile,
}


def _plain(batch: pa.RecordBatch, names: tuple[str, ...]) -> pa.Table:
    return cast_columns(pa.Table.from_batches([batch]), _renamed(plain_schema(batch.schema), names))


def _renamed(schema: pa.Schema, names: tuple[str, ...]) -> pa.Schema:
    return pa.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)])


@contextmanager
def _seekable(file: IO[bytes], codec: str) -> Iterator[IO[bytes]]:
    """Unpack what is compressed into a temporary file, since going back in it would begin anew each time."""
    if not codec:
        yield file
        return
    with tempfile.TemporaryFile() as unpacked:
        shutil.copyfileobj(file, unpacked, _BUFFER)
        unpacked.seek(0)
        yield unpacked


@contextmanager
def _readable(format: str) -> Iterator[None]:  # noqa: A002
    """Turn what the libraries raise on damaged files into an error of ours."""
    try:
        yield
    except AnabranchError:
        raise
    except OSError as error:
        if error.errno is not None:  # of the system, not of a file's content
            raise
        raise _damaged(format, error) from error
    except Exception as error:
        raise _damaged(format, error) from error


def _damaged(format: str, error: Exception) -> SourceError:  # noqa: A002
    reason = str(error).partition("\n")[0] or type(error).__name__
    return SourceError("source-damaged", f"it is no whole {format} file: {reason}", "Fetch the file again, or mend it.")
