"""Concatenate parquet files of one schema: their row groups' bytes are copied, only the footers are written again."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from anabranch.formats.columnar import thrift
from anabranch.formats.segments import copy, damage_noticed

MAGIC = b"PAR1"
TAIL = 8  # bytes: length of the footer, magic

# Field numbers of parquet.thrift
FILE_SCHEMA, FILE_ROWS, FILE_GROUPS = 2, 3, 4
GROUP_COLUMNS, GROUP_ROWS, GROUP_OFFSET, GROUP_ORDINAL = 1, 3, 5, 7
CHUNK_OFFSET, CHUNK_META = 2, 3
CHUNK_INDEXES = (4, 5, 6, 7)  # offset and length of the offset index and of the column index
META_OFFSETS = (9, 10, 11, 14)  # of the data page, index page, dictionary page, bloom filter


def join_parquet(parts: Sequence[Path], out: IO[bytes]) -> int:
    """Write one parquet file of the row groups of all `parts`, at least one, in their order; return its rows.

    Indexes of pages are left out, since they hold offsets themselves. Parts of different schemas, or a damaged one,
    are an AnabranchError.
    """
    joint = ParquetJoint(out)
    for part in parts:
        with part.open("rb") as file:
            joint.append(file, part.name)
    return joint.finish()


class ParquetJoint:
    """A parquet file that grows by whole parquet files; `out` begins with it."""

    def __init__(self, out: IO[bytes]) -> None:
        self.out = out
        self.end = out.write(MAGIC)
        self.footer: thrift.Struct = {}  # of the first file
        self.groups: list[thrift.Struct] = []
        self.rows = 0

    def append(self, file: IO[bytes], name: str = "") -> None:
        """Append the row groups of a parquet file to the existing ones."""
        with damage_noticed(name):
            footer, size = _read_footer(file)
            groups = footer[FILE_GROUPS][1][1]
            for group in groups:
                _shift(group, self.end - len(MAGIC))
            if sum(group[GROUP_ROWS][1] for group in groups) != footer[FILE_ROWS][1]:
                raise ValueError("its row groups have other rows than it")
            self.footer = self.footer or footer
            if footer[FILE_SCHEMA] != self.footer[FILE_SCHEMA]:
                raise ValueError("its schema is not that of the files before it")
            file.seek(len(MAGIC))
            copy(file, self.out, size)
        self.groups += groups
        self.rows += footer[FILE_ROWS][1]
        self.end += size

    def finish(self) -> int:
        """Write the footer and return the rows of the whole file, as pyarrow reads them from that footer."""
        with damage_noticed(""):
            self.footer[FILE_ROWS] = (thrift.I64, self.rows)
            self.footer[FILE_GROUPS] = (thrift.LIST, (thrift.STRUCT, self.groups))
            footer = thrift.encode(self.footer)
            tail = footer + struct.pack("<I", len(footer)) + MAGIC
            rows = pq.read_metadata(pa.BufferReader(MAGIC + tail)).num_rows
        self.out.write(tail)
        return int(rows)


def _read_footer(file: IO[bytes]) -> tuple[thrift.Struct, int]:
    """Return the footer, and how many bytes lie between the magic and it."""
    end = file.seek(0, 2)
    file.seek(max(end - TAIL, 0))
    length, magic = struct.unpack("<I4s", file.read(TAIL))
    size = end - TAIL - length - len(MAGIC)
    if magic != MAGIC or size < 0:
        raise ValueError("it does not end as parquet does")
    file.seek(len(MAGIC) + size)
    return thrift.decode(file.read(length)), size


def _shift(group: thrift.Struct, by: int) -> None:
    """Move a row group's offsets by `by` bytes; its ordinal is only used for encryption, and may be absent."""
    group.pop(GROUP_ORDINAL, None)
    _add(group, GROUP_OFFSET, by)
    for chunk in group[GROUP_COLUMNS][1][1]:
        for index in CHUNK_INDEXES:
            chunk.pop(index, None)
        _add(chunk, CHUNK_OFFSET, by)
        for field in META_OFFSETS:
            _add(chunk[CHUNK_META][1], field, by)


def _add(fields: dict[int, tuple[int, Any]], number: int, by: int) -> None:
    kind, offset = fields.get(number, (thrift.I64, 0))
    if offset:  # 0 means that there is no such place
        fields[number] = (kind, offset + by)
