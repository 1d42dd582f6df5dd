"""Where the records of delimited text begin, as its parser sees them, found from any range of the text alone.

A quote opens a quoted cell only where a cell begins. In a quoted cell two quotes mean one, and a single quote
closes. So an even number of adjacent quotes never changes whether what follows is quoted; an odd one where a cell may
begin toggles it; and an odd one anywhere else ends it: there it either closes the cell, or is part of a plain one.
Each range can therefore be scanned alone, for every state in which the text in front of it may leave off, and the
scans joined afterwards. That is exact, with bare quotes (5" pipe), too.
"""

from codecs import BOM_UTF8
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from anabranch.core.errors import SourceError
from anabranch.formats.delimited.masking import BLANK, State, behind, dangles, masked
from anabranch.formats.model import BLOCK, Dialect, Look, require_bounded

WINDOW = 1 << 16  # bytes at the ends of a range that are looked at first
_FURTHER = 64  # times as many bytes in front of a range are read where fewer do not tell how it begins

RowsBefore = Callable[[int], int | None]  # counts the rows of data before a byte, where that can be known

_CLOSE = "Look for a quote there that is never closed; if quotes have no meaning in this file, use --quote ''."
ONE_TEXT = "If the file is a single JSON text, use --format json."


@dataclass(frozen=True, slots=True)
class Passage:
    """What is in a range that is entered in a certain state; places count from the range's start, -1 is none."""

    state: State  # in which it is left
    first: int  # start of the first record that starts in the range
    last: int  # and of the last


@dataclass(frozen=True, slots=True)
class Scan:
    """What one range of the text does to each state in which it may be entered."""

    size: int
    passages: tuple[Passage, ...]  # by state


class Quotes:
    """The runs of adjacent quotes in a range of text, which is entered in some state.

    `before` is at least the byte in front of it, if there is one; see `masking.behind`.
    """

    def __init__(self, data: bytes, dialect: Dialect, before: bytes = b"", entry: State = State.PLAIN) -> None:
        self.text, self.fore, self.in_comment = masked(data, dialect, before, entry)
        self._dangles = dangles(data, dialect)
        found = _places(data, self.text, dialect.quote)
        gaps = np.flatnonzero(np.diff(found) > 1)
        self._start = found[np.concatenate([[0], gaps + 1])] if found.size else found
        self._stop = found[np.concatenate([gaps, [-1]])] + 1 if found.size else found
        self._separates = separators(dialect)
        self._begins = self._separates[self.text[self._start - 1]]  # whether a run is where a cell begins
        if found.size and not before and found[0] == (len(BOM_UTF8) if data.startswith(BOM_UTF8) else 0):
            self._begins[0] = True
        elif found.size and found[0] == 0:
            self._begins[0] = not self.fore or self._separates[self.fore[0]]

    def quoted(self, entry: State = State.PLAIN) -> NDArray[np.int64]:
        """Return, for the text before each run and after the last, whether it is quoted (1) or not (0)."""
        odd = (self._stop - self._start) & 1 == 1
        begins = self._opening(entry)
        toggles = np.cumsum(odd & begins)
        ended = np.maximum.accumulate(np.where(odd & ~begins, toggles, -(entry & 1)))
        return np.concatenate([[entry & 1], (toggles - ended) & 1])

    def runs_before(self, places: NDArray[np.intp]) -> NDArray[np.intp]:
        """Count the runs in front of each place: its index in what `quoted` says."""
        return np.searchsorted(self._start, places)

    def leave(self, entry: State, quoted: NDArray[np.int64]) -> State:
        """Return the state at the end, from what `quoted` said for this entry."""
        if self.in_comment:
            return State.COMMENT
        if quoted[-1]:
            return State.QUOTED
        if not self._stop.size or self._stop[-1] < self.text.size:
            return State.PLAIN if self.text.size else entry
        return State.CLOSED if quoted[-2] or self._opening(entry)[-1] else State.PLAIN

    @property
    def sound(self) -> bool:
        """Whether every quoted cell is closed, and ends there; the text is some records."""
        return not self.quoted()[-1] and not self.strays().size and not self._dangles

    def strays(self) -> NDArray[np.intp]:
        """Find the quotes that close a cell though it goes on; the text begins with a record."""
        quoted = self.quoted()
        closes = (quoted[1:] == 0) & ((quoted[:-1] == 1) | self._begins)
        behind = self._stop[closes]
        behind = behind[behind < self.text.size]
        stray: NDArray[np.intp] = behind[~self._separates[self.text[behind]]] - 1
        return stray

    def _opening(self, entry: State) -> NDArray[np.bool_]:
        if entry is not State.CLOSED or not self._start.size or self._start[0]:
            return self._begins
        begins = self._begins.copy()
        begins[0] = True  # what seemed to close the cell was the first quote of a pair
        return begins


