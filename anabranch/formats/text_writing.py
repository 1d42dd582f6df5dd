"""Segments of text formats: compressed or plain blocks, followed by their size and number of rows, for the join."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pyarrow as pa

from anabranch.formats.compressing import compress
from anabranch.formats.delimited.writing import csv_header, csv_rows
from anabranch.formats.json.writing import json_lines
from anabranch.formats.options import DELIMITED
from anabranch.formats.segments import copy, damage_noticed

TRAILER = struct.Struct("<8sQQ")  # magic, bytes before it, rows
_MAGIC = b"segment\n"
_BETWEEN = b",\n"  # the records of a JSON array


class TextSegment:
    """Takes blocks as csv, tsv, jsonl or json, each a compressed member of its own where there is a codec."""

    def __init__(self, out: IO[bytes], kind: str, codec: str, separator: str = ",") -> None:
        self._out, self._kind, self._codec, self._separator = out, kind, codec, separator
        self._size = self._rows = 0

    def write(self, table: pa.Table) -> None:
        """Append a block of at least one row."""
        self._append(_rows(table, self._kind, self._separator), table.num_rows)

    def write_records(self, records: Sequence[bytes]) -> None:
        """Append a block of at least one record, each JSON on one line already."""
        text = _BETWEEN.join(records) if self._kind == "json" else b"\n".join([*records, b""])
        self._append(text, len(records))

    def finish(self) -> None:
        """Write the trailer."""
        self._out.write(TRAILER.pack(_MAGIC, self._size, self._rows))

    def _append(self, text: bytes | memoryview, rows: int) -> None:
        if self._rows and self._kind == "json":
            self._put(_BETWEEN)
        self._put(text)
        self._rows += rows

    def _put(self, text: bytes | memoryview) -> None:
        if text:
            self._size += self._out.write(compress(text, self._codec))


def text_head(kind: str, separator: str, names: list[str]) -> bytes:
    """Return what begins a file of these columns."""
    if kind in DELIMITED:
        return csv_header(names, separator)
    return b"[\n" if kind == "json" else b""


def join_text(segments: Sequence[Path], out: IO[bytes], kind: str, codec: str, head: bytes) -> int:
    """Write the segments between `head` and what ends such a file; return the rows."""
    rows = 0
    out.write(compress(head, codec))
    for path in segments:
        with path.open("rb") as file, damage_noticed(path.name):
            size, count = _read_trailer(file)
            if count and rows and kind == "json":
                out.write(compress(_BETWEEN, codec))
            file.seek(0)
            copy(file, out, size)
        rows += count
    if kind == "json":
        out.write(compress(b"\n]\n" if rows else b"]\n", codec))
    return rows


def _rows(table: pa.Table, kind: str, separator: str) -> bytes | memoryview:
    if kind in DELIMITED:
        return csv_rows(table, separator)
    lines: bytes = json_lines(table)
    return lines if kind == "jsonl" else lines[:-1].replace(b"\n", _BETWEEN)


def _read_trailer(file: IO[bytes]) -> tuple[int, int]:
    """Return the bytes and rows of a segment."""
    end = file.seek(0, 2) - TRAILER.size
    file.seek(max(end, 0))
    magic, size, rows = TRAILER.unpack(file.read())
    if magic != _MAGIC or size != end:
        raise ValueError("its size has changed")
    return size, rows
