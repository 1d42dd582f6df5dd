"""Read a sheet of a workbook (xlsx, xls, xlsb, ods) as record batches: one by name, or the first that is filled."""

import datetime as dt
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from typing import IO, Any

import pyarrow as pa
from pyarrow import types
from python_calamine import CalamineSheet, CalamineWorkbook, SheetMetadata, SheetVisibleEnum

from anabranch.core.errors import SourceError
from anabranch.formats.columnar.excel_errors import error_cells
from anabranch.formats.headers import header_warnings
from anabranch.formats.options import ReadOptions

_ROWS = 8 << 10  # of a batch
_EXACT = 1 << 53  # integers up to here are exact in a cell, which is a double

Row = Sequence[Any]
Errors = Mapping[tuple[int, int], str]

_STAMP = pa.timestamp("us")
_KINDS: dict[type, pa.DataType] = {
    str: pa.string(), bool: pa.bool_(), int: pa.float64(), float: pa.float64(), dt.datetime: _STAMP, dt.date: _STAMP,
    dt.time: pa.time64("us"), dt.timedelta: pa.duration("us"),
}  # fmt: skip


class ExcelFile:
    """A sheet whose first row names the columns, where the options say so; rows without any value are left out.

    A column's type is that of the first rows, and text where they mix; each batch has the types that its own
    values need. Whole numbers are integers and dates timestamps, since a cell does not distinguish them from others.
    An error cell of an xlsx file is its text, such as #DIV/0!. A hidden sheet is only read by its name.
    """

    def __init__(self, file: IO[bytes], options: ReadOptions) -> None:
        book = _opened(file)
        name, first, rows = _filled(book, options, partial(error_cells, file))
        others = ", ".join(_shown(other) for other in book.sheets_metadata if other.name != name)
        self.warnings: tuple[str, ...] = (
            (f"only the sheet {name!r} was read, not {others}",) if others and not options.sheet else ()
        )
        if options.header:
            self.warnings += header_warnings([_text(cell) for cell in first])
        if not options.header:
            rows = chain([first], rows)
        self._names = [_text(cell) if options.header else "" for cell in first]
        head = list(islice(rows, options.head))
        self.schema = self._batch(head, [options.infer == "none"] * len(first)).schema
        self._rows = chain(head, rows)

    def units(self) -> tuple[int, ...]:
        """Cut nothing."""
        return ()

    def batches(self, _: int, wanted: pa.Schema, /) -> Iterator[pa.RecordBatch]:
        """Yield all rows; columns that are wanted as text hold text, whatever their values look like here."""
        texts = [types.is_string(kind) for kind in wanted.types]
        while rows := list(islice(self._rows, _ROWS)):
            yield self._batch(rows, texts)

    def _batch(self, rows: Sequence[Row], texts: Sequence[bool]) -> pa.RecordBatch:
        columns = [_column([row[place] for row in rows], text) for place, text in enumerate(texts)]
        return pa.RecordBatch.from_arrays(columns, names=self._names)


def _opened(file: IO[bytes]) -> CalamineWorkbook:
    """Open a workbook where it lies, so that only its cells are held and not its bytes, too; else from memory."""
    try:
        return CalamineWorkbook.from_path(f"/proc/self/fd/{file.fileno()}")
    except io.UnsupportedOperation:  # it is at a URL, or is unpacked while it is read
        return CalamineWorkbook.from_filelike(io.BytesIO(file.read()))


def _filled(
    book: CalamineWorkbook, options: ReadOptions, errors: Callable[[str], Errors]
) -> tuple[str, Row, Iterator[Row]]:
    """Return the named sheet, or else the first visible one that holds anything: its name, first row and other rows."""
    named, skipped = options.sheet, options.skip_rows
    if named and named not in book.sheet_names:
        known = ", ".join(map(repr, book.sheet_names))
        raise SourceError("sheet-missing", f"there is no sheet {named!r}", f"Name one of {known} with --sheet.")
    hidden = [sheet.name for sheet in book.sheets_metadata if _is_hidden(sheet)]
    names = [named] if named else [name for name in book.sheet_names if name not in hidden]
    for name in names:
        rows = _rows(book.get_sheet_by_name(name), errors(name), skipped)
        if first := next(rows, None):
            return name, first, rows
    for name in [] if named else hidden:
        if any(_rows(book.get_sheet_by_name(name), {}, skipped)):
            reason = f"of the sheets only hidden ones hold anything: {name!r}"
            raise SourceError("sheet-missing", reason, "Name it with --sheet, or leave the file out.")
    raise SourceError("empty-source", "no sheet holds anything", "Leave it out.")


def _is_hidden(sheet: SheetMetadata) -> bool:
    return bool(sheet.visible != SheetVisibleEnum.Visible)


def _shown(sheet: SheetMetadata) -> str:
    return repr(sheet.name) + " (hidden)" * _is_hidden(sheet)


def _rows(sheet: CalamineSheet, errors: Errors, skipped: int) -> Iterator[Row]:
    rows: Iterator[Row] = sheet.iter_rows()
    if errors:
        left = sheet.start[1] if sheet.start else 0  # the library leaves out empty columns there, but no rows
        rows = (_with_errors(row, number, left, errors) for number, row in enumerate(rows))
    return (row for row in islice(rows, skipped, None) if any(cell != "" for cell in row))


def _with_errors(row: Row, number: int, left: int, errors: Errors) -> Row:
    return [errors.get((number, place), cell) if cell == "" else cell for place, cell in enumerate(row, left)]


def _column(cells: Sequence[Any], text: bool) -> pa.Array:
    """Make a column of the narrowest type; an empty cell is null."""
    kinds = {_KINDS[type(cell)] for cell in cells if cell != ""}
    if text or len(kinds) > 1 or kinds == {pa.string()}:
        return pa.array([None if cell == "" else _text(cell) for cell in cells], pa.string())
    kind = next(iter(kinds), pa.null())
    values: list[Any] = [_midnight(cell) if type(cell) is dt.date else None if cell == "" else cell for cell in cells]
    if types.is_floating(kind) and all(value is None or _is_whole(value) for value in values):
        return pa.array([None if value is None else int(value) for value in values], pa.int64())
    return pa.array(values, kind)


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day)  # noqa: DTZ001  a cell has no time zone


def _is_whole(number: float) -> bool:
    return abs(number) <= _EXACT and number == int(number)


def _text(cell: Any) -> str:
    if isinstance(cell, dt.datetime):
        return cell.isoformat(" ")
    if isinstance(cell, bool):
        return str(cell).lower()
    return str(int(cell) if isinstance(cell, float) and _is_whole(cell) else cell)
