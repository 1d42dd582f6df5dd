"""Credentials that a user named: taken from variables or from a block where they are used, and written nowhere."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from anabranch.core.errors import SetupError, TemporaryError
from anabranch.uploads.stores.base import Destination

FRESH_SECONDS = 300  # after which a block is read again: its values may have been replaced


@dataclass(frozen=True, slots=True)
class Secrets:
    """What gives access: keys of S3, an account of Azure, a token or account of Google, a login of SFTP."""

    access_key_id: str = field(default="", repr=False)
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    region: str = ""
    access_token: str = field(default="", repr=False)
    service_account: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)
    passphrase: str = field(default="", repr=False)
    connection_string: str = field(default="", repr=False)
    account_name: str = ""
    account_key: str = field(default="", repr=False)
    sas_token: str = field(default="", repr=False)


Unlock = Callable[[str, str], Secrets]  # the kind of the destination, and the name of a block


def no_blocks(kind: str, name: str) -> Secrets:  # noqa: ARG001  as those that know blocks are called
    """Raise TemporaryError, since blocks are not known outside a run."""
    raise TemporaryError(
        "credentials-unavailable",
        f"the block {name!r} can be read only within a run",
        "Name a profile: or env: instead.",
        "--credentials",
    )


def secrets_of(destination: Destination, unlock: Unlock, *needed: str) -> Secrets | None:
    """Return the secrets that the destination's credentials name; None where its client finds them by itself.

    Raises SetupError "credentials-missing" for a variable of `needed` that is not set.
    """
    kind, colon, name = (destination.credentials or "").partition(":")
    if not kind or kind == "profile":
        return None
    if not colon:
        return _of_block(destination.kind, kind, unlock, os.getpid(), int(time.monotonic() // FRESH_SECONDS))
    found = {word: os.environ.get(f"{name}_{word.upper()}", "") for word in Secrets.__slots__}
    for word in needed:
        if not found[word]:
            reason = f"the variable {name}_{word.upper()} is not set"
            raise SetupError("credentials-missing", reason, "Set it where the parts run.")
    return Secrets(**found)


@lru_cache(maxsize=16)
def _of_block(kind: str, name: str, unlock: Unlock, process: int, period: int) -> Secrets:  # noqa: ARG001
    return unlock(kind, name)
