"""What the steps of a conversion pass on about a file: where it is, what is in it, and what does not fit."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from anabranch.core.errors import SourceError
from anabranch.schema.fit import BadRow

LONGEST = 64 << 20  # bytes of a record, which must fit into memory
BLOCK = 8 << 20  # bytes of text; every block begins with the first record at or after a multiple of this


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a delimited file is written; `quote`, `escape` and `comment` are empty where there is none."""

    delimiter: str = ","
    quote: str = '"'
    newline: str = "\n"  # the byte that ends a record: "\n" (also after "\r"), or "\r" alone
    header: bool = True
    padded: bool = False  # rows of too few cells end with empty ones
    trailing: bool = False  # whether every row, but not the header, ends with a delimiter that no cell follows
    escape: str = ""  # takes the meaning from the character that follows it, within quotes and without
    comment: str = ""  # begins a line that is not a record
    spaced: bool = False  # there may be blanks between a delimiter and a quote

    @property
    def masks(self) -> bool:
        """Whether some bytes mean nothing to who looks for cells and records, see `masking`."""
        return bool(self.escape or self.comment or self.spaced)


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of a file's content: enough to cut it, and to read any piece of it."""

    format: str
    codec: str = ""  # that of the bytes as they lie there: gz, bz2, xz, zst, lz4 or none
    encoding: str = "utf-8"
    dialect: Dialect | None = None
    data_start: int = 0  # bytes of decompressed text before the first record: byte order mark, header
    names: tuple[str, ...] = ()  # columns, as the file names them
    schema: pa.Schema = field(default_factory=lambda: pa.schema([]))  # the narrowest types that hold the first rows
    given: tuple[str, ...] = ()  # columns whose types the user named, where it is not all of them
    units: tuple[int, ...] = ()  # rows of each row group, stripe or batch, where the format has such
    warnings: tuple[str, ...] = ()
    sheet: str | None = None  # of a workbook, where the user named one
    skip_rows: int = 0  # of a sheet, before its header
    keeps_records: bool = False  # a record that cannot be read is returned with its reason, not raised


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
