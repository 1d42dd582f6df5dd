"""One big JSON text as JSON lines: the items of an array, or objects one behind the other, in bounded memory.

The structure is found for a piece of text at once: what stands in strings, how deep each bracket is, and so which
commas separate the array's items. White space that means nothing is left out; everything else stays as it is written,
so that whoever parses the lines sees every fault.
"""

from collections.abc import Iterable, Iterator
from typing import IO

import numpy as np
import numpy.typing as npt

from anabranch.errors import SourceError
from anabranch.files.model import BLOCK

LONGEST = 64 << 20  # bytes of one record

_PIECE = 1 << 20  # bytes scanned at once: more would leave the processor's cache
_BOM = b"\xef\xbb\xbf"
_ATOM, _SPACE, _COMMA, _OPEN, _CLOSE, _MARK = range(6)  # what a byte is outside of strings
_KIND = np.zeros(256, np.uint8)
for _kind, _bytes in ((_SPACE, b" \t\n\r"), (_COMMA, b","), (_OPEN, b"[{"), (_CLOSE, b"]}"), (_MARK, b':"')):
    _KIND[list(_bytes)] = _kind
_STEP = np.array([0, 0, 0, 1, -1, 0])  # of the depth, by kind
_NEWLINE, _QUOTE, _BACKSLASH, _VERTICAL_TAB = b'\n"\\\x0b'

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.intp]


def lines_of_array(stream: IO[bytes]) -> Iterator[bytes]:
    """Give the items of a JSON array as blocks of JSON lines; a text that is no array counts as a row of objects.

    A block ends before the first record that begins at or behind a multiple of BLOCK of these lines. Items are not
    checked here, but that the array ends and that nothing is missing between its commas: else SourceError, which tells
    the byte.
    """
    return _blocks(_texts(stream))


