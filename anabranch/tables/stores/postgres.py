"""PostgreSQL 16 or newer, by psycopg: a temporary table filled by binary COPY, then everything in the database."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import psycopg
import pyarrow as pa
from pgpq import ArrowToPostgresBinaryEncoder
from psycopg import errors as pg
from psycopg.pq import TransactionStatus

from anabranch.core.errors import SetupError, TemporaryError, UsageError
from anabranch.tables.stores import postgres_catalogue as catalogue
from anabranch.tables.stores.base import (
    BATCH,
    DUPLICATES,
    KEYS,
    ROWS,
    KeyColumn,
    Normalise,
    Store,
    Value,
    table_in,
)
from anabranch.tables.stores.postgres_errors import AGAIN, LockedError, ours, told, unreachable
from anabranch.tables.target import Column, ColumnType, TableName, Target

NAME = "anabranch import-table"  # as the server shows our connections
OLDEST = 160_000
MOST_NAME_BYTES = 63  # the database would cut a longer one in silence
COMMIT_SECONDS = 60.0  # how long to ask for the fate of a COMMIT whose reply was lost
MOST_FILTERED = 1_000_000  # numbers in one hash table of a filter; for more a join and a sort are cheaper
_TABLES = "rpvf"  # kinds of relations that take rows: tables, partitioned and foreign ones, views
_ZERO = {  # any value of the type: what a NULL is hashed as
    "smallint": "0", "integer": "0", "bigint": "0", "numeric": "0", "real": "0", "double": "0", "boolean": "f",
    "date": "2000-01-01", "time": "00:00", "timestamp": "2000-01-01", "timestamptz": "2000-01-01",
    "uuid": "00000000-0000-0000-0000-000000000000", "jsonb": "null",
}  # fmt: skip


class Postgres(Store):
    """A connection to PostgreSQL; `address` is a URL or any other connection string of libpq, with its secrets."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection = self._connect()
        if self._connection.info.server_version < OLDEST:
            version = self._connection.info.server_version // 10_000
            self.close()
            raise SetupError(
                "database-version", f"the server is PostgreSQL {version}", "Use PostgreSQL 16 or a newer one."
            )

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        try:
            # no prepared statements: behind a pooler the next transaction may be another server's
            return psycopg.connect(
                self._address, autocommit=True, prepare_threshold=None, cursor_factory=psycopg.RawCursor,
                application_name=NAME, connect_timeout=20,
            )  # fmt: skip
        except psycopg.ProgrammingError:  # its text repeats what it could not read, maybe a password
            raise UsageError(
                "database-address", "the database's address cannot be read", "Write postgresql://HOST/DATABASE."
            ) from None
        except psycopg.Error as error:
            raise unreachable(error) from None

    # -- what is there

    def describe(self, table: TableName) -> Target:
        """Look at a table by its name alone; rights are seen later."""
        found = self.rows(catalogue.TABLE, table_in(self, table))
        if not found:
            schema = table.schema or self.rows("SELECT current_schema()")[0][0]
            return Target(TableName(schema, table.name), (), exists=False)
        oid, schema, name, kind = found[0]
        if kind not in _TABLES:
            raise UsageError("no-table", f"{table} is not a table", "Name a table.", str(table))
        columns = tuple(Column(a, _type(b), c, d, e, b) for a, b, c, d, e in self.rows(catalogue.COLUMNS, oid))
        return Target(TableName(schema, name), columns)

    def create_sql(self, target: Target) -> str:
        """Write the statement, a column to a line."""
        lines = [
            f"    {self.quoted(column.name)} {column.type}{'' if column.nullable else ' NOT NULL'}"
            for column in target.columns
        ]
        return f"CREATE TABLE {table_in(self, target.table)} (\n" + ",\n".join(lines) + "\n)"

    def check(self, target: Target, columns: Sequence[str], key: Sequence[str]) -> None:
        """Refuse json in a key: the database has no equality for it."""
        del columns
        for name in key:
            kind = target.named[name].type
            if kind and kind.kind == "json":
                raise UsageError(
                    "key-type",
                    f"column {name} is of type json, whose values the database cannot compare",
                    "Name the columns of the key with --key, or make the column jsonb.",
                )

    def compared_apart(self, target: Target, name: str) -> bool:
        """Compare every type as it is stored."""
        del target, name
        return False

    # -- the transaction

    def begin(self, lock_timeout: float) -> None:
        """Begin, and note the transaction's id, which tells its fate where the reply of COMMIT is lost."""
        self.run("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
        for name, value in (
            ("lock_timeout", f"{max(1, round(lock_timeout * 1000))}ms"),
            ("idle_in_transaction_session_timeout", "0"),
            ("statement_timeout", "0"),
            ("work_mem", "64MB"),  # a million keys are hashed in memory, twice as much at most
            ("client_min_messages", "error"),
        ):
            self.run("SELECT set_config($1, $2, true)", name, value)
        self.transaction_id = self.rows("SELECT pg_current_xact_id()::text")[0][0]

    def stage(self, target: Target, columns: Sequence[str], keys: Sequence[KeyColumn], rows: Iterable[pa.Table]) -> int:
        """Fill the table by one binary COPY; numbers that travel as text are cast afterwards, exactly."""
        text = [place for place, name in enumerate(columns) if _as_text(target.named[name])]
        apart = [key.staged for key in keys if key.apart]
        self._make_rows(target, columns, apart, text)
        names = ["n", *(f"c{place}" for place in range(len(columns))), *apart]
        count = self._copy(ROWS, names, rows)
        if text:
            casts = ", ".join(
                f"ALTER c{place} TYPE {self._declared(target.named[columns[place]])} "
                f"USING c{place}::{self._declared(target.named[columns[place]])}"
                for place in text
            )
            self.run(f"ALTER TABLE pg_temp.{ROWS} {casts}")
        return count

    def _declared(self, column: Column) -> str:
        return column.declared or str(column.type)

    def _make_rows(self, target: Target, columns: Sequence[str], apart: Sequence[str], text: Sequence[int]) -> None:
        """Make the table by a query, which keeps types, lengths and collations, and neither rules nor defaults."""
        fields = ["0::bigint AS n"]
        for place, name in enumerate(columns):
            if place in text:
                fields.append(f"''::text AS c{place}")
            elif target.exists:
                fields.append(f"t.{self.quoted(name)} AS c{place}")
            else:
                fields.append(f"NULL::{target.named[name].type} AS c{place}")
        fields += [f"''::text COLLATE \"C\" AS {name}" for name in apart]
        source = f" FROM {table_in(self, target.table)} t" if target.exists else ""
        self.run(f"CREATE TEMP TABLE {ROWS} ON COMMIT DROP AS SELECT {', '.join(fields)}{source} WITH NO DATA")

    def _copy(self, table: str, names: Sequence[str], rows: Iterable[pa.Table]) -> int:
        encoder, count = None, 0
        with told(), self._connection.cursor() as cursor:
            sql = f"COPY pg_temp.{table} ({', '.join(names)}) FROM STDIN (FORMAT BINARY)"
            with cursor.copy(sql.encode()) as copy:
                for chunk in rows:
                    if encoder is None:
                        encoder = ArrowToPostgresBinaryEncoder(chunk.schema)
                        copy.write(encoder.write_header())
                    for batch in chunk.to_batches(BATCH):
                        copy.write(encoder.write_batch(batch))
                        count += batch.num_rows
                if encoder is None:
                    encoder = ArrowToPostgresBinaryEncoder(pa.schema([pa.field(names[0], pa.int64())]))
                    copy.write(encoder.write_header())
                copy.write(encoder.finish())
        return count

    def lock(self, target: Target, key: Sequence[str], *, alone: bool, nulls: bool) -> None:
        """Take the import's own lock, which every Anabranch asks for, and where it matters one of the table."""
        table = table_in(self, target.table)
        try:
            self.run("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", _lock_name(target))
            if alone and not self._covered(table, key, nulls) and self.rows(catalogue.MAY_LOCK, table)[0][0]:
                self.run(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
        except LockedError as error:
            raise self._held(target, error) from None

    def _covered(self, table: str, key: Sequence[str], nulls: bool) -> bool:
        with told(), self._connection.cursor() as cursor:
            cursor.execute(catalogue.COVERED.encode(), [table, list(key), nulls])
            return bool((cursor.fetchone() or [False])[0])

    def _held(self, target: Target, error: LockedError) -> LockedError:
        self.rollback()
        with suppress(psycopg.Error, TemporaryError):
            holders = self.rows(catalogue.HOLDERS, table_in(self, target.table), _lock_name(target))
            if holders:
                who = ", ".join(f"process {pid} of {user}{f' ({name})' if name else ''}" for pid, user, name in holders)
                reason = f"table {target.table} is locked by {who}"
                return LockedError("table-locked", reason, f"{AGAIN} --lock-timeout waits longer.")
        return error

    def commit(self) -> None:
        """Commit; where the reply is lost, ask for the fate of the transaction on a new connection."""
        try:
            done = self._connection.execute(b"COMMIT")
        except psycopg.Error as error:
            if self._connection.info.transaction_status == TransactionStatus.IDLE:
                raise ours(error) from None  # the server refused: a deferred rule, for instance
            self._ask()
        else:
            if done.statusmessage != "COMMIT":
                raise TemporaryError("database-error", "the database rolled the import back", AGAIN)

    def _ask(self) -> None:
        """Ask for the fate of the transaction until the database knows it."""
        deadline = time.monotonic() + COMMIT_SECONDS
        while (fate := self._fate()) not in ("committed", "aborted") and time.monotonic() < deadline:
            time.sleep(0.2)
        if fate == "aborted":
            reason = "the connection was lost at COMMIT, and the database undid the import"
            raise TemporaryError("database-unreachable", reason, AGAIN)
        if fate != "committed":
            reason = (
                f"the connection was lost at COMMIT, and the fate of transaction {self.transaction_id} is not known"
            )
            remedy = "Run the same command again once the database answers: what was committed is not imported twice."
            raise TemporaryError("commit-unknown", reason, remedy)

    def _fate(self) -> str:
        self.close()
        try:
            self._connection = self._connect()
            found = self._connection.execute(b"SELECT pg_xact_status($1::xid8)", [self.transaction_id]).fetchone()
        except pg.InvalidParameterValue:  # in the future: the server fell before it wrote anything of it to its disk
            return "aborted"
        except (psycopg.Error, TemporaryError):
            return "unknown"
        return (found and found[0]) or "unknown"

    def rollback(self) -> None:
        """Undo, unless the connection is lost, which does the same."""
        if self._connection.info.transaction_status not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN):
            with suppress(psycopg.Error):
                self._connection.execute(b"ROLLBACK")

    def close(self) -> None:
        """Close; the server undoes what was open."""
        self._connection.close()

    # -- statements

    def run(self, sql: str, *values: Value) -> int:
        """Carry out a statement."""
        with told(), self._connection.cursor() as cursor:
            cursor.execute(sql.encode(), values or None)
            return cursor.rowcount

    def rows(self, sql: str, *values: Value) -> list[tuple[Any, ...]]:
        """Fetch all rows at once."""
        with told(), self._connection.cursor() as cursor:
            return cursor.execute(sql.encode(), values or None).fetchall()

    def stream(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """Fetch through a cursor of the server."""
        with told(), psycopg.RawServerCursor(self._connection, "anabranch_stream") as cursor:
            cursor.itersize = BATCH
            yield from cursor.execute(sql.encode())

    def quoted(self, *names: str | None) -> str:
        """Write an identifier of at most 63 bytes."""
        known = [name for name in names if name is not None]
        for name in known:
            if len(name.encode()) > MOST_NAME_BYTES or "\0" in name:
                raise UsageError(
                    "name-too-long", f"the name {name!r} has more than 63 bytes, which PostgreSQL would cut",
                    "Use a shorter name; --mapping gives a column another one.",
                )  # fmt: skip
        return psycopg.sql.Identifier(*known).as_string()

    def same(self, column: Column, stored: str, staged: str, *, nulls: bool) -> str:
        """Write equalities only, which can be hashed; IS NOT DISTINCT FROM would compare each row with each."""
        if not (nulls and column.nullable):
            return f"{stored} = {staged}"
        zero = _ZERO.get(column.type.kind if column.type else "", "")
        return (
            f"coalesce({stored}, '{zero}') = coalesce({staged}, '{zero}') AND ({stored} IS NULL) = ({staged} IS NULL)"
        )

    def differs(self, column: Column, stored: str, staged: str) -> str:
        """Compare json, which has no equality, by its text, and text by its letters, whatever the collation says."""
        kind = column.type.kind if column.type else ""
        if kind == "json":
            return f"{stored}::text IS DISTINCT FROM {staged}::text"
        if kind in ("text", "varchar", "char"):
            return f'{stored} COLLATE "C" IS DISTINCT FROM {staged} COLLATE "C"'
        return f"{stored} IS DISTINCT FROM {staged}"

    def matching(self, source: str, condition: str, where: str) -> str:
        """Write a semi-join."""
        return f"SELECT s.n FROM {ROWS} s WHERE {where} EXISTS (SELECT 1 FROM {source} t WHERE {condition})"

    def accepted(self, columns: str, duplicates: int) -> str:
        """Filter while ROWS are read in their order; where that is too much, sort."""
        if not duplicates:
            return f"SELECT {columns} FROM {ROWS} s"
        if duplicates <= MOST_FILTERED:
            return f"SELECT {columns} FROM {ROWS} s WHERE s.n NOT IN (SELECT n FROM {DUPLICATES})"
        return f"SELECT {columns} FROM {ROWS} s WHERE {self.absent()} ORDER BY s.n"

    def absent(self) -> str:
        """Write what becomes an anti-join."""
        return f"NOT EXISTS (SELECT 1 FROM {DUPLICATES} d WHERE d.n = s.n)"

    def make_temporary(self, table: str, fields: str) -> None:
        """Drop it at COMMIT: behind a pooler the session goes on."""
        self.run(f"CREATE TEMP TABLE {table} ({fields}) ON COMMIT DROP")

    def locked(self, query: str) -> str:
        """Lock the rows of the table."""
        return f"{query} FOR UPDATE OF t"

    def settle(self) -> None:
        """Check deferred rules now."""
        self.run("SET CONSTRAINTS ALL IMMEDIATE")

    def stage_keys(self, target: Target, keys: Sequence[KeyColumn], normalise: Normalise) -> None:
        """Stream the keys out and back in by batches: one connection cannot do both at once."""
        names = [self.quoted(key.column.name) for key in keys]
        fields = [f"t.{name} AS r{key.place}" for name, key in zip(names, keys, strict=True)]
        fields += [f"''::text COLLATE \"C\" AS k{key.place}" for key in keys if key.apart]
        table = table_in(self, target.table)
        self.run(f"CREATE TEMP TABLE {KEYS} ON COMMIT DROP AS SELECT {', '.join(fields)} FROM {table} t WITH NO DATA")
        apart = [key for key in keys if key.apart]
        written = ", ".join(f"r{key.place}" for key in keys) + "".join(f", k{key.place}" for key in apart)
        with told(), psycopg.RawServerCursor(self._connection, "anabranch_keys_out") as out:
            out.execute(f"SELECT {', '.join(f't.{name}::text' for name in names)} FROM {table} t".encode())
            while batch := out.fetchmany(BATCH):
                with (
                    self._connection.cursor() as cursor,
                    cursor.copy(f"COPY {KEYS} ({written}) FROM STDIN".encode()) as copy,
                ):
                    for row in batch:
                        texts = [row[key.place] for key in apart]
                        copy.write_row([*row, *(text if text is None else normalise(text) for text in texts)])

    # -- the history

    def history(self, target: Target) -> TableName:
        """Keep it in the table's schema."""
        return TableName(target.table.schema, "anabranch_imports")

    def make_history(self, table: TableName, sql: str) -> None:
        """Make it under a lock of its own, since two that make one table at once collide."""
        if self.describe(table).exists:
            return
        try:
            self.run("BEGIN")
            self.run("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"anabranch.history:{table}")
            self.run(sql.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1))
            self.run("COMMIT")
        except SetupError as error:
            self.rollback()
            remedy = f"Ask a role with the permission to create it, by: {' '.join(sql.split())}; or use --no-history."
            raise SetupError(
                "no-history-table", f"the history of imports cannot be made: {error.reason}", remedy
            ) from None


def _type(declared: str) -> ColumnType | None:
    try:
        return ColumnType.parse(declared)
    except UsageError:
        return None


def _as_text(column: Column) -> bool:
    """Whether a number travels as text, since no Arrow type that can be encoded holds it."""
    return bool(column.type and column.type.kind == "numeric" and column.type.arrow == pa.string())


def _lock_name(target: Target) -> str:
    return f"anabranch.import:{target.table.schema}.{target.table.name}"
