"""Hide from the search for cells and records what means nothing there: comments, escaped characters, blanks.

Every byte keeps its place. Comments become blank lines, which are not records. An escaped character becomes one that is
neither quote, delimiter nor line end. Blanks between a delimiter and a quote become marks after which a cell begins.
What is escaped, and which blanks precede a quote, follows from the few bytes in front; whether a line is a comment
follows from the quotes before it, so such lines are found by reading on from a known state.
"""

import re
from collections.abc import Iterator
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anabranch.formats.model import Dialect

HIDDEN, BLANK = 0xFF, 0xFE  # bytes that no UTF-8 has
_LINE_ENDS, _LINE_END = b"\r\n", re.compile(rb"[\r\n]")
_TAIL = 256  # bytes at the end of a text that mostly suffice to know what comes after it


class State(IntEnum):
    """How the text leaves off."""

    PLAIN = 0  # no quoted cell is open
    QUOTED = 1  # in a quoted cell
    CLOSED = 2  # after the quote that closes a cell, unless another quote follows
    COMMENT = 3  # in a comment, or right after its line end


class Masked(NamedTuple):
    """A range of text as the search for quotes, delimiters and line ends sees it."""

    text: NDArray[np.uint8]
    fore: bytes  # the byte in front, masked as well; empty at the start of the text
    in_comment: bool = False  # whether the range ends in a comment


class _Patterns(NamedTuple):
    """What can be matched at once; each matches as much as there is, without going back."""

    rest: re.Pattern[bytes]  # of a cell that is not quoted
    quoted: re.Pattern[bytes]  # the rest of a quoted cell, and of what follows the quote that closes it
    cell: re.Pattern[bytes]
    cells: re.Pattern[bytes]  # further ones, each after a delimiter or a line end, up to one that a comment follows


def masked(data: bytes, dialect: Dialect, before: bytes = b"", entry: State = State.PLAIN) -> Masked:
    """Mask a range of text, of which `before` holds the end of what precedes it, see `behind`."""
    if not dialect.masks:
        return Masked(np.frombuffer(data, np.uint8), before[-1:])
    if entry is State.COMMENT:
        before = before[-1:] if before[-1:] in _LINE_ENDS else b""  # the comment is over, or `before` is in it
    in_comment = False
    if dialect.comment:
        data, in_comment = _without_comments(data, dialect, before, entry)
    text = np.frombuffer(before + data, np.uint8)
    if dialect.escape and dialect.escape.encode() in before + data:
        text = _without_escaped(text, ord(dialect.escape))
    if dialect.spaced and dialect.quote and dialect.quote.encode() in data:
        text = _without_blanks(text, dialect)
    return Masked(text[len(before) :], text[: len(before)].tobytes()[-1:], in_comment)


def uncommented(block: bytes, dialect: Dialect) -> bytes:
    """Return some records with blank lines where comments were; every record keeps its place."""
    return _without_comments(block, dialect, b"", State.PLAIN)[0] if dialect.comment else block


def behind(text: bytes, dialect: Dialect) -> bytes:
    """Return as much of the end of a text as must be known of it to read on: `text` itself if it may not suffice."""
    if not (dialect.escape or dialect.spaced):
        return text[-1:]
    for known in (text[-_TAIL:], text):
        left = known.rstrip(b" ")[:-1] if dialect.spaced else known[:-1]
        left = left.rstrip(dialect.escape.encode()) if dialect.escape else left
        if left:
            return known[len(left) :]
    return text


def dangles(data: bytes, dialect: Dialect) -> bool:
    """Whether the text of some records ends with an escape character that escapes nothing."""
    mark = dialect.escape.encode()
    return bool(mark) and data.endswith(mark) and (len(data) - len(data.rstrip(mark))) & 1 == 1


def _without_comments(data: bytes, dialect: Dialect, before: bytes, entry: State) -> tuple[bytes, bool]:
    """Blank the comments in a range, and tell whether it ends in one."""
    mark = dialect.comment.encode()
    if entry is not State.COMMENT and mark not in data:
        return data, False
    room, stop = bytearray(data), -1
    fill = b"\r" if dialect.newline == "\n" else b"\n"  # which ends no record of this text
    for start, stop in _comments(data, dialect, before, entry):
        room[start:stop] = fill * (stop - start)
    return bytes(room), stop >= 0 and stop >= len(data) - 1