def separators(dialect: Dialect) -> NDArray[np.bool_]:
    """Return, for each of the 256 bytes, whether a cell may start after it."""
    table = np.zeros(256, np.bool_)
    table[[ord(mark) for mark in "\r\n" + dialect.delimiter]] = True
    table[BLANK] = dialect.spaced
    return table


def is_regular(data: bytes, dialect: Dialect) -> bool:
    """Whether all quotes of some records surround cells or are paired within them: the quick check."""
    if dialect.escape and dialect.escape.encode() in data:
        return False
    text = np.frombuffer(data, np.uint8)
    quotes = _places(data, text, dialect.quote)
    if not quotes.size:
        return True
    if quotes.size & 1:
        return False
    beside = separators(dialect)
    beside[ord(dialect.quote)] = True
    fore, behind = quotes[::2] - 1, quotes[1::2] + 1
    fore, behind = fore[int(fore[0] < 0) :], behind[: behind.size - int(behind[-1] == text.size)]
    return bool(beside.take(text.take(fore)).all() and beside.take(text.take(behind)).all())


def scan(data: bytes, before: bytes, dialect: Dialect) -> Scan:
    """Scan one range of the text; `before` is at least the byte in front of it, and empty at the start of the text.

    Mostly, a few bytes at its start and at its end decide.
    """
    size = WINDOW if dialect.masks or (dialect.quote and dialect.quote.encode() in data) else len(data)
    while 2 * size < len(data):
        head = _scan(data[:size], before, dialect)
        front = behind(before + data[:-size], dialect) if dialect.masks else data[-size - 1 : -size]
        tail = _scan(data[-size:], front, dialect)
        ends = {(passage.state, passage.last) for passage in tail.passages}
        if len(ends) == 1 and all(passage.first >= 0 for passage in (*head.passages, *tail.passages)):
            ((state, last),) = ends
            last += len(data) - size
            return Scan(len(data), tuple(Passage(state, passage.first, last) for passage in head.passages))
        size *= 4
    return _scan(data, before, dialect)


def _scan(data: bytes, before: bytes, dialect: Dialect) -> Scan:
    if not dialect.masks and (not dialect.quote or dialect.quote.encode() not in data):
        newline = dialect.newline.encode()
        return _scan_plain(data, bool(data) and (not before or before[-1:] == newline), newline)
    quotes = None if dialect.comment else Quotes(data, dialect, before)  # where comments are depends on the state
    entries = list(State) if dialect.comment else (State.PLAIN, State.QUOTED, State.CLOSED)
    return Scan(
        len(data),
        tuple(_passage(quotes or Quotes(data, dialect, before, entry), dialect, entry) for entry in entries),
    )


def _passage(quotes: Quotes, dialect: Dialect, entry: State) -> Passage:
    ends = np.flatnonzero(quotes.text == ord(dialect.newline))
    at_begin = bool(quotes.text.size) and quotes.fore in (b"", dialect.newline.encode())
    if entry is State.COMMENT:  # which is hidden
        at_begin, entry = at_begin and bool(quotes.fore), State.PLAIN
    quoted = quotes.quoted(entry)
    outside = ends[quoted[quotes.runs_before(ends)] == 0]
    begins = outside[: np.searchsorted(outside, quotes.text.size - 1)] + 1  # the next range starts after the last byte
    first = 0 if at_begin and entry is State.PLAIN else int(begins[0]) if begins.size else -1
    return Passage(quotes.leave(entry, quoted), first, int(begins[-1]) if begins.size else first)


