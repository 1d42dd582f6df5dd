"""What the steps of a conversion tell each other about a file: where it is, what is in it, and what does not fit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from anabranch.core.errors import SourceError
from anabranch.sources.spans import Span

RAW = 2000  # characters of a bad row that are kept
LONGEST = 64 << 20  # bytes of a record, which must fit into memory
BLOCK = 8 << 20  # bytes of text; every block begins with the first record at or behind a multiple of this


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read, as it was when it was found; `path` is absolute, or a URL that fsspec reads."""

    path: str
    label: str  # its name as it can be shown, unique in the run
    size: int  # bytes on disk
    stamp: str  # changes whenever its content may have changed
    parent: str = ""  # folder below the one that was named, for patterns
    spans: tuple[Span, ...] = ()  # where its decompressed bytes lie, once it was unpacked
    packed: str = ""  # the codec that was undone then
    work: str = field(default="", compare=False, repr=False)  # folder for copies of it; no fact about the file

    @property
    def text_size(self) -> int:
        """Bytes to read: unpacked where it was."""
        return sum(span.size for span in self.spans) or self.size


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a delimited file is written; `quote` is empty where nothing is quoted."""

    delimiter: str = ","
    quote: str = '"'
    newline: str = "\n"  # the byte that ends a record: "\n" (also behind "\r"), or "\r" alone
    header: bool = True


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of a file's content: enough to cut it, and to read any piece of it."""

    format: str
    codec: str = ""  # that of the bytes as they lie there: gz, bz2, xz, zst, lz4 or none
    encoding: str = "utf-8"
    dialect: Dialect | None = None
    data_start: int = 0  # bytes of decompressed text before the first record: byte order mark, header
    names: tuple[str, ...] = ()  # columns, as the file names them
    schema: pa.Schema = field(default_factory=lambda: pa.schema([]))  # the least types that hold the first rows
    given: tuple[str, ...] = ()  # columns whose types the user named, where it is not all of them
    units: tuple[int, ...] = ()  # rows of each row group, stripe or batch, where the format has such
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that does not fit; `row` counts from 0 within what was read, blank lines left out."""

    row: int
    offset: int  # of its first byte, within the block
    size: int  # bytes of the row, its end of line included
    raw: str  # the row as it stands in the file, at most RAW characters of it
    reason: str
    column: str = ""
    value: str = ""
    expected: str = ""  # type of the column
    found: str = ""  # type of the value


def require_bounded(size: int, record: str, remedy: str) -> None:
    """Raise SourceError where a record, of which so many bytes are known, is too long; `record` says which it is."""
    if size > LONGEST:
        raise SourceError("record-too-long", f"{record} is longer than {LONGEST >> 20} MiB", remedy)


def without(block: bytes, bad: Iterable[BadRow]) -> bytes:
    """Leave out of a block the bytes of these rows, which are in order."""
    kept, begin = [], 0
    for row in bad:
        kept.append(block[begin : row.offset])
        begin = row.offset + row.size
    return b"".join([*kept, block[begin:]])


@dataclass(frozen=True, slots=True)
class Examined:
    """What a block holds, told exactly: its rows, the types that they need, and the rows that fit no type allowed."""

    rows: int  # the bad ones included
    schema: pa.Schema  # like the one that was asked for, columns as wide as this block needs them
    bad: Sequence[BadRow] = ()


class MisfitError(Exception):
    """Some row of a block does not fit the schema: examine it."""
