"""The error cells of a sheet (#N/A, #DIV/0!), which the library that reads workbooks gives as empty ones."""

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from xml.etree import ElementTree as ET

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_STRICT = "{http://purl.oclc.org/ooxml/spreadsheetml/main}"
_LINK = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_LINK = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"
_CELL = re.compile(rb'<c\s(?=[^>]*\bt="e")(?=[^>]*\br="([A-Z]+)(\d+)")[^>]*>.*?<v>([^<]*)</v>', re.DOTALL)
_PIECE = 4 << 20  # bytes of XML that are searched at once
_OVERLAP = 4 << 10  # more than an error cell with its formula mostly has


def error_cells(file: IO[bytes], sheet: str) -> Mapping[tuple[int, int], str]:
    """Find the error cells of a sheet of an xlsx or xlsm file by row and column, from 0; none in other workbooks."""
    with _own(file) as own:
        return _cells(own, sheet)


@contextmanager
def _own(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """Open the file once more where it lies, so that its place stays; what lies nowhere is read from its start."""
    try:
        place = Path(f"/proc/self/fd/{file.fileno()}")
    except io.UnsupportedOperation:
        file.seek(0)
        yield file
        return
    with place.open("rb") as own:
        yield own


def _cells(file: IO[bytes], sheet: str) -> Mapping[tuple[int, int], str]:
    if not zipfile.is_zipfile(file):
        return {}
    file.seek(0)
    with zipfile.ZipFile(file) as book:
        path = _path(book, sheet)
        if path not in book.namelist():
            return {}
        with book.open(path) as text:
            return _found(text)


def _found(text: IO[bytes]) -> dict[tuple[int, int], str]:
    cells: dict[tuple[int, int], str] = {}
    kept = b""
    while piece := text.read(_PIECE):
        window = kept + piece
        if b't="e"' in window:
            for cell in _CELL.finditer(window):
                cells[int(cell[2]) - 1, _column(cell[1])] = cell[3].decode()
        kept = window[-_OVERLAP:]
    return cells


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number - 1


def _path(book: zipfile.ZipFile, sheet: str) -> str:
    """Name the file of a sheet within the workbook; empty where it is not an xlsx file."""
    names = book.namelist()
    if "xl/workbook.xml" not in names or "xl/_rels/workbook.xml.rels" not in names:
        return ""
    link = ""
    for element in ET.fromstring(book.read("xl/workbook.xml")).iter():  # noqa: S314  expat limits entities
        if element.tag in (f"{_MAIN}sheet", f"{_STRICT}sheet") and element.get("name") == sheet:
            link = element.get(_LINK) or element.get(_STRICT_LINK) or ""
    for element in ET.fromstring(book.read("xl/_rels/workbook.xml.rels")):  # noqa: S314
        if element.get("Id") == link:
            target = element.get("Target") or ""
            return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
    return ""
