"""One big JSON text as JSON lines: the items of an array, or objects one after the other, in bounded memory.

The structure is found for a piece of text at once: what is within strings, how deep each bracket is, and so which
commas separate the array's items. White space that means nothing is left out; everything else stays as it is written,
so that the parser of the lines sees every fault.
"""

from collections.abc import Iterable, Iterator
from typing import IO

import numpy as np
import numpy.typing as npt

from anabranch.core.errors import SourceError
from anabranch.formats.json.record_list import RecordList
from anabranch.formats.model import BLOCK, require_bounded

_PIECE = 1 << 20  # bytes scanned at once: more would leave the processor's cache
_BOM = b"\xef\xbb\xbf"
_ATOM, _SPACE, _COMMA, _OPEN, _CLOSE, _MARK = range(6)  # what a byte is outside of strings
_KINDS = {_SPACE: b" \t\n\r", _COMMA: b",", _OPEN: b"[{", _CLOSE: b"]}", _MARK: b':"'}
_KIND = bytes(next((kind for kind, them in _KINDS.items() if byte in them), _ATOM) for byte in range(256))
_STEP = np.array([0, 0, 0, 1, -1, 0])  # of the depth, by kind
_NEWLINE, _QUOTE, _BACKSLASH, _VERTICAL_TAB = b'\n"\\\x0b'

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.intp]
Marks = npt.NDArray[np.bool_]


def lines_of_array(stream: IO[bytes], size: int = BLOCK, path: str = "") -> Iterator[bytes]:
    """Return the items of a JSON array as blocks of JSON lines; a text that is not an array counts as a row of objects.

    With a `path`, the array is the one to which these keys lead within an object. A block ends before the first record
    that begins at or after a multiple of `size` of these lines. Items are not checked here, but that the array ends and
    that nothing is missing between its commas: else SourceError, which tells the byte.
    """
    return _blocks(_within(stream, RecordList(path)) if path else _texts(stream), size)


