"""What SOURCE names: a folder of this machine, or sftp://user@host:port/folder. No credentials in it."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from anabranch.core.errors import UsageError
from anabranch.core.storage import shown
from anabranch.sftp.addresses import SCHEME, Server, parsed
from anabranch.sources.remote import is_url, shown_url, without_scheme

_SECRET = re.compile(r"//[^/@]*:[^/@]*@|\?")


@dataclass(frozen=True, slots=True)
class Place:
    """A folder to be listed; `server` None: of this machine, or at a URL."""

    server: Server | None
    folder: bytes

    @property
    def is_folder(self) -> bool:
        """Whether it is of this machine."""
        return self.server is None and not is_url(os.fsdecode(self.folder))

    @property
    def label(self) -> str:
        """The folder as a person would write it."""
        return place_label(self.server, self.folder)


def place_label(server: Server | None, path: bytes) -> str:
    """Write a path with its server, so that it fits on one line."""
    text = shown(shown_url(os.fsdecode(path)))
    if server is None:
        return text
    return f"{server}{text}" if text.startswith("/") else f"{server}/~/{text}"


def shared(one: Sequence[str], other: Sequence[str]) -> int:
    """Count the names with which both paths begin."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def place(source: str) -> Place:
    """Return which folder a source names. Raises UsageError for a URL that is not complete, or holds a password."""
    if not source.lower().startswith(SCHEME):
        if is_url(source) and _SECRET.search(source):
            raise UsageError(
                "password-in-url",
                "it holds a password or a query, which the run's page, its logs and the shell's history would show",
                "Leave it out, and log in by what fsspec reads: its configuration, or the environment.",
                shown_url(source),
            )
        return Place(None, os.fsencode(without_scheme(source)))
    server, path = parsed(source)
    return Place(server, path.rstrip(b"/") or (b"/" if path else b"."))
