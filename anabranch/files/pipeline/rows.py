"""Read the rows of a span as chunks of records, and find the rows that are not records."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa

from anabranch.files.pipeline.shares import Span, bounds, cut, shares_of
from anabranch.files.work import parsed, placed
from anabranch.formats.catalogue import File
from anabranch.formats.options import ReadOptions
from anabranch.formats.reading import Chunk, TextChunk
from anabranch.schema.fit import BadRow

Record = dict[str, Any]

_RAW = 1000  # characters of a row that is set aside
_DIGITS_AS_ZERO = bytes(ord("0") if byte in b"0123456789" else ord(" ") for byte in range(256))
_LONG_NUMBER = b"0" * 19  # in such a translation: perhaps an integer that orjson would round


@dataclass(slots=True)
class Group:
    """Rows that are cut into chunks together: those of a block of text, or of a row group.

    The pieces are tables, or lists of lines that `loads` decodes.
    """

    unit: int
    rows: int  # tables are without the bad ones, lines with them
    pieces: Iterable[Any]
    size: int = 0  # bytes of text
    bad: list[BadRow] = field(default_factory=list)  # of lines: those that were decoded
    loads: Callable[[bytes], Any] | None = None  # where the pieces are lines

    def chunks(self, span: Span, chunk_size: int, *, batch: bool = False) -> Iterator["Rows"]:
        """Cut the group into chunks, and give those that are the span's."""
        every = bounds(self.rows, chunk_size, batch=batch)
        chosen = shares_of(every, span.share, span.taken, span.shares, span.skip)[: span.limit or None]
        for (first, _), pieces in zip(chosen, cut(self.pieces, chosen), strict=True):
            yield Rows(self, first, pieces)


@dataclass(frozen=True, slots=True)
class Rows:
    """A chunk of a group: some consecutive rows of it, each of which `first` and an index number."""

    group: Group
    first: int
    pieces: Sequence[Any]

    def table(self) -> pa.Table:
        """Return them as a table."""
        return pa.concat_tables(self.pieces, promote_options="permissive")

    def records(self) -> list[Record]:
        """Return them as dictionaries; lines that are none go to the group's bad rows."""
        loads = self.group.loads
        if loads is None:
            return [record for table in self.pieces for record in table.to_pylist()]
        return list(self._decoded([line for lines in self.pieces for line in lines], loads))

    def number(self, index: int) -> int:
        """Return the row of a record of this chunk, counted with the bad rows of its group, which are in order."""
        number = self.first + index
        for row in self.group.bad:
            number += self.first <= row.row <= number if self.group.loads else row.row <= number
        return number

    def raw(self, row: int) -> str:
        """Return a row, which `number` has numbered, as it is written in the file, or as JSON."""
        if self.group.loads is None:
            index = row - sum(bad.row < row for bad in self.group.bad) - self.first
            record = self.table().slice(index, 1).to_pylist()[0]
            text = json.dumps(record, default=str, ensure_ascii=False)
        else:
            text = [line for lines in self.pieces for line in lines][row - self.first].decode(errors="backslashreplace")
        return text[:_RAW]

    def _decoded(self, lines: Sequence[bytes], loads: Callable[[bytes], Any]) -> Iterator[Record]:
        for row, line in enumerate(lines, self.first):
            try:
                record = loads(line)
            except ValueError as error:
                self.group.bad.append(_bad(row, line, f"malformed JSON: {error}"))
                continue
            if type(record) is dict:
                yield record
            else:
                self.group.bad.append(_bad(row, line, "a record must be an object, and this is not"))


def groups(file: File, span: Span, options: ReadOptions, *, batch: bool = False) -> Iterator[Group]:
    """Read the span's units, each as one group where its rows are known; else chunk by chunk; a batch is a table."""
    if not file.look.units:
        for chunk in file.chunks(range(span.first, span.stop), options):
            if isinstance(chunk, TextChunk) and file.look.dialect is None and not (batch or options.schema_file):
                yield _lines(chunk)
            else:
                yield _parsed([chunk], file, options)
        return
    for unit in range(span.first, span.stop):
        chunks = file.chunks(range(unit, unit + 1), options)
        if options.schema_file:  # which some rows may not fit
            yield _parsed(list(chunks), file, options)
        else:
            yield Group(unit, file.look.units[unit], (chunk.parse(file.schema) for chunk in chunks))


def _lines(chunk: TextChunk) -> Group:
    lines = [line for line in chunk.block.split(b"\n") if line and not line.isspace()]
    long_numbers = _LONG_NUMBER in chunk.block.translate(_DIGITS_AS_ZERO)
    return Group(chunk.unit, len(lines), [lines], len(chunk.block), loads=_exact if long_numbers else orjson.loads)


def _exact(line: bytes) -> Any:
    return json.loads(line, parse_constant=_no_number)


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _bad(row: int, line: bytes, reason: str) -> BadRow:
    return BadRow(row, -1, 0, line[:_RAW].decode(errors="backslashreplace"), reason)


def _parsed(chunks: Sequence[Chunk], file: File, options: ReadOptions) -> Group:
    tables, bad, before, size = [], list[BadRow](), 0, 0
    for chunk in chunks:
        table, odd = parsed(chunk, file.schema, [], options)
        bad += [placed(row, before, chunk.offset) for row in odd]
        before += table.num_rows + len(odd)
        size += len(chunk.block) if isinstance(chunk, TextChunk) else 0
        tables.append(table)
    return Group(chunks[0].unit, before - len(bad), tables, size, bad)
