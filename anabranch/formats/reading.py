"""Read any file: look at its head, then give its rows chunk by chunk, each of which can be parsed or examined."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, Protocol, Self

import pyarrow as pa

from anabranch.core.errors import AnabranchError, SourceError, UsageError
from anabranch.formats.cells import Cells, Field
from anabranch.formats.columnar import cells as table_cells
from anabranch.formats.columnar import reading as columnar
from anabranch.formats.delimited import blocks, dialect
from anabranch.formats.delimited import cells as delimited_cells
from anabranch.formats.delimited import parsing as delimited
from anabranch.formats.foreign import reading as foreign
from anabranch.formats.formats import TEXT, UNITS, WHOLE, format_of
from anabranch.formats.json import array as json_array
from anabranch.formats.json import cells as json_cells
from anabranch.formats.json import lines as jsonlines
from anabranch.formats.json import paths as json_paths
from anabranch.formats.meaning import require_read
from anabranch.formats.model import BLOCK, Look, without
from anabranch.formats.options import DELIMITED, ReadOptions
from anabranch.schema import tables
from anabranch.schema.fit import BadRow, Examined, MisfitError
from anabranch.schema.schema import load_schema
from anabranch.sources import codecs, remote
from anabranch.sources.finding import find
from anabranch.sources.source import Source

HEAD_BYTES = 1 << 20  # of decompressed content, that decide format, dialect and first types
_MOST_HEAD_BYTES = 64 << 20  # where the user wants more rows than these hold
_ROW_BYTES = 512  # of a long row


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk(ABC):
    """Some consecutive rows of a file, not yet parsed."""

    unit: int  # rows of different units never share a row group
    options: ReadOptions
    offset: int = -1  # of the first byte in the text, where rows have one

    @abstractmethod
    def parse(self, wanted: pa.Schema) -> pa.Table:
        """Return the rows as a table of exactly this schema; MisfitError where a row does not fit."""

    @abstractmethod
    def examine(self, wanted: pa.Schema) -> Examined:
        """Return which rows do not fit, and the types that the others need."""

    @abstractmethod
    def without(self, bad: Sequence[BadRow]) -> Self:
        """Leave out these rows."""

    @abstractmethod
    def cells(self, fields: Sequence[Field]) -> Cells:
        """Return the records with every column as text and nothing inferred; of JSON, these fields of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextChunk(Chunk):
    """A block of text: whole records of a delimited file, or lines of JSON."""

    block: bytes
    look: Look

    def parse(self, wanted: pa.Schema) -> pa.Table:
        """See Chunk."""
        return self._parser.parse(self.block, self.look, wanted, self.options)

    def examine(self, wanted: pa.Schema) -> Examined:
        """See Chunk."""
        return self._parser.examine(self.block, self.look, wanted, self.options)

    def without(self, bad: Sequence[BadRow]) -> Self:
        """See Chunk."""
        return replace(self, block=without(self.block, bad))

    def cells(self, fields: Sequence[Field]) -> Cells:
        """See Chunk."""
        if self.look.format in DELIMITED:
            return delimited_cells.cells(self.block, self.look, self.options, self.offset)
        return json_cells.cells(self.block, self.look, self.options, self.offset, fields)

    def projected(self, paths: Mapping[str, str]) -> Self:
        """Reduce the records to the values that the paths lead to; they then have no place in the text."""
        return replace(self, block=json_paths.projected(self.block, paths), offset=-1)

    @property
    def _parser(self) -> "Parser":
        return delimited if self.look.format in DELIMITED else jsonlines


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChunk(Chunk):
    """Rows that have types already."""

    table: pa.Table
    given: tuple[str, ...] = ()  # columns whose types the user named
    native: str = "typed"

    def parse(self, wanted: pa.Schema) -> pa.Table:
        """See Chunk."""
        return tables.cast(self.table, wanted, self.options.rules, self.given)

    def examine(self, wanted: pa.Schema) -> Examined:
        """See Chunk."""
        return tables.examine(self.table, wanted, self.options.rules, self.given)

    def without(self, bad: Sequence[BadRow]) -> Self:
        """See Chunk."""
        left = {row.row for row in bad}
        kept = pa.array([row for row in range(self.table.num_rows) if row not in left], pa.int64())
        return replace(self, table=self.table.take(kept))

    def cells(self, fields: Sequence[Field]) -> Cells:  # noqa: ARG002  as for text
        """See Chunk."""
        return table_cells.cells(self.table, self.native)


class Parser(Protocol):
    """The module that knows a text format."""

    parse: Callable[[bytes, Look, pa.Schema, ReadOptions], pa.Table]
    examine: Callable[[bytes, Look, pa.Schema, ReadOptions], Examined]


