"""What an import asks of a database: one connection, one transaction, and a little SQL that both databases speak alike.

The records of a run wait in a temporary table ROWS: `n`, their number in the run counted from 1, and `c0`, `c1`, …, one
column for each column of the files, with the target's own types and collations.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from anabranch.tables.target import Column, TableName, Target

ROWS = "anabranch_rows"
DUPLICATES = (
    "anabranch_duplicates"  # n, and the number, `kept`, of the record that it repeats; NULL: a row of the table
)
KEYS = "anabranch_keys"  # the table's keys: r0, r1, … as they are stored and k0, k1, … as they are compared
BATCH = 20_000  # rows at a time from and to the database

Value = str | int | float | None
Normalise = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A column of the key: how ROWS and KEYS name it."""

    place: int  # in the key
    column: Column
    staged: str  # in ROWS, as it is compared: c3, or k0 where that is not as it is stored
    apart: bool  # whether it is compared otherwise than it is stored


class Store(ABC):
    """A connection to a database: a context manager that ends what was begun and not committed."""

    transaction_id = ""  # of the transaction, where the database has such

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- what is there

    @abstractmethod
    def describe(self, table: TableName) -> Target:
        """Look at a table; `exists` is False, and it has no columns, where it does not exist.

        The name in the result is the one that the database found, with its schema where it has schemas.
        """

    @abstractmethod
    def create_sql(self, target: Target) -> str:
        """Write the statement that makes the table; UsageError for a type that this database cannot hold exactly."""

    @abstractmethod
    def check(self, target: Target, columns: Sequence[str], key: Sequence[str]) -> None:
        """Raise UsageError for a column that cannot hold its values exactly, or a key that cannot be compared."""

    @abstractmethod
    def compared_apart(self, target: Target, name: str) -> bool:
        """Whether a key column's values cannot be compared as they are written in the table."""

    # -- the transaction

    @abstractmethod
    def begin(self, lock_timeout: float) -> None:
        """Begin; a wait for a lock ends after that many seconds with a TemporaryError."""

    @abstractmethod
    def stage(self, target: Target, columns: Sequence[str], keys: Sequence[KeyColumn], rows: Iterable[pa.Table]) -> int:
        """Fill ROWS before any lock is taken, and count them.

        `rows` have the columns n, c0, c1, … and one text column for each key column that is compared apart.
        """

    @abstractmethod
    def lock(self, target: Target, key: Sequence[str], *, alone: bool, nulls: bool) -> None:
        """Keep other imports out of the table until the end of the transaction.

        With `alone` other programs' writes matter, too: they are kept out where no unique index covers `key` (with
        `nulls`: a NULL equals a NULL) and the role may do so.
        """

    @abstractmethod
    def commit(self) -> None:
        """Commit, and be sure of it; TemporaryError where that did not happen or cannot be known."""

    @abstractmethod
    def rollback(self) -> None:
        """Undo everything since `begin`, if that is still open."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection, whatever its state."""

    # -- statements

    @abstractmethod
    def run(self, sql: str, *values: Value) -> int:
        """Carry out a statement; return how many rows it wrote. `values` take the places of $1, $2, …."""

    @abstractmethod
    def rows(self, sql: str, *values: Value) -> list[tuple[Any, ...]]:
        """Carry out a query with a small answer."""

    @abstractmethod
    def stream(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """Carry out a query within the transaction, and hand its rows over batch by batch."""

    @abstractmethod
    def quoted(self, *names: str | None) -> str:
        """Write an identifier, of a schema and a table for instance; UsageError for one that the database would cut."""

    @abstractmethod
    def same(self, column: Column, stored: str, staged: str, *, nulls: bool) -> str:
        """Write the condition that two values of a key are equal; with `nulls` a NULL equals a NULL.

        The condition can be hashed, or answered by an index.
        """

    @abstractmethod
    def differs(self, column: Column, stored: str, staged: str) -> str:
        """Write the condition that two values are not one and the same; NULL is a value like any other."""

    @abstractmethod
    def matching(self, source: str, condition: str, where: str) -> str:
        """Write the query for the numbers of the rows `s` of ROWS for which `source` has a row `t` that fits."""

    @abstractmethod
    def accepted(self, columns: str, duplicates: int) -> str:
        """Write the query for the rows of ROWS that are not in DUPLICATES, in the order of the files."""

    @abstractmethod
    def absent(self) -> str:
        """Write the condition that a row `s` is not in DUPLICATES."""

    @abstractmethod
    def make_temporary(self, table: str, fields: str) -> None:
        """Make a table that goes with the transaction."""

    @abstractmethod
    def locked(self, query: str) -> str:
        """Write a query so that the rows `t` that it finds stay as they are until the end of the transaction."""

    @abstractmethod
    def settle(self) -> None:
        """Check now what would be checked at COMMIT."""

    @abstractmethod
    def stage_keys(self, target: Target, keys: Sequence[KeyColumn], normalise: Normalise) -> None:
        """Copy the table's keys into KEYS; text that is compared apart goes through `normalise`."""

    # -- the history

    @abstractmethod
    def history(self, target: Target) -> TableName:
        """Name the table of imports beside a table."""

    @abstractmethod
    def make_history(self, table: TableName, sql: str) -> None:
        """Make the table of imports, unless it is there; SetupError with the statement where the role may not."""


def table_in(store: Store, table: TableName) -> str:
    """Write a table's name."""
    return store.quoted(table.schema, table.name)
