"""Lines of text for readers that drop, cut or pad what they do not understand: only what they read exactly passes.

A line must match its format's pattern before the reader sees it, and each record must account for the lines that it
was made of. So what the reader would lose is an error that names the line.
"""

import codecs
import io
import re
from collections.abc import Iterator, Sequence
from typing import IO, Any

from anabranch.core.errors import SourceError

LINE_LIMIT = 64 << 20  # bytes; a line that is longer is not a line
SHOWN = 80  # characters of a line in a message

Record = dict[str, Any]

_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def damaged(reason: str, remedy: str = "Fetch the file again, or correct it.") -> SourceError:
    """Make the error for content that cannot be read."""
    return SourceError("format-damaged", reason, remedy)


def encoding_of(raw: io.BufferedReader, encoding: str | None) -> str:
    """Return the encoding of a text: the given one, that of its byte order mark, or UTF-8."""
    head = raw.peek(4)
    return next((name for mark, name in _BOMS.items() if head.startswith(mark)), encoding or "utf-8")


class Lines:
    """A text stream of checked lines, and the lines that were taken since `take` was last called."""

    def __init__(self, text: IO[str], pattern: re.Pattern[str], skipped: re.Pattern[str], first: str = "") -> None:
        self.number = 0
        self._text, self._pattern, self._skipped, self._first = text, pattern, skipped, first
        self._taken: list[str] = []

    def take(self) -> Sequence[str]:
        """Return the lines that the reader has read since the last time."""
        taken, self._taken = self._taken, []
        return taken

    def readline(self) -> str:
        """Return the next line that is not skipped, with a newline; an empty string at the end."""
        while line := self._next():
            content = line.removesuffix("\n").removesuffix("\r")
            if self._skipped.match(content):
                continue
            begins, self._first = content.startswith(self._first), ""
            if not begins or not self._pattern.fullmatch(content) or "\r" in content or "\0" in content:
                raise damaged(f"line {self.number} is not understood: {content[:SHOWN]!r}")
            self._taken.append(content)
            return f"{content}\n"
        return ""

    def _next(self) -> str:
        self.number += 1
        try:
            line = self._text.readline(LINE_LIMIT)
        except UnicodeDecodeError as error:  # readers take it for the end, since it is a ValueError
            raise damaged(f"the text from line {self.number} on is not {error.encoding}: {error.reason}") from error
        if len(line) == LINE_LIMIT:
            raise damaged(f"line {self.number} has no end")
        return line

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if line := self.readline():
            return line
        raise StopIteration

    def seekable(self) -> bool:
        """Tell readers not to rewind."""
        return False

    def tell(self) -> int:
        """Tell readers, which rewind before they read, that they are at the start."""
        return self.number

    def seek(self, _offset: int) -> int:
        """Stay at the start, where readers rewind to before they read."""
        return 0