def look_at(source: Source, options: ReadOptions) -> Look:
    """Read the head of a file: its codec, format, dialect, columns and their least types."""
    with codecs.open_source(source) as raw:
        start = raw.read(HEAD_BYTES + 1)  # one byte more shows whether there is more
    codec = "" if source.packed else codecs.sniff_named(source.path, start)
    if codec:
        with codecs.open_text(source, codec) as text:
            start = text.read(HEAD_BYTES + 1)
    _require_once(source, codec or source.packed, start)
    if not start:
        raise SourceError("empty-source", "the file is empty", "Leave it out, or fetch it again.", source.label)
    name = codecs.inner_name(source) if codec == "zip" else remote.named(source.path)
    if not options.format:
        _require_no_page(source, start)
    kind = options.format or foreign.format_of(name) or format_of(name, start, source.label)
    misnamed = _misnamed(source, codec)
    if misnamed and not codec and kind in TEXT and b"\0" in start and _encoding(options, start) == "utf-8":
        reason = f"it is neither a {codecs.named_codec(source.path)} file nor text"
        raise SourceError("source-damaged", reason, "Fetch the file again.", source.label)
    look = _look(source, codec, kind, options.for_format(kind), start)
    kept = options.keeps_records
    return replace(look, codec=codec, warnings=(*misnamed, *look.warnings), keeps_records=kept)


def _look(source: Source, codec: str, kind: str, options: ReadOptions, start: bytes) -> Look:
    if kind in (*UNITS, *WHOLE):
        return columnar.look_columnar(partial(opened, source, codec), kind, options)
    if kind not in TEXT:
        return foreign.look_foreign(partial(opened, source, codec), kind, options, _foreign_options(options))
    encoding = _encoding(options, start)
    if path := _record_list(options, kind):
        with codecs.open_text(source, codec, encoding) as text:
            head = next(json_array.lines_of_array(text, HEAD_BYTES, path), b"")
        return replace(jsonlines.look_records(head, options), encoding=encoding)
    size = min(max(options.head * _ROW_BYTES, HEAD_BYTES), _MOST_HEAD_BYTES)
    whole = len(start) <= HEAD_BYTES
    head = start if whole else start[:HEAD_BYTES]
    if encoding != "utf-8" or (size > HEAD_BYTES and not whole):
        with codecs.open_text(source, codec, encoding) as text:
            head, whole = text.read(size), not text.read(1)
    if kind in DELIMITED:
        return replace(dialect.look_delimited(head, whole, options, kind), encoding=encoding)
    return replace(jsonlines.look_json(head, whole, options), encoding=encoding)


def _encoding(options: ReadOptions, start: bytes) -> str:
    return options.encoding or codecs.sniff_encoding(start)


def with_types(look: Look, given: pa.Schema) -> Look:
    """Take the types that the user named; the other columns keep those of the head.

    SourceError where delimited text lacks one of the columns.
    """
    missing = [name for name in given.names if name not in look.schema.names]
    if missing and look.dialect:
        raise SourceError(
            "column-missing",
            f"the schema names a column {missing[0]!r}, which is not there",
            "Correct the schema file, or leave the source out.",
        )
    fields = [given.field(field.name) if field.name in given.names else field for field in look.schema]
    schema = pa.schema([*fields, *(given.field(name) for name in missing)])
    return replace(look, schema=schema, given=tuple(given.names))


def chunks(source: Source, look: Look, options: ReadOptions, units: range, cuts: Sequence[int] = ()) -> Iterator[Chunk]:
    """Return the chunks of some units of a file: row groups, stripes or batches, blocks between cuts, or all of it.

    No chunk is held here while the next one is read.
    """
    found = _chunks(source, look, options, units, cuts)
    if options.paths and not (look.dialect or look.keeps_records):
        return map(partial(_projected, options.paths), found)
    return found


def _projected(paths: Mapping[str, str], chunk: "TextChunk | TableChunk") -> "TextChunk | TableChunk":
    return chunk.projected(paths) if isinstance(chunk, TextChunk) else chunk


def _chunks(
    source: Source, look: Look, options: ReadOptions, units: range, cuts: Sequence[int]
) -> Iterator["TextChunk | TableChunk"]:
    if look.format not in TEXT:
        for unit, table in _tables(source, look, options, units):
            native = "sheet" if look.format == "excel" else "typed"
            yield TableChunk(table=table, unit=unit, options=options, given=look.given, native=native)
    elif cuts:
        with codecs.open_source(source) as raw:
            for unit in units:
                raw.seek(cuts[unit])
                size = cuts[unit + 1] - cuts[unit]
                yield TextChunk(
                    block=_exactly(raw, size, source), offset=cuts[unit], unit=unit, look=look, options=options
                )
    else:
        with codecs.open_text(source, look.codec, look.encoding) as text:
            if look.format == "json":  # whose rows are written again, and so have no place in the text
                path = _record_list(options, look.format)
                for unit, block in enumerate(json_array.lines_of_array(text, path=path)):
                    yield TextChunk(block=block, unit=unit, look=look, options=options)
                return
            offset = look.data_start
            for unit, block in enumerate(blocks.blocks(text, look, block=BLOCK)):
                yield TextChunk(block=block, offset=offset, unit=unit, look=look, options=options)
                offset += len(block)


