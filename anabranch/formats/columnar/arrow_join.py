"""Write arrow files, and concatenate those of one schema: only the list of record batches is written again."""

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa

from anabranch.formats.segments import copy, damage_noticed

MAGIC = b"ARROW1"
TAIL = 4 + len(MAGIC)  # bytes: length of the footer, magic
END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"
MOST_ROWS = 256 << 10  # of a record batch
BATCHES = 3  # field number of the list of record batches in the footer
BLOCK = struct.Struct("<qi4xq")  # offset, and sizes of metadata and body, of a record batch


@dataclass(frozen=True, slots=True)
class _Footer:
    """The end of an arrow file: a flatbuffer, the position of its list's address, and the list."""

    data: bytes
    slot: int
    blocks: tuple[tuple[int, int, int], ...]
    begin: int  # bytes before the first record batch: magic, schema
    end: int  # of the last record batch


class ArrowSegment:
    """Takes blocks as record batches of an arrow file."""

    def __init__(self, out: IO[bytes], schema: pa.Schema, compression: str) -> None:
        options = pa.ipc.IpcWriteOptions(compression=None if compression == "none" else compression, use_threads=False)
        self._writer = pa.ipc.new_file(out, schema, options=options)

    def write(self, table: pa.Table) -> None:
        """Append a block; its chunks are not batches, since they may depend on how it was read."""
        self._writer.write_table(table.combine_chunks(), max_chunksize=MOST_ROWS)

    def finish(self) -> None:
        """Write the footer."""
        self._writer.close()


def join_arrow(parts: Sequence[Path], out: IO[bytes], schema: pa.Schema) -> int:
    """Write one arrow file of the record batches of all `parts`, which have this schema; return its rows.

    A schema with dictionaries is not possible.
    """
    empty = io.BytesIO()
    ArrowSegment(empty, schema, "none").finish()
    frame = _read_footer(empty)
    out.write(empty.getvalue()[: frame.begin])
    blocks: list[bytes] = []
    rows, at = 0, frame.begin
    for part in parts:
        with part.open("rb") as file, damage_noticed(part.name):
            rows += count_rows(part)
            footer = _read_footer(file)
            file.seek(footer.begin)
            copy(file, out, footer.end - footer.begin)
        blocks += [BLOCK.pack(offset - footer.begin + at, *sizes) for offset, *sizes in footer.blocks]
        at += footer.end - footer.begin
    data = _with_blocks(frame, blocks)
    out.write(END_OF_STREAM + data + struct.pack("<i", len(data)) + MAGIC)
    return rows


def count_rows(path: Path) -> int:
    """Count the rows of an arrow file, from its batches' metadata."""
    with pa.memory_map(str(path)) as file:
        return int(pa.ipc.open_file(file).count_rows())


def _read_footer(file: IO[bytes]) -> _Footer:
    end = file.seek(0, 2) - TAIL
    file.seek(end)
    (length,) = struct.unpack(f"<i{len(MAGIC)}x", file.read(TAIL))
    file.seek(end - length)
    data = file.read(length)
    slot = _slot(data)
    blocks = tuple(BLOCK.iter_unpack(_list(data, slot)))
    last = end - length - len(END_OF_STREAM)
    return _Footer(data, slot, blocks, blocks[0][0] if blocks else last, last)


def _slot(data: bytes) -> int:
    """Find where the flatbuffer's root table keeps the address of the list of record batches."""
    (root,) = struct.unpack_from("<I", data)
    (back,) = struct.unpack_from("<i", data, root)
    (field,) = struct.unpack_from("<H", data, root - back + 4 + 2 * BATCHES)
    return int(root + field)


def _list(data: bytes, slot: int) -> bytes:
    at = slot + struct.unpack_from("<I", data, slot)[0]
    (count,) = struct.unpack_from("<I", data, at)
    return data[at + 4 : at + 4 + count * BLOCK.size]


def _with_blocks(footer: _Footer, blocks: Sequence[bytes]) -> bytes:
    """Append another list to the end of a footer: addresses in a flatbuffer are relative and only point forwards."""
    data = bytearray(footer.data)
    data += bytes(-(len(data) + 4) % 8)  # the list's items lie at multiples of eight
    struct.pack_into("<I", data, footer.slot, len(data) - footer.slot)
    return bytes(data + struct.pack("<I", len(blocks)) + b"".join(blocks))
