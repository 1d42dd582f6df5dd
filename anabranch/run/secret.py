"""The secret of our own server: requests that do not carry it are refused, see `door`.

It is kept in a file of the state folder as `user:password`, the form of Prefect's auth strings. Browsers get in by
other means, derived from the secret, which do not reveal it: a link with a token that is valid once, then a cookie.
"""

import base64
import hashlib
import hmac
import os
import secrets
import stat
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

FILE = "server.auth"
HOST = "ANABRANCH_SERVER_HOST"  # the variable by which our server knows the address where it listens
TOKEN = "token"  # noqa: S105  the name of the parameter in a link
LINK_SECONDS = 24 * 3600  # a link that was not opened stays valid for so long
_USER = "anabranch"


def read_secret(home: Path) -> str:
    """Return the secret of the server in `home`; "" if there is none, or if another user may know it."""
    try:
        with (home / FILE).open() as file:
            about = os.fstat(file.fileno())
            alone = about.st_uid == os.getuid() and not stat.S_IMODE(about.st_mode) & 0o077
            return file.read().strip() if alone else ""
    except (OSError, ValueError):
        return ""


def make_secret(home: Path) -> str:
    """Write a new secret into `home`, readable for this user only, and return it."""
    secret = f"{_USER}:{secrets.token_urlsafe(32)}"
    aside = home / f".{FILE}.{secrets.token_hex(8)}"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret)
    aside.rename(home / FILE)
    return secret


def forget_secret(home: Path) -> None:
    """Remove the secret, so that the next server gets another one."""
    (home / FILE).unlink(missing_ok=True)


def authorization(secret: str) -> str:
    """Return the header by which clients show the secret."""
    return f"Basic {base64.b64encode(secret.encode()).decode()}"


def cookie(secret: str) -> tuple[str, str]:
    """Return name and value of the cookie by which a browser shows that it opened a valid link.

    Browsers send a cookie to every port of a host, so each server needs a name of its own.
    """
    return f"anabranch-{_digest(secret, 'name')[:12]}", _digest(secret, "cookie")


def link(page: str, secret: str) -> str:
    """Return the address of a page with a token that opens it once, within LINK_SECONDS."""
    parts = urlsplit(page)
    claim = f"{int(time.time())}-{secrets.token_hex(16)}"
    query = f"{TOKEN}={claim}-{_digest(secret, claim)}"
    return urlunsplit(parts._replace(path=parts.path or "/", query=f"{parts.query}&{query}" if parts.query else query))


class Links:
    """Which links are valid: made with the secret since this object exists, not too old, and not used before."""

    def __init__(self, secret: str, clock: Callable[[], float] = time.time) -> None:
        self._secret, self._clock = secret, clock
        self._start = int(clock())  # earlier ones may have been used: only their server knew
        self._used: dict[str, int] = {}

    def use(self, token: str) -> bool:
        """Whether the token is valid; it is not any more afterwards."""
        claim, _, digest = token.rpartition("-")
        if not same(digest, _digest(self._secret, claim)) or claim in self._used:
            return False
        issued, oldest = int(claim.partition("-")[0]), max(self._start, int(self._clock()) - LINK_SECONDS)
        if issued < oldest:
            return False
        self._used = {known: when for known, when in self._used.items() if when >= oldest} | {claim: issued}
        return True


def same(given: str, right: str) -> bool:
    """Compare in a time that does not depend on where the two differ."""
    return hmac.compare_digest(given.encode(errors="replace"), right.encode())


def _digest(secret: str, purpose: str) -> str:
    return hmac.new(secret.encode(), purpose.encode(), hashlib.sha256).hexdigest()
