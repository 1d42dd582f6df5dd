"""What SOURCE names: a folder of this machine, or sftp://user@host:port/folder. No credentials in it."""

import getpass
import os
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote_to_bytes, urlsplit

from anabranch.core.errors import UsageError
from anabranch.core.storage import shown

_PORT = 22
_SCHEME = "sftp://"


class Server(NamedTuple):
    """An SFTP server and whose account there."""

    user: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{_SCHEME}{self.user}@{host}{'' if self.port == _PORT else f':{self.port}'}"

    @property
    def known_as(self) -> str:
        """The name under which known_hosts has it."""
        return self.host if self.port == _PORT else f"[{self.host}]:{self.port}"


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


def place(source: str) -> Place:
    """Return which folder a source names. Raises UsageError for a URL that is not complete, or holds a password."""
    if not source.lower().startswith(_SCHEME):
        if "://" in source:
            raise UsageError(
                "protocol-unknown", "photos are read from folders and sftp:// URLs", "Check the URL.", _plain(source)
            )
        return Place(None, os.fsencode(source))
    try:
        parts = urlsplit(source)
        host, port = parts.hostname, parts.port or _PORT
    except ValueError as error:
        raise UsageError("bad-url", str(error), "Write it as sftp://user@host:port/folder.", _plain(source)) from None
    if parts.password is not None:
        raise UsageError(
            "password-in-url",
            "the URL holds a password, which the run's page, its logs and the shell's history would show",
            "Leave it out, and set $SFTP_PASSWORD, use a key, or name a block with --credentials.",
            _plain(source),
        )
    if not host or parts.query or parts.fragment:
        raise UsageError(
            "bad-url",
            "it names no host" if not host else "a ? or # in it must be written as %3F or %23",
            "Write it as sftp://user@host:port/folder.",
            _plain(source),
        )
    path = unquote_to_bytes(parts.path) or b"/"
    folder = path.rstrip(b"/") or b"/"
    if path.startswith(b"/~"):  # relative to the account's own folder
        folder = path[2:].strip(b"/") or b"."
    user = os.fsdecode(unquote_to_bytes(parts.username or "")) or getpass.getuser()
    return Place(Server(user, host, port), folder)


def _plain(source: str) -> str:
    """Write a URL without user and password."""
    scheme, _, rest = source.partition("://")
    authority, slash, path = rest.partition("/")
    return shown(f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}")
