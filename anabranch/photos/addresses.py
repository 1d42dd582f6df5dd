"""What SOURCE names: a folder of this machine, or sftp://user@host:port/folder. No credentials in it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from anabranch.core.errors import UsageError
from anabranch.core.storage import shown
from anabranch.sftp.addresses import SCHEME, Server, parsed, without_user


@dataclass(frozen=True, slots=True)
class Place:
    """A folder to be listed; `server` None: of this machine."""

    server: Server | None
    folder: bytes

    @property
    def label(self) -> str:
        """The folder as a person would write it."""
        return place_label(self.server, self.folder)


def place_label(server: Server | None, path: bytes) -> str:
    """Write a path with its server, so that it fits on one line."""
    text = shown(os.fsdecode(path))
    if server is None:
        return text
    return f"{server}{text}" if text.startswith("/") else f"{server}/~/{text}"


def shared(one: Sequence[str], other: Sequence[str]) -> int:
    """Count the names with which both paths begin."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def place(source: str) -> Place:
    """Return which folder a source names. Raises UsageError for a URL that is not complete, or holds a password."""
    if not source.lower().startswith(SCHEME):
        if "://" in source:
            raise UsageError(
                "protocol-unknown",
                "photos are read from folders and sftp:// URLs",
                "Check the URL.",
                without_user(source),
            )
        return Place(None, os.fsencode(source))
    server, path = parsed(source)
    return Place(server, path.rstrip(b"/") or (b"/" if path else b"."))
