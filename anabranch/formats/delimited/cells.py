"""Blocks of delimited text as cells: by pyarrow where every record can be read, else record by record."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from anabranch.formats.cells import Cells, Fault, Place, lines_before, sound
from anabranch.formats.delimited.masking import uncommented
from anabranch.formats.delimited.parsing import read_text
from anabranch.formats.delimited.quotes import Quotes, is_regular
from anabranch.formats.delimited.rows import Rows
from anabranch.formats.model import Dialect, Look
from anabranch.formats.options import ReadOptions


def cells(block: bytes, look: Look, options: ReadOptions, offset: int) -> Cells:
    """Read the records of a block, which begins at byte `offset` of the text (-1: unknown), with all their columns."""
    if look.dialect is None:
        raise TypeError("this is not delimited text")
    dialect = look.dialect
    block = uncommented(block, dialect)
    lines = block.count(dialect.newline.encode())

    def locate(records: Sequence[int]) -> list[Place]:
        return _places(block, Rows(block, dialect), records, offset)

    if is_regular(block, dialect) or Quotes(block, dialect).sound:
        try:
            return sound(pa.table(read_text(block, dialect, look.names, options)), locate, lines)
        except pa.ArrowInvalid:
            pass  # some record has too few or too many cells, or is not UTF-8
    return _by_rows(block, look, dialect, options, offset)


def _by_rows(block: bytes, look: Look, dialect: Dialect, options: ReadOptions, offset: int) -> Cells:
    rows = Rows(block, dialect)
    faults = [
        Fault(row, code, reason, column) for row, (code, reason, column) in sorted(rows.faults(look.names).items())
    ]
    bad = [fault.record for fault in faults]
    text = read_text(rows.without([rows.bad(row, "") for row in bad]), dialect, look.names, options)
    count = len(rows.start)
    return Cells(
        count,
        pa.table(text),
        np.setdiff1d(np.arange(count), bad, assume_unique=True),
        faults,
        lambda records: _places(block, rows, records, offset),
        block.count(dialect.newline.encode()),
    )


def _places(block: bytes, rows: Rows, records: Sequence[int], offset: int) -> list[Place]:
    starts = [int(rows.start[record]) for record in records]
    lines = lines_before(block, starts, rows.dialect.newline.encode())
    return [
        Place(line, offset + start if offset >= 0 else None, block[start : int(rows.stop[record])])
        for record, start, line in zip(records, starts, lines, strict=True)
    ]
