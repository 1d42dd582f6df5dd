"""The rows of a block of delimited text, one by one: where each begins, how many cells it has, what is broken in it."""

import re
from collections.abc import Collection, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from anabranch.formats.delimited.masking import BLANK, dangles, uncommented
from anabranch.formats.delimited.quotes import Quotes
from anabranch.formats.model import Dialect, without
from anabranch.schema.fit import RAW, BadRow

_LINE_END = {"\n": re.compile(rb"\r*\n?"), "\r": re.compile(rb"\r*")}


class Rows:
    """All rows as the parser sees them; blank lines and comments are none. Places count from the start of the block."""

    def __init__(self, block: bytes, dialect: Dialect) -> None:
        self.dialect = dialect
        self._block = uncommented(block, dialect)
        self._quotes = Quotes(self._block, dialect)
        self._quoted = self._quotes.quoted()
        text = self._quotes.text
        ends = self._outside((text == ord("\n")) | (text == ord("\r")))
        start, stop = np.concatenate([[0], ends + 1]), np.concatenate([ends, [text.size]])
        self.start, self.stop = start[start < stop], stop[start < stop]  # line ends left out
        self.newline = "\r" if ends.size and not (text[ends] == ord("\n")).any() else "\n"
        self._marks = self._outside(text == ord(dialect.delimiter))

    @property
    def unclosed(self) -> bool:
        """Whether the last row ends within a quoted cell."""
        return bool(self._quoted[-1])

    @property
    def complete(self) -> bool:
        """Whether the last row ends with a line end."""
        return bool(self.stop.size and self.stop[-1] < len(self._block))

    @property
    def cells(self) -> NDArray[np.intp]:
        """Count the cells of each row."""
        return np.searchsorted(self._marks, self.stop) - np.searchsorted(self._marks, self.start) + 1

    @property
    def trail(self) -> NDArray[np.bool_]:
        """Tell of each row whether it ends with a delimiter."""
        return np.isin(self.stop - 1, self._marks)

    def broken(self, names: Sequence[str]) -> dict[int, BadRow]:
        """Find the rows that no parser should read, by number: of these columns."""
        return {
            row: self.bad(row, f"column {column!r}: {reason}" if column else reason, column)
            for row, (_, reason, column) in self.faults(names).items()
        }

    def faults(self, names: Sequence[str]) -> dict[int, tuple[str, str, str]]:
        """Return the worst fault of each such row: a code, the reason, and the column if one is to blame."""
        found: dict[int, tuple[str, str, str]] = {}
        for row, place, code, reason in self._faults(len(names)):
            cell = self._cell(row, place) if place >= 0 else -1
            found.setdefault(row, (code, reason, names[cell] if 0 <= cell < len(names) else ""))
        return found

    def bad(self, row: int, reason: str, column: str = "") -> BadRow:
        """Describe what is wrong with a row."""
        start = int(self.start[row])
        raw = self._block[start : int(self.stop[row])].decode(errors="backslashreplace")
        return BadRow(row, start, self.end(row) - start, raw[:RAW], reason, column)

    def end(self, row: int) -> int:
        """Return the place after a row and its line end."""
        end = _LINE_END[self.dialect.newline].match(self._block, int(self.stop[row]))
        return end.end() if end else len(self._block)

    def without(self, bad: Collection[BadRow]) -> bytes:
        """Return the block without these rows, which are in order."""
        return without(self._block, bad) if bad else self._block

    def padded(self, columns: int) -> bytes:
        """Return the block with empty cells at the end of rows that have too few."""
        missing = np.maximum(columns - self.cells, 0)
        places = np.repeat(self.stop, missing)
        return (
            np.insert(np.frombuffer(self._block, np.uint8), places, ord(self.dialect.delimiter)).tobytes()
            if len(places)
            else self._block
        )

    @property
    def is_spaced(self) -> bool:
        """Whether there are blanks between a delimiter and a quote."""
        return bool(self._outside(self._quotes.text == BLANK).size)

    @property
    def sound(self) -> bool:
        """Whether every quote has its meaning, but for those of the last row, which may not be all there."""
        return bool((self._quotes.strays() < (self.start[-1] if self.start.size else 0)).all())

    def closed_up(self) -> bytes:
        """Return the block without the blanks between a delimiter and a quote."""
        blanks = self._outside(self._quotes.text == BLANK)
        return np.delete(np.frombuffer(self._block, np.uint8), blanks).tobytes() if blanks.size else self._block

    def _faults(self, columns: int) -> Iterator[tuple[int, int, str, str]]:
        """Yield row, place, code and reason, the worst first."""
        if self.unclosed:
            yield len(self.start) - 1, -1, "unterminated_quote", "a quote is never closed"
        if dangles(self._block, self.dialect):
            yield len(self.start) - 1, -1, "unterminated_quote", "nothing follows the escape character at the end"
        for place in self._quotes.strays().tolist():
            yield self._row(place), place, "stray_quote", "text follows the quote that closes the cell"
        cells = self.cells
        if self.dialect.trailing:
            cells = cells - 1
            for row in np.flatnonzero((cells == columns) & ~self.trail).tolist():
                yield row, -1, "field_count", "a cell follows the last delimiter, where other rows end"
        wrong = cells > columns if self.dialect.padded else cells != columns
        for row in np.flatnonzero(wrong).tolist():
            yield row, -1, "field_count", f"expected {columns} cell{'s' * (columns != 1)}, found {cells[row]}"
        for row, place, reason in self._undecodable():
            yield row, place, "bad_encoding", reason

    def _undecodable(self) -> Iterator[tuple[int, int, str]]:
        try:
            self._block.decode()
        except UnicodeDecodeError:
            high = np.flatnonzero(self._quotes.text >= 0x80)  # noqa: PLR2004  bytes that are not ASCII
            for row in np.unique(np.searchsorted(self.start, high, "right") - 1).tolist():
                start = int(self.start[row])
                try:
                    self._block[start : int(self.stop[row])].decode()
                except UnicodeDecodeError as error:
                    place = start + error.start
                    yield row, place, f"invalid UTF-8: byte 0x{self._block[place]:02x}, the row's byte {error.start}"

    def _outside(self, found: NDArray[np.bool_]) -> NDArray[np.intp]:
        places = np.flatnonzero(found)
        outside: NDArray[np.intp] = places[self._quoted[self._quotes.runs_before(places)] == 0]
        return outside

    def _row(self, place: int) -> int:
        return int(np.searchsorted(self.start, place, "right")) - 1

    def _cell(self, row: int, place: int) -> int:
        return int(np.searchsorted(self._marks, place) - np.searchsorted(self._marks, self.start[row]))