def _scan_plain(data: bytes, at_begin: bool, newline: bytes) -> Scan:
    """Scan a range without quotes."""
    inner, last = data.find(newline, 0, -1) + 1 or -1, data.rfind(newline, 0, -1) + 1 or -1
    plain = Passage(State.PLAIN, 0, max(last, 0)) if at_begin else Passage(State.PLAIN, inner, last)
    closed = Passage(State.PLAIN if data else State.CLOSED, inner, last)
    return Scan(len(data), (plain, Passage(State.QUOTED, -1, -1), closed))


def _places(data: bytes, text: NDArray[np.uint8], quote: str) -> NDArray[np.intp]:
    if not quote or quote.encode() not in data:
        return np.empty(0, np.intp)
    return np.flatnonzero(text == ord(quote))


def scan_range(raw: IO[bytes], start: int, size: int, look: Look, block: int = BLOCK) -> Scan:
    """Scan the `block` bytes at `start` of a file of `size` bytes; a range begins at a multiple of them."""
    dialect = look.dialect or Dialect()
    known, before = 1, b""
    while start and (not before or (dialect.masks and before == behind(before, dialect) and known < start)):
        known = min(known * _FURTHER, start)
        raw.seek(start - known)
        before = raw.read(known)
    raw.seek(start)
    data = raw.read(min(block, size - start))
    return scan(without_head(data, start, look), behind(before, dialect), dialect)


def without_head(data: bytes, start: int, look: Look) -> bytes:
    """Blank what precedes the first record, and is none: its quotes, such as those of a title, open no cell."""
    size = min(max(look.data_start - start, 0), len(data))
    newline = look.dialect.newline if look.dialect else "\n"
    return newline.encode() * size + data[size:] if size else data


class Cutter:
    """Join the scans of consecutive ranges, and find where the blocks of the text start."""

    def __init__(self, look: Look) -> None:
        self._data = look.data_start
        self._tolerant = look.keeps_records
        self._remedy = _CLOSE if look.dialect else ONE_TEXT
        self._at = self._begin = 0  # of the next range, and of the record in which it begins
        self._state = State.PLAIN

    def add(self, found: Scan) -> int | None:
        """Take the next range; give the place in it where the first record of data begins that begins there."""
        passage = found.passages[self._state]
        stop = self._at + found.size
        first = passage.first if self._at > self._data else self._data - self._at
        end = stop if passage.first < 0 else self._at + passage.first
        require_bounded(end - self._begin, f"the record that starts at byte {self._begin}", self._remedy)
        self._begin = self._begin if passage.last < 0 else self._at + passage.last
        self._at, self._state = stop, passage.state
        return first if 0 <= first < found.size else None

    def finish(self, rows_before: RowsBefore) -> None:
        """Raise SourceError if the text ends within a quoted cell, unless such a record is kept."""
        if self._state is State.QUOTED and not self._tolerant:
            rows = rows_before(self._begin)
            place = "the record" if rows is None else f"row {rows + 1},"
            raise SourceError(
                "unclosed-quote",
                f"the text ends within a quoted cell: in {place} which starts at byte {self._begin}, a quote is never "
                "closed",
                "Close the quote; if quotes have no meaning in this file, use --quote ''.",
            )


def boundaries(
    scans: Iterable[Scan], look: Look, size: int, block: int = BLOCK, rows_before: RowsBefore = lambda _: None
) -> tuple[int, ...]:
    """Return where each block begins, and the size of the text, from the scans of every `block` bytes of it.

    SourceError where a record is too long, or where the text ends within a quoted cell.
    """
    cutter = Cutter(look)
    firsts = [cutter.add(found) for found in scans]
    cutter.finish(rows_before)
    cuts = [size]
    for k, first in reversed(list(enumerate(firsts))):
        cuts.append(cuts[-1] if first is None else k * block + first)
    return tuple(reversed(cuts))
