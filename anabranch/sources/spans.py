"""One seekable file made of byte ranges of other files: the slices of an archive, or a member inside them."""

import io
import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from typing_extensions import Buffer

from anabranch.core.errors import TemporaryError


class Span(NamedTuple):
    """A range of bytes in a file."""

    path: str
    start: int
    size: int


def within(spans: Sequence[Span], start: int, size: int) -> list[Span]:
    """Return the part of the joined spans that begins at `start` and is at most `size` bytes long."""
    chosen, stop, begin = [], start + size, 0
    for span in spans:
        first, last = max(start, begin), min(stop, begin + span.size)
        if first < last:
            chosen.append(Span(span.path, span.start + first - begin, last - first))
        begin += span.size
    return chosen


class SpanFile(io.RawIOBase):
    """Read the spans as one file; keeps one of the files open at a time."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = spans
        self._ends = list(accumulate(span.size for span in spans))
        self._position = 0
        self._open = (-1, -1)  # index and descriptor of the open file

    @property
    def size(self) -> int:
        """Bytes in all spans."""
        return self._ends[-1] if self._ends else 0

    def readable(self) -> bool:
        """Return true."""
        return True

    def seekable(self) -> bool:
        """Return true."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move as every file does; a position past the end reads nothing."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("a position before the start of the file")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: Buffer) -> int:
        """Read up to the end of the span in which the position lies; TemporaryError where its file became shorter."""
        index = bisect_right(self._ends, self._position)
        if index == len(self._spans):
            return 0
        span = self._spans[index]
        left = self._ends[index] - self._position
        read = os.preadv(self._descriptor(index), [memoryview(buffer)[:left]], span.start + span.size - left)
        if not read and memoryview(buffer).nbytes:  # else the text would just lack its end
            raise TemporaryError(
                "file-changed", "this file became shorter during the run", "Run the same command again.", span.path
            )
        self._position += read
        return read

    def close(self) -> None:
        """Close the file that is open."""
        self._release()
        super().close()

    def _descriptor(self, index: int) -> int:
        if self._open[0] != index:
            self._release()
            self._open = (index, os.open(self._spans[index].path, os.O_RDONLY | os.O_CLOEXEC))
        return self._open[1]

    def _release(self) -> None:
        if self._open[1] >= 0:
            os.close(self._open[1])
        self._open = (-1, -1)