class Flattener:
    """Turns JSON text, piece by piece, into lines."""

    def __init__(self) -> None:
        self._carry = b""  # the end of the text so far, whose meaning depends on what follows
        self._read = 0  # bytes of text before the carry
        self._in_string = False
        self._depth = 0  # of brackets
        self._array: bool | None = None
        self._ended = False  # the array was closed
        self._last = _COMMA  # kind of the last byte that meant something
        self._separated = True  # it separates records

    def feed(self, data: bytes) -> bytes:
        """Give the lines that the next piece of text holds; the last may go on."""
        if not self._read and not self._carry:
            self._read = len(_BOM) if data.startswith(_BOM) else 0
            data = data[self._read :]
        data = self._carry + data
        text = data.rstrip(b"\\")  # what a backslash means is known with the byte behind it
        self._carry = data[len(text) :]
        return self._flattened(np.frombuffer(text, np.uint8)) if text else b""

    def close(self) -> bytes:
        """Give what ends the last line; SourceError where the text ended too early."""
        if self._in_string or self._depth > 0 or self._carry.strip() or (self._array and not self._ended):
            raise _refused("the text is cut off", self._read + len(self._carry))
        return b"" if self._separated else b"\n"

    def _flattened(self, text: Bytes) -> bytes:
        quotes = _quotes(text)
        inside = _between(quotes, len(text), inside=self._in_string)
        kinds = np.where(inside, np.uint8(_ATOM), _KIND[text])
        kept = self._meant(kinds)
        flat, left = text[kept], kinds[kept]
        flat[(flat == _NEWLINE) & (left == _ATOM)] = _VERTICAL_TAB  # as wrong in a string, but no end of line
        flat[left == _SPACE] = ord(" ")
        lines = self._lines(flat, left, kept + self._read)
        self._in_string ^= bool(len(quotes) % 2)
        end = int(kept[-1]) + 1 if len(kept) else 0
        if end < len(text):  # one space stands for all that end the text
            self._carry, end = b" " + self._carry, len(text) - 1
        self._read += end
        return lines

    def _meant(self, kinds: Bytes) -> Places:
        """Leave out white space, but one byte of it between two bytes that would read as one word without it."""
        kept = np.flatnonzero(kinds != _SPACE)
        if not len(kept) or len(kept) == len(kinds):
            return kept
        before, after = np.concatenate([[-1], kept[:-1]]), kept
        atoms = np.concatenate([[self._last], kinds[kept[:-1]]]) == _ATOM
        apart = (after - before > 1) & atoms & (kinds[after] == _ATOM)
        return np.sort(np.concatenate([kept, before[apart] + 1])) if apart.any() else kept

    def _lines(self, flat: Bytes, kinds: Bytes, offsets: Places) -> bytes:
        if self._array is None and len(flat):
            self._array = bytes(flat[:1]) == b"["
            if self._array:
                self._last, flat, kinds, offsets = _OPEN, flat[1:], kinds[1:], offsets[1:]
        if not len(flat):
            return b""
        places = np.flatnonzero((kinds >= _COMMA) & (kinds <= _CLOSE))
        depths = self._depth + np.cumsum(_STEP[kinds[places]], dtype=np.int64)
        lines = (self._items if self._array else self._objects)(flat, kinds, offsets, places, depths)
        self._depth = int(depths[-1]) if len(depths) else self._depth
        self._last = int(kinds[-1])
        return lines

    def _items(self, flat: Bytes, kinds: Bytes, offsets: Places, places: Places, depths: Places) -> bytes:
        """Make line ends of the commas between the items, and of the bracket behind them."""
        ends = places[depths < 0][:1]
        if len(ends) and flat[ends[0]] != ord("]"):
            raise _refused("a bracket closes what another opened", int(offsets[ends[0]]))
        behind = 0 if self._ended else int(ends[0]) + 1 if len(ends) else len(flat)
        if behind < len(flat):
            raise _refused("something stands behind the end of the array", int(offsets[behind]))
        separators = np.concatenate([places[(kinds[places] == _COMMA) & (depths == 0)], ends])
        self._require_items(separators, offsets, empty=bool(len(ends)) and self._last == _OPEN)
        self._ended = bool(len(ends))
        self._separated = bool(len(separators)) and int(separators[-1]) == len(flat) - 1
        flat[separators] = _NEWLINE
        return flat.tobytes()

    def _require_items(self, separators: Places, offsets: Places, *, empty: bool) -> None:
        """Refuse two separators with nothing between them, but the brackets of an empty array."""
        gaps = np.diff(separators, prepend=-1 if self._separated else -2)
        if (gaps == 1).any() and not (empty and len(separators) == 1):
            raise _refused("an item is missing", int(offsets[separators[np.argmax(gaps == 1)]]))

    def _objects(self, flat: Bytes, kinds: Bytes, offsets: Places, places: Places, depths: Places) -> bytes:
        """End a line behind each object."""
        if len(depths) and depths.min() < 0:
            raise _refused("a bracket closes nothing", int(offsets[places[np.argmax(depths < 0)]]))
        ends = places[(kinds[places] == _CLOSE) & (depths == 0)] + 1
        self._separated = bool(len(ends)) and int(ends[-1]) == len(flat)
        return np.insert(flat, ends, _NEWLINE).tobytes()


def _quotes(text: Bytes) -> Places:
    """Find the quotes that begin and end strings: those behind an even number of backslashes."""
    quotes, slashes = np.flatnonzero(text == _QUOTE), np.flatnonzero(text == _BACKSLASH)
    if not len(slashes) or not len(quotes):
        return quotes
    order = np.arange(len(slashes))
    first = np.maximum.accumulate(np.where(np.diff(slashes, prepend=-2) > 1, order, 0))  # of each run of backslashes
    before = np.searchsorted(slashes, quotes) - 1
    escaped = (slashes[before] == quotes - 1) & ((before - first[before]) % 2 == 0)
    found: Places = quotes[~escaped]
    return found


def _between(quotes: Places, size: int, *, inside: bool) -> npt.NDArray[np.bool_]:
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


def _blocks(texts: Iterable[bytes]) -> Iterator[bytes]:
    begin, held = 0, bytearray()
    for text in texts:
        held += text
        nominal = (begin // BLOCK + 1) * BLOCK
        if len(held) > nominal - begin and (end := held.find(b"\n", nominal - begin - 1) + 1):
            yield bytes(held[:end])
            del held[:end]
            begin += end
        elif len(held) > BLOCK + LONGEST:
            raise _refused(f"a record is longer than {LONGEST >> 20} MiB", begin)
    if held.strip():
        yield bytes(held)


def _refused(reason: str, offset: int) -> SourceError:
    return SourceError("bad-json", f"{reason} at byte {offset}", "Correct the file, or fetch it again.")
