"""What sftp://user@host:port/folder names: a server, an account, and a path there. No password is taken in it."""

import getpass
import os
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlsplit

from anabranch.core.errors import UsageError
from anabranch.core.storage import shown

SCHEME = "sftp://"
_PORT = 22
_FORM = "Write it as sftp://user@host:port/folder."


class Server(NamedTuple):
    """An SFTP server and whose account there."""

    user: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{SCHEME}{quote(self.user)}@{host}{'' if self.port == _PORT else f':{self.port}'}"

    @property
    def known_as(self) -> str:
        """The name under which known_hosts has it."""
        return self.host if self.port == _PORT else f"[{self.host}]:{self.port}"


def parsed(url: str) -> tuple[Server, bytes]:
    """Return the server that a URL names, and the path there, which begins with / unless it is below the account's own.

    Raises UsageError for a URL that is not complete, or holds a password.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORT
    except ValueError as error:
        raise UsageError("bad-url", str(error), _FORM, without_user(url)) from None
    if parts.password is not None:
        raise UsageError(
            "password-in-url",
            "the URL holds a password, which the run's page, its logs and the shell's history would show",
            "Leave it out, and set $SFTP_PASSWORD, use a key, or name a block with --credentials.",
            without_user(url),
        )
    if not host or parts.query or parts.fragment:
        raise UsageError(
            "bad-url",
            "it names no host" if not host else "a ? or # in it must be written as %3F or %23",
            _FORM,
            without_user(url),
        )
    path = unquote_to_bytes(parts.path) or b"/"
    if path.startswith(b"/~"):
        path = path[2:].lstrip(b"/")
    user = os.fsdecode(unquote_to_bytes(parts.username or "")) or getpass.getuser()
    return Server(user, host, port), path


def without_user(url: str) -> str:
    """Write a URL without user and password."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return shown(f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}")