def _comments(data: bytes, dialect: Dialect, before: bytes, entry: State) -> Iterator[tuple[int, int]]:
    """Yield where the comments of a range begin and end, their line ends left out."""
    patterns = _patterns(dialect.delimiter, dialect.quote, dialect.escape, dialect.comment, dialect.spaced)
    line = entry in (State.PLAIN, State.COMMENT) and (not before or _ends_line(before, dialect))
    if (entry is State.COMMENT and not (before and line)) or (line and data.startswith(dialect.comment.encode())):
        place = _line_end(data, 0)
        yield 0, place
    else:
        place = _after_cell(data, patterns, dialect, before, entry)
    while (place := _end(patterns.cells, data, place) + 1) < len(data):  # at a line end that a comment follows
        start, place = place, _line_end(data, place)
        yield start, place


def _after_cell(data: bytes, patterns: _Patterns, dialect: Dialect, before: bytes, entry: State) -> int:
    """Return where the cell ends in which a range begins."""
    skipped = int(dangles(before, dialect))  # the first character is escaped
    if entry is State.QUOTED:
        return _end(patterns.quoted, data, skipped)
    if entry is State.CLOSED:
        again = bool(data) and data.startswith(dialect.quote.encode())  # it was the first quote of a pair
        return _end(patterns.quoted if again else patterns.rest, data, int(again))
    begins = not before or _ends_line(before, dialect) or _ends_cell(before, dialect)
    return _end(patterns.cell if begins else patterns.rest, data, skipped)


def _ends_line(before: bytes, dialect: Dialect) -> bool:
    return before[-1:] in _LINE_ENDS and not dangles(before[:-1], dialect)


def _ends_cell(before: bytes, dialect: Dialect) -> bool:
    """Whether a cell begins after this text."""
    left = before.rstrip(b" ") if dialect.spaced else before
    return not left or (left[-1:] in dialect.delimiter.encode() + _LINE_ENDS and not dangles(left[:-1], dialect))


def _end(pattern: re.Pattern[bytes], data: bytes, place: int) -> int:
    found = pattern.match(data, place)
    return found.end() if found else place


def _line_end(data: bytes, place: int) -> int:
    found = _LINE_END.search(data, place)
    return found.start() if found else len(data)


@lru_cache(maxsize=64)
def _patterns(delimiter: str, quote: str, escape: str, comment: str, spaced: bool) -> _Patterns:
    signs = {b"d": delimiter, b"q": quote, b"e": escape, b"c": comment}
    marks = {name: re.escape(sign.encode()) for name, sign in signs.items()}
    marks[b"skip"] = marks[b"e"] + b".?" if escape else b"(?!)"
    rest = rb"[^\r\n%(d)b%(e)b]*+(?:%(skip)b[^\r\n%(d)b%(e)b]*+)*+" % marks
    cell = quoted = rest
    if quote:
        quoted = rb"[^%(q)b%(e)b]*+(?:(?:%(q)b%(q)b|%(skip)b)[^%(q)b%(e)b]*+)*+(?:%(q)b" % marks + rest + b")?+"
        cell = b"(?:" + b" *+" * spaced + marks[b"q"] + quoted + b"|" + rest + b")"
    cells = rb"(?:(?:%(d)b|[\r\n](?!%(c)b))" % marks + cell + b")*+"
    return _Patterns(*(re.compile(pattern, re.DOTALL) for pattern in (rest, quoted, cell, cells)))


def _without_escaped(text: NDArray[np.uint8], escape: int) -> NDArray[np.uint8]:
    """Hide each character that an escape character precedes which is not escaped itself."""
    places = np.flatnonzero(text == escape)
    firsts = np.flatnonzero(np.diff(places, prepend=-2) > 1)
    sizes = np.diff(firsts, append=places.size)
    after = (places[firsts] + sizes)[sizes & 1 == 1]
    room = text.copy()
    room[after[after < text.size]] = HIDDEN
    return room


def _without_blanks(text: NDArray[np.uint8], dialect: Dialect) -> NDArray[np.uint8]:
    """Mark the blanks between the start of a cell and a quote."""
    found = np.flatnonzero((text[:-1] == ord(" ")) & (text[1:] == ord(dialect.quote)))
    if not found.size:
        return text
    others = np.flatnonzero(text != ord(" "))
    index = np.searchsorted(others, found) - 1  # of what precedes the blanks
    left = np.where(index < 0, -1, others[index])
    ends = np.isin(text[left], list(_LINE_ENDS + dialect.delimiter.encode())) | (left < 0)
    steps = np.zeros(text.size + 1, np.int64)
    np.add.at(steps, left[ends] + 1, 1)
    np.add.at(steps, found[ends] + 1, -1)
    return np.where(np.cumsum(steps)[:-1] > 0, np.uint8(BLANK), text)
