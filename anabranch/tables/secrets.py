"""Where a database is: the name of a secret, or an address without one, resolved where the database is used."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from anabranch.core.errors import SetupError, UsageError
from anabranch.tables.stores.base import Store

POSTGRES = ("postgresql", "postgres")
_SECRET = re.compile(r"(env|block):(.+)")


def check_address(into: str) -> str:
    """Return the address as it may travel: a relative SQLite file made absolute; UsageError for one with a password."""
    if _SECRET.fullmatch(into):
        return into
    address = urlsplit(into)
    if address.scheme == "sqlite":
        return f"sqlite:///{quote(str(_file(into).absolute()))}"
    if address.scheme not in POSTGRES:
        raise UsageError(
            "database-address",
            "--into is not the address of a database",  # without repeating it: it may hold a password
            "Write sqlite:///FILE, postgresql://HOST/DATABASE, env:NAME or block:NAME.",
        )
    if ("@" in address.netloc and ":" in address.netloc.rpartition("@")[0]) or _asks_with_password(address.query):
        raise UsageError(
            "password-in-address",
            "the database's address contains a password",
            "Keep it in a variable and write env:NAME, in a Prefect block and write block:NAME, or in ~/.pgpass.",
        )
    return into


def _asks_with_password(query: str) -> bool:
    return any("password" in name.lower() for name, _ in parse_qsl(query, keep_blank_values=True))


def resolve(into: str, block: Callable[[str], str] | None = None) -> str:
    """Return the address with its secrets; `block` reads a Prefect block. Call it where the database is used."""
    fits = _SECRET.fullmatch(into)
    if not fits:
        return check_address(into)
    kind, name = fits.groups()
    if kind == "block":
        if block is None:
            raise UsageError("no-block", "a Prefect block is read by a flow only", "Use env:NAME here.", into)
        return block(name)
    found = os.environ.get(name)
    if not found:
        raise SetupError(
            "no-secret", f"the variable {name} is not set where the import runs", "Set it to the database's URL.", into
        )
    return found


def open_store(address: str, missing: Literal["make", "empty", "refuse"] = "make") -> Store:
    """Connect to the database of a resolved address: sqlite:///FILE, or whatever libpq understands.

    A SQLite file that does not exist is made by the first write, or counts as an empty database and is not made, or is
    a SetupError.
    """
    if address.startswith("sqlite:"):
        from anabranch.tables.stores.sqlite import Sqlite  # noqa: PLC0415  each database's library only when it is used

        path = _file(address)
        absent = missing != "make" and not path.exists()
        if absent and (missing == "refuse" or not path.parent.is_dir()):
            raise SetupError("database-unreachable", f"{path}: there is no such file", "Correct --into.")
        return Sqlite(":memory:" if absent else str(path))
    from anabranch.tables.stores.postgres import Postgres  # noqa: PLC0415

    return Postgres(address)


def _file(address: str) -> Path:
    """Return the file of an address with three slashes; four begin an absolute path, as elsewhere."""
    path = unquote(address.removeprefix("sqlite:///")) if address.startswith("sqlite:///") else ""
    if not path or path == ":memory:" or "\0" in path:
        raise UsageError("database-address", "--into names no file of SQLite", "Write sqlite:///FILE.")
    return Path(path)