def _tables(source: Source, look: Look, options: ReadOptions, units: range) -> Iterator[tuple[int, pa.Table]]:
    """Yield the tables of a file that is not text, each with its unit."""
    open_bytes = partial(opened, source, look.codec)
    if look.format in (*UNITS, *WHOLE):
        for unit, batch in columnar.read_units(open_bytes, look, units, source.work):
            yield unit, pa.Table.from_batches([batch])
    else:
        for table in foreign.read_tables(open_bytes, look.format, options, _foreign_options(options)):
            yield 0, table


def opened(source: Source, codec: str) -> IO[bytes]:
    """Open a file's decompressed bytes, seekable where they are not compressed."""
    return codecs.open_text(source, codec) if codec else codecs.open_source(source)


def cuttable(source: Source, look: Look) -> bool:
    """Whether blocks of the file can be read each on its own; not if its server does not send its length."""
    return source.text_size > 0 and not look.codec and look.encoding == "utf-8" and look.format in (*DELIMITED, "jsonl")


def rows_before(source: Source, look: Look, stop: int) -> int | None:
    """Count the rows of delimited text before the record that begins at a byte; None where that cannot be known."""
    with suppress(AnabranchError, OSError), codecs.open_text(source, look.codec, look.encoding) as text:
        return blocks.rows_before(text, look, stop)
    return None


def read_batches(
    path: str, options: ReadOptions | None = None, formats: set[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Read sources from start to end as record batches; batches of one file may have different types.

    A row that cannot be read is a SourceError. An option that means nothing for a source is a UsageError, or, where
    there are other sources too, the format is added to `formats`.
    """
    chosen = options or ReadOptions()
    given = load_schema(chosen.schema_file) if chosen.schema_file else None
    found = find([path])
    if found.errors:
        raise found.errors[0]
    for one in found.sources:
        source = replace(one, most=chosen.max_unpacked or "")
        look, rows = look_at(source, chosen), 0
        if formats is None:
            require_read(chosen, [look.format])
        else:
            formats.add(look.format)
        look = look if given is None else with_types(look, given)
        for chunk in chunks(source, look, chosen, range(max(len(look.units), 1))):
            table = _read(chunk, look, source, rows)
            rows += table.num_rows
            yield from table.to_batches()


def _read(chunk: Chunk, look: Look, source: Source, before: int) -> pa.Table:
    """Parse a chunk with the types that it needs; so many rows come before it."""
    with suppress(MisfitError):
        return chunk.parse(look.schema)
    seen = chunk.examine(look.schema)
    if seen.bad:
        row = seen.bad[0]
        raise SourceError("bad-row", row.reason, "Correct the row.", source.label, f"row {before + row.row + 1}")
    return chunk.parse(seen.schema)


def _record_list(options: ReadOptions, kind: str) -> str:
    """Return the keys that lead to a list of records within a JSON file; an empty text where it is the whole file."""
    given = _foreign_options(options) if kind == "json" else {}
    for name in given:
        if name != "tag":
            raise UsageError("format-options", f"json has no option {name!r}", "The options of json: tag.")
    return given.get("tag", "")


def _foreign_options(options: ReadOptions) -> Mapping[str, str]:
    return foreign.parse_options(options.format_options or "")


def _exactly(raw: IO[bytes], size: int, source: Source) -> bytes:
    data = raw.read(size)
    if len(data) != size:
        raise SourceError("source-changed", "it became shorter", "Run the same command again.", source.label)
    return data


def _require_once(source: Source, codec: str, start: bytes) -> None:
    """Refuse what is compressed twice, whether or not it was unpacked before."""
    if codec and (within := codecs.sniff(start)):
        reason = f"it is compressed twice: {within} within {codec}"
        raise SourceError("format-unknown", reason, "Decompress it once.", source.label)


def _require_no_page(source: Source, start: bytes) -> None:
    """Refuse an HTML page, which servers send in place of a file, under any name."""
    if re.match(
        rb"(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)?<(?:!doctype\s+html|html)\b", start, re.IGNORECASE | re.DOTALL
    ):
        remedy = "Fetch the file itself: the page may ask for a login, or tell of an error."
        raise SourceError("not-a-table", "it is an HTML page and no table", remedy, source.label)


def _misnamed(source: Source, codec: str) -> tuple[str, ...]:
    named = codecs.named_codec(source.path)
    codec = codec or source.packed
    if named == codec:
        return ()
    return (f"its name says {named or 'not compressed'}, its content {codec or 'not compressed'}",)
