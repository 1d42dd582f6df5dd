"""The list of records within a JSON object, such as the answer of a web API: found by the keys that lead to it."""

import json
import re

from anabranch.core.errors import SourceError
from anabranch.formats.model import require_bounded

_TOKEN = re.compile(rb'\s+|"[^"\\]*(?:\\.[^"\\]*)*"|[][{}:,]|[^][{}:,"\s]+', re.DOTALL)
_REMEDY = "Name the keys that lead to the list of records: --format-options tag=data, or tag=response.items."
_SHOWN = 80  # bytes of a key
_NAMED = 20  # keys in a message
_BOM = b"\xef\xbb\xbf"


class RecordList:
    """Looks for the list in a text that comes in pieces, and reads what follows it, which must close all brackets."""

    def __init__(self, path: str) -> None:
        self._wanted = path
        self._found = False
        self._open: list[tuple[bytes, str | None]] = []  # each bracket, and the key in it that was read last
        self._held: bytes | None = None  # text whose meaning depends on what follows; None before the first piece
        self._seen: dict[str, None] = {}  # keys of the outermost object

    def before(self, data: bytes) -> bytes | None:
        """Take the next piece of text; return it from the list's bracket on, or None while that has not come."""
        text = data.removeprefix(_BOM) if self._held is None else self._held + data
        return self._scan(text)

    def after(self, data: bytes) -> None:
        """Take text that follows the list."""
        self._scan((self._held or b"") + data)

    def close(self) -> None:
        """Raise SourceError where the text ends without the list, or within a bracket."""
        self.after(b" ")  # which ends the last word
        if not self._found:
            keys = ", ".join(map(repr, list(self._seen)[:_NAMED])) or "none"
            reason = f"there is no list at {self._wanted!r}; the keys of the file are {keys}"
            raise SourceError("record-list-missing", reason, _REMEDY)
        if self._open or (self._held or b"").strip():
            raise _broken("the text is cut off")

    def _scan(self, text: bytes) -> bytes | None:
        end = 0
        for token in _TOKEN.finditer(text):
            if token.start() != end or token.end() == len(text):  # it may go on in the next piece
                break
            if token[0] == b"[" and not self._found and self._here() == self._wanted:
                self._held, self._found = b"", True
                return text[end:]
            self._step(token[0])
            end = token.end()
        self._held = text[end:]
        require_bounded(len(self._held), "a text beside the list of records", _REMEDY)
        return None

    def _here(self) -> str:
        """Join the keys that lead to the value at hand; an empty text within a list."""
        keys = [key for bracket, key in self._open if bracket == b"{"]
        return ".".join(key or "" for key in keys) if len(keys) == len(self._open) else ""

    def _step(self, token: bytes) -> None:
        if token in (b"{", b"["):
            self._open.append((token, None))
        elif token in (b"}", b"]"):
            if not self._open or self._open.pop()[0] + token not in (b"{}", b"[]"):
                raise _broken("a bracket closes what another opened")
        elif token == b"," and self._open:
            self._open[-1] = self._open[-1][0], None
        elif token[:1] == b'"' and self._open and self._open[-1] == (b"{", None):
            self._name(token)

    def _name(self, token: bytes) -> None:
        try:
            key = str(json.loads(token, strict=False))
        except ValueError:
            raise _broken(f"a key is malformed: {token[:_SHOWN]!r}") from None
        self._open[-1] = b"{", key
        if len(self._open) == 1:
            self._seen[key] = None
        if self._found and self._here() == self._wanted:
            raise _broken(f"there is a second value at {self._wanted!r}")


def _broken(reason: str) -> SourceError:
    return SourceError("bad-json", reason, "Correct the file, or fetch it again.")