class Flattener:
    """Turns JSON text, piece by piece, into lines.

    What follows the array is an error, or goes to `rest`, without white space, where the array is within an object.
    """

    def __init__(self, *, within: bool = False) -> None:
        self.rest = b""
        self._within = within
        self._carry = b""  # the end of the text so far, whose meaning depends on what follows
        self._read = 0  # bytes of text before the carry
        self._in_string = False
        self._depth = 0  # of brackets
        self._array: bool | None = None
        self._ended = False  # the array was closed
        self._last = _COMMA  # kind of the last byte that meant something
        self._separated = True  # it separates records

    def feed(self, data: bytes) -> bytes:
        """Return the lines that the next piece of text holds; the last may go on."""
        if not self._read and not self._carry:
            self._read = len(_BOM) if data.startswith(_BOM) else 0
            data = data[self._read :]
        data = self._carry + data
        text = data.rstrip(b"\\")  # the meaning of a backslash depends on the next byte
        self._carry = data[len(text) :]
        return self._flattened(text) if text else b""

    def close(self) -> bytes:
        """Return what ends the last line; SourceError where the text ended too early."""
        if self._in_string or self._depth > 0 or self._carry.strip() or (self._array and not self._ended):
            raise _refused("the text is cut off", self._read + len(self._carry))
        return b"" if self._separated else b"\n"

    def _flattened(self, data: bytes) -> bytes:
        text, kinds = np.frombuffer(data, np.uint8), np.frombuffer(data.translate(_KIND), np.uint8)
        quotes = _quotes(text)
        kinds = kinds * ~_between(quotes, len(text), inside=self._in_string)  # within a string all are atoms
        self._in_string ^= bool(len(quotes) % 2)
        kept = self._meant(kinds)
        lines = self._lines(_Piece(text[kept], kinds[kept], kept, self._read))
        self._read += len(text)
        if kinds[-1] == _SPACE:  # one space represents all at the end of the text
            self._carry, self._read = b" " + self._carry, self._read - 1
        return lines

    def _meant(self, kinds: Bytes) -> Marks:
        """Leave out white space, but one byte of it between two bytes that would read as one word without it."""
        space = kinds == _SPACE
        ends = np.flatnonzero(space[:-1] & ~space[1:]) + 1  # the first bytes after white space
        begins = np.flatnonzero(space[1:] & ~space[:-1]) + 1
        before = kinds[begins - 1]
        if space[0]:
            begins, before = np.insert(begins, 0, 0), np.insert(before, 0, self._last)
        count = len(ends)  # white space that ends the text is left for the next piece
        apart = (before[:count] == _ATOM) & (kinds[ends] == _ATOM)
        kept: Marks = ~space
        kept[begins[:count][apart]] = True
        return kept

    def _lines(self, piece: "_Piece") -> bytes:
        if self._array is None and len(piece.flat):
            self._array = bytes(piece.flat[:1]) == b"["
            if self._array:
                self._last, piece = _OPEN, piece.behind_first()
        if not len(piece.flat):
            return b""
        places = np.flatnonzero((piece.kinds >= _COMMA) & (piece.kinds <= _CLOSE))
        depths = self._depth + np.cumsum(_STEP[piece.kinds[places]], dtype=np.int64)
        lines = (self._items if self._array else self._objects)(piece, places, depths)
        self._depth = int(depths[-1]) if len(depths) else self._depth
        self._last = int(piece.kinds[-1])
        return lines

    def _items(self, piece: "_Piece", places: Places, depths: Places) -> bytes:
        """Make line ends of the commas between the items, and of the bracket after them."""
        if self._ended:
            self._follow(piece, 0)
            return b""
        ends = places[depths < 0][:1]
        behind = int(ends[0]) + 1 if len(ends) else len(piece.flat)
        commas = places[(piece.kinds[places] == _COMMA) & (depths == 0) & (places < behind)]
        self._require_items(piece, commas)  # before anything after them, however the text is split into pieces
        if len(ends) and piece.flat[ends[0]] != ord("]"):
            raise piece.refused("a bracket closes what another opened", ends[0])
        is_empty = self._last == _OPEN and ends.tolist() == [0]
        separators = np.concatenate([commas, ends])
        if not is_empty:
            self._require_items(piece, separators)
        if behind < len(piece.flat):
            self._follow(piece, behind)
            piece.flat = piece.flat[:behind]
        self._ended = bool(len(ends))
        return b"" if is_empty else self._cut(piece, separators)

    def _follow(self, piece: "_Piece", place: int) -> None:
        """Keep what follows the array."""
        if not self._within:
            raise piece.refused("there is something after the end of the array", place)
        self.rest += piece.flat[place:].tobytes()

    def _require_items(self, piece: "_Piece", separators: Places) -> None:
        gaps = np.diff(separators, prepend=-1 if self._separated else -2)
        if (gaps == 1).any():
            raise piece.refused("an item is missing", separators[np.argmax(gaps == 1)])

    def _objects(self, piece: "_Piece", places: Places, depths: Places) -> bytes:
        """End a line after each object."""
        if len(depths) and depths.min() < 0:
            raise piece.refused("a bracket closes nothing", places[np.argmax(depths < 0)])
        ends = places[(piece.kinds[places] == _CLOSE) & (depths == 0)]
        self._separated = bool(len(ends)) and int(ends[-1]) == len(piece.flat) - 1
        return np.insert(piece.flat, ends + 1, _NEWLINE).tobytes()

    def _cut(self, piece: "_Piece", separators: Places) -> bytes:
        self._separated = bool(len(separators)) and int(separators[-1]) == len(piece.flat) - 1
        piece.flat[separators] = _NEWLINE
        return piece.flat.tobytes()


