"""PostgreSQL's errors, as ours: what to correct, what to set up, what may succeed later."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors as pg

from anabranch.core.errors import AnabranchError, SetupError, TemporaryError

AGAIN = "Run the same command again: the parts that are done come from the cache."
_PASSING = ("starting up", "shutting down", "recovery", "too many", "connection slots", "not yet accepting")
_LATER = (psycopg.OperationalError, psycopg.InterfaceError)  # lost, full, deadlock, cancelled …


class LockedError(TemporaryError):
    """Others hold a lock for longer than we wait."""


@contextmanager
def told() -> Iterator[None]:
    """Raise our errors for those of the database."""
    try:
        yield
    except psycopg.Error as error:
        raise ours(error) from None


def unreachable(error: psycopg.Error) -> AnabranchError:
    """Return the error of a connection that could not be made: libpq gives words only, no code."""
    said = " ".join(str(error).split()).rstrip(".")
    if "FATAL:" in said and not any(word in said for word in _PASSING):
        return SetupError("database-unreachable", said, "Correct the database's address, role or password.")
    return TemporaryError("database-unreachable", f"the database cannot be reached: {said}", AGAIN)


def ours(error: psycopg.Error) -> AnabranchError:
    """Return the error of ours that says what the database said, without any value of the connection's URL."""
    said = " ".join((error.diag.message_primary or str(error)).split()).rstrip(".")
    if isinstance(error, pg.LockNotAvailable):
        return LockedError("table-locked", "the table is locked by others", AGAIN)
    if isinstance(error, psycopg.IntegrityError):
        return _constraint(error, said)
    if isinstance(error, (pg.InsufficientPrivilege, pg.ReadOnlySqlTransaction)):
        remedy = "Grant it to the role: SELECT and INSERT on the table (UPDATE for --on-duplicate update), TEMPORARY."
        return SetupError("not-permitted", f"the database refused: {said}", remedy)
    if isinstance(error, _LATER):
        reason = " ".join(said.split()) or "the connection was lost"
        return TemporaryError("database-unreachable", f"the database did not answer as it should: {reason}", AGAIN)
    hint = f" ({error.diag.context})" if error.diag.context else ""
    return AnabranchError(
        "database-error", f"the database refused: {said}{hint}", "Correct the cause; nothing was written."
    )


def _constraint(error: psycopg.Error, said: str) -> AnabranchError:
    detail = f": {error.diag.message_detail}" if error.diag.message_detail else ""
    return AnabranchError(
        "constraint-violated",
        f"a record breaks a rule of the table: {said}{detail}",
        "Correct the record or the rule; nothing was written.",
    )
