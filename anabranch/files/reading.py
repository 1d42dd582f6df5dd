"""Read any file: look at its head, then give its rows chunk by chunk, each of which can be parsed or examined."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO, Protocol

import pyarrow as pa

from anabranch.errors import SourceError
from anabranch.files import codecs, columnar, delimited, dialect, json_array, jsonlines, tables
from anabranch.files.blocks import blocks
from anabranch.files.formats import TEXT, UNITS, format_of
from anabranch.files.model import BadRow, Examined, Look, MisfitError, Source
from anabranch.files.options import ReadOptions

HEAD_BYTES = 1 << 20  # of decompressed content, that decide format, dialect and first types
WHOLE_FILE = range(1)  # the units of a file that is not cut


class Chunk(Protocol):
    """Some consecutive rows of a file, not yet parsed; `offset` is that of its first byte in the text."""

    offset: int

    def parse(self, wanted: pa.Schema) -> pa.Table:
        """Give the rows as a table of exactly this schema; MisfitError where a row does not fit."""

    def examine(self, wanted: pa.Schema) -> Examined:
        """Tell which rows do not fit, and the types that the others need."""

    def without(self, bad: Sequence[BadRow]) -> "Chunk":
        """Leave out these rows."""


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A block of text: whole records of a delimited file, or lines of JSON."""

    block: bytes
    offset: int
    look: Look
    options: ReadOptions

    def parse(self, wanted: pa.Schema) -> pa.Table:
        """See Chunk."""
        return self._parser.parse(self.block, self.look, wanted, self.options)

    def examine(self, wanted: pa.Schema) -> Examined:
        """See Chunk."""
        return self._parser.examine(self.block, self.look, wanted, self.options)

    def without(self, bad: Sequence[BadRow]) -> "TextChunk":
        """See Chunk."""
        kept, begin = [], 0
        for row in bad:
            kept.append(self.block[begin : row.offset])
            begin = row.offset + row.size
        return replace(self, block=b"".join([*kept, self.block[begin:]]))

    @property
    def _parser(self) -> "Parser":
        return delimited if self.look.format in ("csv", "tsv") else jsonlines


class Parser(Protocol):
    """The module that knows a text format."""

    parse: Callable[[bytes, Look, pa.Schema, ReadOptions], pa.Table]
    examine: Callable[[bytes, Look, pa.Schema, ReadOptions], Examined]


@dataclass(frozen=True, slots=True)
class TableChunk:
    """Rows that have types already."""

    table: pa.Table
    offset: int
    options: ReadOptions

    def parse(self, wanted: pa.Schema) -> pa.Table:
        """See Chunk."""
        return tables.cast(self.table, wanted)

    def examine(self, wanted: pa.Schema) -> Examined:
        """See Chunk."""
        return tables.examine(self.table, wanted, self.options)

    def without(self, bad: Sequence[BadRow]) -> "TableChunk":
        """See Chunk."""
        left = {row.row for row in bad}
        return replace(self, table=self.table.take([row for row in range(self.table.num_rows) if row not in left]))


def look_at(source: Source, options: ReadOptions) -> Look:
    """Read the head of a file: its codec, format, dialect, columns and their least types."""
    with codecs.open_source(source) as raw:
        start = raw.read(HEAD_BYTES)
    if not start:
        raise SourceError("empty-source", "the file is empty", "Leave it out, or fetch it again.", source.label)
    codec = codecs.sniff(start)
    if codec:
        with codecs.open_text(source, codec) as text:
            start = text.read(HEAD_BYTES)
    encoding = options.encoding or codecs.sniff_encoding(start)
    kind = options.format or format_of(source.path, start, source.label)
    warnings, options = _misnamed(source, codec), options.for_format(kind)
    if kind not in TEXT:
        look = columnar.look_columnar(lambda: opened(source, codec), kind, options)
        return replace(look, codec=codec, warnings=(*warnings, *look.warnings))
    with codecs.open_text(source, codec, encoding) as text:
        head = text.read(HEAD_BYTES)
        whole = not text.read(1)
    look = (
        dialect.look_delimited(head, whole, options, kind)
        if kind in ("csv", "tsv")
        else jsonlines.look_json(head, whole, options)
    )
    return replace(look, codec=codec, encoding=encoding, warnings=(*warnings, *look.warnings))


def chunks(source: Source, look: Look, options: ReadOptions, units: range, cuts: Sequence[int] = ()) -> Iterator[Chunk]:
    """Give the chunks of some units of a file: row groups, stripes or batches, blocks between cuts, or all of it."""
    if look.format in UNITS:
        for batch in columnar.read_columnar(lambda: opened(source, look.codec), look, units.start, units.stop):
            yield TableChunk(pa.Table.from_batches([batch]), -1, options)
    elif look.format not in TEXT:
        for batch in columnar.read_columnar(lambda: opened(source, look.codec), look, 0, 1):
            yield TableChunk(pa.Table.from_batches([batch]), -1, options)
    elif cuts:
        with codecs.open_source(source) as raw:
            for unit in units:
                raw.seek(cuts[unit])
                yield TextChunk(_exactly(raw, cuts[unit + 1] - cuts[unit], source), cuts[unit], look, options)
    else:
        with codecs.open_text(source, look.codec, look.encoding) as text:
            offset = look.data_start if look.format != "json" else 0
            stream = json_array.lines_of_array(text) if look.format == "json" else blocks(text, look)
            for block in stream:
                yield TextChunk(block, offset, look, options)
                offset += len(block)


def opened(source: Source, codec: str) -> IO[bytes]:
    """Open a file's decompressed bytes, seekable."""
    return codecs.open_text(source, codec) if codec else codecs.open_source(source)


def read_batches(path: str, options: ReadOptions | None = None) -> Iterator[pa.RecordBatch]:
    """Read one file from begin to end as record batches; a row that does not fit its head's types is a SourceError."""
    from anabranch.files.sources import find

    options = options or ReadOptions()
    found = find([path], None)
    for error in found.errors:
        raise error
    for source in found.sources:
        look = look_at(source, options)
        for chunk in chunks(source, look, options, WHOLE_FILE if not look.units else range(len(look.units))):
            try:
                table = chunk.parse(look.schema)
            except MisfitError:
                table = chunk.parse(chunk.examine(look.schema).schema)
            yield from table.to_batches()


def cuttable(source: Source, look: Look) -> bool:
    """Whether blocks of the file can be read each on its own."""
    return not look.codec and look.encoding == "utf-8" and look.format in TEXT and look.format != "json"


def _exactly(raw: IO[bytes], size: int, source: Source) -> bytes:
    data = raw.read(size)
    if len(data) != size:
        raise SourceError("source-changed", "it became shorter", "Run the same command again.", source.label)
    return data


def _misnamed(source: Source, codec: str) -> tuple[str, ...]:
    named = codecs.named_codec(source.path)
    if named == codec:
        return ()
    return (f"{source.label}: its name says {named or 'not compressed'}, its content {codec or 'not compressed'}",)
