"""Import one part: take its records as text, coerce whole columns, and write the rows and the rejects apart."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Self, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from anabranch.core.errors import SourceError, Stopped
from anabranch.core.storage import fingerprint, published, work_file
from anabranch.formats.catalogue import File, load
from anabranch.formats.cells import Cells
from anabranch.sources.finding import require_unchanged
from anabranch.tables.coerce import coerce
from anabranch.tables.mapping import Filled, Mapped
from anabranch.tables.notation import ISO, ISO_CLOCK, Notation
from anabranch.tables.options import ImportOptions
from anabranch.tables.plan import TableCatalogue, TablePart
from anabranch.tables.rejects import Reject, lines_before, part_files, table_of
from anabranch.tables.target import RECORD, REJECTS, TableManifest

Stop = Callable[[], bool]


def work(part: TablePart, stop: Stop = lambda: False) -> TableManifest:
    """Coerce the part's records; records = rows + rejected, always.

    Raises Stopped when `stop` says so before a chunk, and SourceError where the file cannot be read.
    """
    catalogue = cast("TableCatalogue", load(part.catalogue))
    file = catalogue.files[part.file]
    try:
        manifest = _worked(catalogue, file, part, stop)
        require_unchanged(file.source)
    except SourceError as error:
        error.part = error.part or file.source.label
        raise
    return manifest


def _worked(catalogue: TableCatalogue, file: File, part: TablePart, stop: Stop) -> TableManifest:
    mapped = catalogue.mapped[part.file]
    schema = pa.schema([RECORD, *(pa.field(one.column.name, _kind(one)) for one in mapped.filled)])
    paths = part_files(part.folder, fingerprint("rows", part.key))
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        rows, rejects = (
            stack.enter_context(pa.ipc.new_file(stack.enter_context(published(path, durable=False)), kind))
            for path, kind in zip(paths, (schema, REJECTS), strict=True)
        )
        counted = _Counted(catalogue, file, part)
        for cells in counted.chunks(stop):
            good, bad = _coerced(cells, mapped, catalogue, file)
            numbers = pa.array(cells.numbers[good.kept] + counted.records)
            table = pa.Table.from_arrays([numbers, *good.columns], schema=schema)
            rows.write_table(table)
            if bad:
                rejects.write_table(table_of(bad, cells, file.look.encoding, counted.before()))
            counted.rows += table.num_rows
            counted.rejected += len({reject.record for reject in bad})
            del cells, good, bad, numbers, table  # before the next chunk is read: two would need twice the memory
    counts = {"records": counted.records, "rows": counted.rows, "rejected": counted.rejected}
    return TableManifest((work_file(paths[0]), work_file(paths[1])), counts)


def _kind(one: Filled) -> pa.DataType:
    return one.column.type.arrow if one.column.type else pa.null()


class _Counted:
    """The records of a part, chunk by chunk, with what was counted before each."""

    def __init__(self, catalogue: TableCatalogue, file: File, part: TablePart) -> None:
        self._catalogue, self._file, self._part = catalogue, file, part
        self.records = self.rows = self.rejected = 0
        self._lines = 0  # of the part's chunks so far
        self._start = -1  # first byte of the part
        self._lines_before: int | None = None

    def chunks(self: Self, stop: Stop) -> Iterator[Cells]:
        part = self._part
        fields, options = [one.field for one in self._catalogue.mapped[part.file].filled], self._catalogue.options
        seen = 0
        for chunk, all_cells in self._file.cells(range(part.first, part.stop), options, fields):
            if stop():
                raise Stopped
            if self._start < 0:
                self._start = max(chunk.offset, 0)
            _require_known(all_cells, options.unknown_columns)
            cells = all_cells
            if part.records:
                start, end = (max(bound - seen, 0) for bound in part.records)
                cells = all_cells.between(min(start, all_cells.records), min(end, all_cells.records))
            seen, records, lines = seen + all_cells.records, cells.records, all_cells.lines
            del chunk, all_cells
            yield cells
            del cells
            self.records += records
            self._lines += lines

    def before(self) -> tuple[int, int | None]:
        """Return the records of the part and the lines of the file before the chunk at hand."""
        if self._lines_before is None:
            header = self._catalogue.headers[self._part.file]
            cut = bool(self._file.cuts)
            found = lines_before(self._file, self._start) if cut else header.count(b"\n")
            if found is None:
                return self.records, None
            self._lines_before = found
        return self.records, self._lines_before + self._lines


def _require_known(cells: Cells, unknown: str) -> None:
    if cells.unknown and unknown == "fail":
        name = min(cells.unknown)
        raise SourceError(
            "unknown-column",
            f"a record has a key {name!r}, which no column takes: the table lacks it, or the first records do",
            "Name it with --mapping or --paths, or leave such keys out with --unknown-columns ignore.",
        )


class _Good:
    """The rows that every column takes."""

    def __init__(self, columns: Sequence[pa.Array], kept: np.ndarray) -> None:
        self.kept = kept
        mask = pa.array(kept)
        self.columns = list(columns) if kept.all() else [pc.filter(column, mask) for column in columns]


def _coerced(cells: Cells, mapped: Mapped, catalogue: TableCatalogue, file: File) -> tuple[_Good, list[Reject]]:
    """Coerce every column; return the rows without a fault, and the faults of the others."""
    null_keys = set(catalogue.options.key) if catalogue.options.null_keys == "reject" else set()
    names = {one.source: one.column.name for one in mapped.filled}
    rejects = [Reject(fault.record, names.get(fault.column), None, fault.code, fault.message) for fault in cells.faults]
    kept = np.ones(cells.table.num_rows, np.bool_)
    columns = []
    for one in mapped.filled:
        text = _text(cells.table.column(one.source))
        if file.look.format == "excel" and catalogue.options.null_values:
            known = pc.is_in(text, pa.array(catalogue.options.null_values, pa.string()))
            text = pc.if_else(known, pa.scalar(None, pa.string()), text)
        native = cells.native.get(one.source, "")
        notation = _notation(one, catalogue.options, native, records=file.look.format in ("json", "jsonl"))
        taken = coerce(text, one.column, notation, null_key=one.column.name in null_keys)
        columns.append(taken.values)
        for row, code, message in taken.faults:
            kept[row] = False
            value = text[row].as_py()
            rejects.append(Reject(int(cells.numbers[row]), one.column.name, value, code, message))
    return _Good(columns, kept), rejects


def _text(column: pa.ChunkedArray) -> pa.StringArray:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _notation(one: Filled, options: ImportOptions, native: str, *, records: bool) -> Notation:
    """Return how a column is written: values that we wrote ourselves are ISO, and their numbers have a point."""
    zone, formats = options.naive_timestamps, one.formats or tuple(options.date_formats)
    if native == "typed":
        return Notation(zone=zone)
    if records:  # whose numbers have a point, and no text tells them from others any more
        return Notation(date_formats=formats, zone=zone)
    if native == "sheet":
        iso = (ISO, ISO_CLOCK) if any("%H" in each for each in formats) else (ISO,)
        return Notation(date_formats=(*iso, *formats) if formats else (), zone=zone)
    return Notation(options.decimal, options.thousands, formats, zone)
