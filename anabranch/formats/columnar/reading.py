"""Read formats whose columns have types: parquet, arrow and orc piece by piece, avro and excel from start to end."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import IO

import pyarrow as pa

from anabranch.core import apart
from anabranch.core.errors import AnabranchError, SourceError
from anabranch.formats.columnar.avro import AvroFile
from anabranch.formats.columnar.excel import ExcelFile
from anabranch.formats.columnar.typed_files import BATCH_ROWS, OrcFile, ParquetFile, TypedFile, arrow_file
from anabranch.formats.model import Dialect, Look
from anabranch.formats.options import ReadOptions, keeping
from anabranch.schema.plain import cast_columns, plain_schema
from anabranch.schema.schema import unique_names
from anabranch.sources.remote import copied

Open = Callable[[], IO[bytes]]


CRASHING = ("orc",)
"""Formats that Arrow's reader may crash on, and that are so read in a process of their own; `open_file` is pickled.

One of 7,500 orc files with some bytes changed, and none of 7,000 parquet and arrow files, did so (pyarrow 26.0.1).
"""


def look_columnar(open_file: Open, format: str, options: ReadOptions) -> Look:  # noqa: A002
    """Read a file's schema and the rows of its units; SourceError where it is damaged or has columns of one name."""
    with _readable(format):
        return (
            apart.call(_look, open_file, format, options) if format in CRASHING else _look(open_file, format, options)
        )


def _look(open_file: Open, format: str, options: ReadOptions) -> Look:  # noqa: A002
    with open_file() as file:
        typed = _FORMATS[format](file, options)
        names, nameless = unique_names(typed.schema.names, rename=options.duplicate_columns == "rename")
        return Look(
            format,
            dialect=Dialect("", "", "", options.header) if format == "excel" else None,
            names=names,
            schema=_renamed(plain_schema(typed.schema), names),
            units=typed.units(),
            sheet=options.sheet,
            skip_rows=options.skip_rows,
            keeps_records=options.keeps_records,
            warnings=(*typed.warnings, *nameless),
        )


def read_units(open_file: Open, look: Look, units: range, work: str = "") -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield the rows of some units in batches of at most BATCH_ROWS rows, each with the number of its unit.

    A file without units is one. What is compressed is unpacked into the folder `work`, since going back in it would
    begin again each time. The types are those of the look, but for excel's: there each batch has its own.
    Raises SourceError where the file is damaged.
    """
    with _readable(look.format):
        if look.format in CRASHING:
            for unit, stream in apart.iterate(_read_streams, open_file, look, units, work):
                yield unit, pa.ipc.open_stream(stream).read_next_batch()
        else:
            yield from _read_units(open_file, look, units, work)


def _read_streams(open_file: Open, look: Look, units: range, work: str) -> Iterator[tuple[int, pa.Buffer]]:
    for unit, batch in _read_units(open_file, look, units, work):  # each is part of a stripe, and would pickle with all
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        yield unit, sink.getvalue()


def _read_units(open_file: Open, look: Look, units: range, work: str) -> Iterator[tuple[int, pa.RecordBatch]]:
    plain = ReadOptions(header=look.dialect is None or look.dialect.header, sheet=look.sheet, skip_rows=look.skip_rows)
    options = keeping(plain) if look.keeps_records else plain
    with (
        open_file() as lying,
        copied(lying, work) if look.codec else nullcontext(lying) as file,
    ):
        typed = _FORMATS[look.format](file, options)
        for unit in range(units.start, min(units.stop, len(look.units) or 1)):
            for batch in typed.batches(unit, look.schema):
                batch.validate(full=True)  # arrow believes offsets and texts as they lie there, and would crash later
                for part in _plain(batch, look.names).to_batches(BATCH_ROWS):
                    yield unit, part


_FORMATS: dict[str, Callable[[IO[bytes], ReadOptions], TypedFile]] = {
    "parquet": ParquetFile,
    "arrow": arrow_file,
    "orc": OrcFile,
    "avro": AvroFile,
    "excel": ExcelFile,
}


def _plain(batch: pa.RecordBatch, names: tuple[str, ...]) -> pa.Table:
    return cast_columns(pa.Table.from_batches([batch]), _renamed(plain_schema(batch.schema), names))


def _renamed(schema: pa.Schema, names: tuple[str, ...]) -> pa.Schema:
    return pa.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)])


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
    except Exception as error:  # each library has its own, and on damaged bytes raises more than it documents
        raise _damaged(format, error) from error


def _damaged(format: str, error: Exception) -> SourceError:  # noqa: A002
    reason = str(error).partition("\n")[0] or type(error).__name__
    if "out of range for nanosecond" in reason:  # pyarrow's only unit of orc
        remedy = "Write it as Parquet at its origin, or without years before 1678 and after 2261."
        return SourceError("type-not-read", reason, remedy)
    if "need to install" in reason:  # fastavro, of what a block is compressed with
        packages = " or ".join(re.findall(r"'([\w.-]+)'", reason))
        return SourceError("format-missing", reason, f"pip install {packages}")
    return SourceError(
        "source-damaged", f"it is not a complete {format} file: {reason}", "Fetch the file again, or repair it."
    )