class _Piece:
    """Text without white space, and where it was; `flat` is its own copy."""

    def __init__(self, flat: Bytes, kinds: Bytes, kept: Marks, start: int) -> None:
        self.flat, self.kinds, self._kept, self._start = flat, kinds, kept, start
        flat[(flat == _NEWLINE) & (kinds == _ATOM)] = _VERTICAL_TAB  # as wrong in a string, but no end of line
        flat[kinds == _SPACE] = ord(" ")

    def behind_first(self) -> "_Piece":
        """Return the piece without its first byte."""
        kept = self._kept.copy()
        kept[np.argmax(kept)] = False
        return _Piece(self.flat[1:], self.kinds[1:], kept, self._start)

    def refused(self, reason: str, place: int) -> SourceError:
        """Return the error for what is at a place of the piece."""
        return _refused(reason, self._start + int(np.flatnonzero(self._kept)[place]))


def _quotes(text: Bytes) -> Places:
    """Find the quotes that begin and end strings: those after an even number of backslashes."""
    quotes = np.flatnonzero(text == _QUOTE)
    doubtful = text[quotes - 1] == _BACKSLASH  # no text ends with one, so that the first byte is not
    if not doubtful.any():
        return quotes
    slashes = np.flatnonzero(text == _BACKSLASH)
    order = np.arange(len(slashes))
    first = np.maximum.accumulate(np.where(np.diff(slashes, prepend=-2) > 1, order, 0))  # of each run of backslashes
    last = np.searchsorted(slashes, quotes[doubtful] - 1)
    doubtful[doubtful] = (last - first[last]) % 2 == 0
    found: Places = quotes[~doubtful]
    return found


def _between(quotes: Places, size: int, *, inside: bool) -> Marks:
    """Mark the bytes within strings, without their quotes."""
    lengths = np.diff(quotes, prepend=0, append=size)
    marks = np.repeat(np.arange(len(lengths)) % 2 != inside, lengths)
    marks[quotes] = False
    return marks


def _texts(stream: IO[bytes]) -> Iterator[bytes]:
    flattener = Flattener()
    while piece := stream.read(_PIECE):
        yield flattener.feed(piece)
    yield flattener.close()


def _within(stream: IO[bytes], around: RecordList) -> Iterator[bytes]:
    """Yield the lines of the array that is found within an object, and check the text around it."""
    start = None
    while start is None and (piece := stream.read(_PIECE)):
        start = around.before(piece)
    if start is not None:
        flattener = Flattener(within=True)
        yield flattener.feed(start)
        while piece := stream.read(_PIECE):
            yield flattener.feed(piece)
            if flattener.rest:
                around.after(flattener.rest)
                flattener.rest = b""
        yield flattener.close()
        around.after(flattener.rest)
    around.close()


def _blocks(texts: Iterable[bytes], size: int) -> Iterator[bytes]:
    begin, held = 0, bytearray()
    rows = last = 0  # lines that ended, and where the next one begins, in all lines
    for text in texts:
        at, end = begin + len(held), text.find(b"\n")
        require_bounded(at + (end if end >= 0 else len(text)) - last, f"row {rows + 1}", "Leave it out, or split it.")
        if end >= 0:
            rows, last = rows + text.count(b"\n"), at + text.rfind(b"\n") + 1
        held += text
        while end := _end_of_block(held, begin, size):
            yield bytes(held[:end])
            del held[:end]
            begin += end
    if held.strip():
        yield bytes(held)


def _end_of_block(held: bytearray, begin: int, size: int) -> int:
    """Find where the block ends whose first byte is the `begin`th of all lines; 0 where more is needed to know."""
    nominal = (begin // size + 1) * size - begin
    return held.find(b"\n", nominal - 1) + 1 if len(held) >= nominal else 0


def _refused(reason: str, offset: int) -> SourceError:
    return SourceError("bad-json", f"{reason} at byte {offset}", "Correct the file, or fetch it again.")
