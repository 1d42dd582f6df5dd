"""Write the segments of an output, and join them: any grouping of blocks into segments gives the same bytes.

Each table that is written is a block, with its own row groups, record batch, or compressed member.
"""

import io
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

import pyarrow as pa

from anabranch.core.errors import SourceError, UsageError
from anabranch.core.storage import published
from anabranch.formats.columnar.arrow_join import ArrowSegment, join_arrow
from anabranch.formats.columnar.orc_writing import join_orc
from anabranch.formats.columnar.parquet_join import join_parquet
from anabranch.formats.columnar.parquet_writing import ParquetSegment
from anabranch.formats.compressing import compressing
from anabranch.formats.formats import ending
from anabranch.formats.model import BLOCK
from anabranch.formats.options import WriteOptions
from anabranch.formats.text_writing import TextSegment, join_text, text_head
from anabranch.schema.plain import cast_columns, flat_schema, flat_table, plain_schema

ROWS = 256 << 10  # of a block at most, where rows are short
_ARROW_COMPRESSIONS = ("zstd", "lz4", "none")
_WORK_COMPRESSION = "lz4"  # of arrow files that become orc


class Segment(Protocol):
    """What takes blocks in one format."""

    def write(self, table: pa.Table) -> None:
        """Append a block of at least one row."""

    def finish(self) -> None:
        """Write what follows the last block."""


class SegmentWriter:
    """Write one segment: a context manager that publishes the file when its block ends well; `rows` counts.

    `to` is a format and perhaps a codec, such as csv.gz. A type for which the format has no place is a SourceError.
    """

    def __init__(self, path: Path, to: str, schema: pa.Schema, options: WriteOptions) -> None:
        require_possible(to, options)
        self.rows = 0
        self._path, self._to, self._options = path, to, options
        self._schema = _written_schema(schema, options)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            out = stack.enter_context(published(self._path, durable=False))
            self._segment = self._begun(out)
            stack.push(self._end)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, trace)

    def write(self, table: pa.Table) -> None:
        """Append a table of the segment's schema, as one block."""
        if not table.num_rows:
            return
        flat = flat_table(table) if self._options.flatten else table
        try:
            self._segment.write(cast_columns(flat, self._schema))
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise _not_written(self._to, error) from error
        self.rows += table.num_rows

    def _begun(self, out: IO[bytes]) -> Segment:
        kind, _, codec = self._to.partition(".")
        try:
            if kind == "parquet":
                return ParquetSegment(out, self._schema, self._options.packing)
            if kind in ("arrow", "orc"):
                if kind == "orc":
                    join_orc([], io.BytesIO(), self._schema, "none")  # finds now what it has no type for
                compression = self._options.packing if kind == "arrow" else _WORK_COMPRESSION
                return ArrowSegment(out, self._schema, compression)
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise _not_written(self._to, error) from error
        return TextSegment(out, kind, codec, self._options.separator(kind))

    def _end(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is None:
            self._segment.finish()


def join_segments(segments: Sequence[Path], out: IO[bytes], to: str, schema: pa.Schema, options: WriteOptions) -> int:
    """Write the output that the segments, in their order, make; return its rows.

    `schema` is that of the segments, and what an output without any is made of. Raises AnabranchError where a segment
    is not whole.
    """
    kind, _, codec = to.partition(".")
    written = _written_schema(schema, options)
    if kind in ("csv", "tsv", "jsonl", "json"):
        head = text_head(kind, options.separator(kind), written.names)
        return join_text(segments, out, kind, codec, head)
    with compressing(out, codec) as plain:
        if kind == "parquet":
            return join_parquet(segments, plain)
        if kind == "arrow":
            return join_arrow(segments, plain, written)
        return join_orc(segments, plain, written, options.packing)


def named_format(path: Path) -> str:
    """Name the format, with its codec, that a path's ending asks for; UsageError where none is written so."""
    try:
        return WriteOptions(to=ending(path.name)).to
    except ValueError as error:
        raise UsageError(
            "destination-format",
            f"there is no format for a file named like {path.name!r}",
            "Use .parquet or .csv.gz.",
        ) from error


def require_possible(to: str, options: WriteOptions) -> None:
    """Raise UsageError where the options do not go together."""
    if to.startswith("arrow") and options.packing not in _ARROW_COMPRESSIONS:
        raise UsageError(
            "compression-not-possible",
            f"arrow files cannot be compressed by {options.packing}",
            f"Use --compression {', '.join(_ARROW_COMPRESSIONS)}.",
        )


def _written_schema(schema: pa.Schema, options: WriteOptions) -> pa.Schema:
    plain = plain_schema(schema)
    return flat_schema(plain) if options.flatten else plain


def _not_written(to: str, error: Exception) -> SourceError:
    return SourceError("type-not-written", f"{to} cannot hold it: {error}", "Choose another --to.")


class Blocks:
    """Gather the tables of one unit up to a size, so that blocks depend on the content only: a context manager."""

    def __init__(self, write: Callable[[pa.Table], None]) -> None:
        self._write = write
        self._tables: list[pa.Table] = []
        self._rows = self._bytes = 0  # of them
        self._unit = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()

    def add(self, table: pa.Table, unit: int) -> None:
        """Append a table; it begins a block where it is of another unit."""
        if unit != self._unit:
            self._flush()
            self._unit = unit
        self._tables.append(table)
        self._rows += table.num_rows
        self._bytes += table.nbytes
        if self._rows >= ROWS or self._bytes >= BLOCK:
            self._flush()

    def _flush(self) -> None:
        if self._tables:
            self._write(pa.concat_tables(self._tables))
            self._tables, self._rows, self._bytes = [], 0, 0
