"""Records that are rejected: with their place in the file, as they are written there, and every fault of theirs."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from anabranch.formats.catalogue import File
from anabranch.formats.cells import Cells
from anabranch.formats.delimited.writing import csv_header
from anabranch.formats.options import DELIMITED
from anabranch.sources import codecs
from anabranch.tables.target import REJECTS, ImportFile

_PIECE = 4 << 20  # bytes read at once
_FAR = 8 << 30  # bytes before a record, beyond which its line is not counted
_WIDE = ("utf-16", "utf-32")  # whose line ends are more than one byte


class Reject(NamedTuple):
    """A fault of a record, which is counted from 0 within its chunk."""

    record: int
    column: str | None
    value: str | None
    code: str
    message: str


def described(file: File, reports: str) -> ImportFile:
    """Fingerprint a source's bytes as they are stored, and say how its rejects are to be written."""
    look, source = file.look, file.source
    header, ending = b"", ".csv"
    if look.format in DELIMITED:
        ending = f".{look.format}"
        with codecs.open_text(source, look.codec, look.encoding) as text:
            header = _encoded(text.read(look.data_start), look.encoding)
    elif look.format in ("json", "jsonl"):
        ending = ".jsonl"
    else:
        header = csv_header(list(look.names), ",")
    return ImportFile(source.label, _sha256(file), source.size, reports, header, ending)


def _sha256(file: File) -> str:
    digest = hashlib.sha256()
    with codecs.open_source(replace(file.source, spans=(), packed="")) as raw:
        while piece := raw.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def table_of(rejects: Sequence[Reject], cells: Cells, encoding: str, before: tuple[int, int | None]) -> pa.Table:
    """Write the rejects of a chunk; before it come so many records of the part, and so many lines of the file."""
    records, lines = before
    ordered = sorted(rejects, key=lambda reject: reject.record)
    numbers = sorted({reject.record for reject in ordered})
    places = dict(zip(numbers, cells.locate(numbers), strict=True))
    found = [places[reject.record] for reject in ordered]
    known = encoding == "utf-8"
    columns: list[Iterable[object]] = [
        [reject.record + records for reject in ordered],
        [None if lines is None or place.line is None else place.line + lines + 1 for place in found],
        [place.byte if known else None for place in found],
        [_encoded(place.raw, encoding) for place in found],
        [reject.column for reject in ordered],
        [reject.value for reject in ordered],
        [reject.code for reject in ordered],
        [reject.message for reject in ordered],
    ]
    arrays = [pa.array(column, kind.type) for column, kind in zip(columns, REJECTS, strict=True)]
    return pa.Table.from_arrays(arrays, schema=REJECTS)


def lines_before(file: File, byte: int) -> int | None:
    """Count the lines before a byte of a file that is read in blocks; None where that would take long."""
    if byte > _FAR:
        return None
    newline = (file.look.dialect.newline if file.look.dialect else "\n").encode()
    count = 0
    with codecs.open_source(file.source) as raw:
        while byte and (piece := raw.read(min(_PIECE, byte))):
            count += piece.count(newline)
            byte -= len(piece)
    return count


def _encoded(text: bytes, encoding: str) -> bytes:
    """Write UTF-8 in the encoding of the file, so that what is corrected can be read by the same options."""
    if encoding == "utf-8" or encoding.startswith(_WIDE):
        return text
    return text.decode(errors="replace").encode(encoding, errors="replace")


def part_files(folder: str, key: str) -> tuple[Path, Path]:
    """Name the files of a part: its rows, its rejects."""
    return Path(folder) / f"{key}.rows.arrow", Path(folder) / f"{key}.rejects.arrow"
