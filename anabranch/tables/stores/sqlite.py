"""SQLite, a file and no server: the same steps, with the file locked from BEGIN IMMEDIATE on."""

import errno
import re
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from anabranch.core.errors import AnabranchError, SetupError, TemporaryError, UsageError, disk_full
from anabranch.tables.normalise import canonical
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
from anabranch.tables.target import Column, ColumnType, Kind, TableName, Target

AGAIN = "Run the same command again once the other program is done; --lock-timeout waits longer."
MOST_DIGITS = 18  # of an integer of 64 bits
# In a column of a numeric kind SQLite would keep the text 0.10 as a binary fraction, so we declare a kind of text.
EXACT = "NUMERIC_TEXT"
_MADE: dict[Kind, str] = {
    "text": "TEXT", "varchar": "VARCHAR", "char": "CHAR", "smallint": "SMALLINT", "integer": "INT4",
    "bigint": "INTEGER", "numeric": EXACT, "double": "REAL", "boolean": "BOOLEAN", "date": "DATE", "time": "TIME",
    "timestamp": "TIMESTAMP", "timestamptz": "TIMESTAMPTZ",
}  # fmt: skip
_READ = {  # what is not named as in other databases
    "int": "bigint", "integer": "bigint", "int2": "smallint", "int4": "integer", "mediumint": "bigint",
    "unsigned big int": "bigint", "tinyint": "smallint", "clob": "text", "nvarchar": "varchar", "nchar": "varchar",
    "real": "double", "float": "double", "datetime": "timestamp", EXACT.lower(): "numeric",
    "varchar": "varchar", "char": "varchar",
}  # fmt: skip


class Sqlite(Store):
    """A connection to a file; `path` may name one that is not there, which the first write makes."""

    def __init__(self, path: str) -> None:
        self._path = path
        with self._told():
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA temp_store = FILE")
            self._connection.execute("PRAGMA cache_size = -32000")  # 32 MB, for the file and for temporary tables each
            self._connection.create_function("anabranch_decimal", 1, canonical, deterministic=True)

    # -- what is there

    def describe(self, table: TableName) -> Target:
        """Look at a table or view, whatever the case of its name."""
        if table.schema not in (None, "main"):
            raise UsageError("table-name", "SQLite has no schemas", "Name the table alone.", str(table))
        sql = "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name = $1 COLLATE NOCASE"
        known = self.rows(sql, table.name)
        if not known:
            return Target(TableName(None, table.name), (), exists=False)
        name = known[0][0]
        found = self.rows("SELECT name, type, [notnull], dflt_value, pk, hidden FROM pragma_table_xinfo($1)", name)
        keys = sum(bool(pk) for *_, pk, _ in found)
        columns = []
        for column, declared, required, default, pk, hidden in found:
            rowid = bool(pk) and keys == 1 and declared.upper() == "INTEGER"  # the row's own number, never NULL
            filled, generated = default is not None or rowid, hidden in (2, 3)
            columns.append(Column(column, read_type(declared), not (required or rowid), filled, generated, declared))
        return Target(TableName(None, name), tuple(columns))

    def create_sql(self, target: Target) -> str:
        """Write the statement, a column to a line."""
        lines = []
        for column in target.columns:
            kind = column.type
            if kind is None or kind.kind not in _MADE:
                raise _no_type(column.name, column.declared or str(kind))
            numbers = [number for number in (kind.length, kind.precision, kind.scale) if number is not None]
            inner = f"({','.join(map(str, numbers))})" if numbers else ""
            lines.append(
                f"    {self.quoted(column.name)} {_MADE[kind.kind]}{inner}{'' if column.nullable else ' NOT NULL'}"
            )
        return f"CREATE TABLE {table_in(self, target.table)} (\n" + ",\n".join(lines) + "\n)"

    def check(self, target: Target, columns: Sequence[str], key: Sequence[str]) -> None:
        """Refuse columns whose values SQLite would keep as something else."""
        del key
        for name in columns:
            column = target.named[name]
            if column.type is None or column.type.kind not in _MADE:
                raise _no_type(name, column.declared or str(column.type))
            if target.exists and column.type.kind == "numeric" and not (_is_text(column) or _is_whole(column)):
                raise UsageError(
                    "column-type",
                    f"column {name} is declared {column.declared}, where SQLite keeps numbers as binary fractions",
                    f"Declare it {EXACT}({column.type.precision or 18},{column.type.scale or 0}): that is exact.",
                )

    def compared_apart(self, target: Target, name: str) -> bool:
        """Compare decimals by value: 1.5 and 1.50 are two texts."""
        column = target.named[name]
        return bool(column.type and column.type.kind == "numeric" and (_is_text(column) or not target.exists))

    # -- the transaction

    def begin(self, lock_timeout: float) -> None:
        """Only note how long to wait: the file is locked later."""
        self.run(f"PRAGMA busy_timeout = {round(lock_timeout * 1000)}")

    def stage(self, target: Target, columns: Sequence[str], keys: Sequence[KeyColumn], rows: Iterable[pa.Table]) -> int:
        """Fill the temporary table, which lies in a file of its own, so that nothing is locked."""
        self._drop()
        collations = self._collations(target)
        apart = [key.staged for key in keys if key.apart]
        named = [f"c{place}" for place in range(len(columns))]
        fields = [f"{staged} {collations.get(name, '')}" for staged, name in zip(named, columns, strict=True)]
        self.make_temporary(ROWS, ", ".join(["n INTEGER PRIMARY KEY", *fields, *apart]))
        marks = ", ".join("?" * (1 + len(columns) + len(apart)))
        count = 0
        with self._told():
            self._connection.execute("BEGIN")
            for table in rows:
                for batch in table.to_batches(BATCH):
                    values = [batch.column(0).to_pylist()]
                    values += [_values(batch.column(1 + place)) for place in range(len(columns))]
                    values += [batch.column(1 + len(columns) + place).to_pylist() for place in range(len(apart))]
                    self._connection.executemany(f"INSERT INTO {ROWS} VALUES ({marks})", zip(*values, strict=True))
                    count += batch.num_rows
            self._connection.execute("COMMIT")
        return count

    def lock(self, target: Target, key: Sequence[str], *, alone: bool, nulls: bool) -> None:
        """Lock the whole file against other writers; readers go on reading."""
        del target, key, alone, nulls
        with self._told():
            self._connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Commit; SQLite waits for readers where it must."""
        self.run("COMMIT")

    def rollback(self) -> None:
        """Undo what is open."""
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close; what is open is undone."""
        self._connection.close()

    # -- statements

    def run(self, sql: str, *values: Value) -> int:
        """Carry out a statement."""
        with self._told():
            return self._connection.execute(sql, _named(values)).rowcount

    def rows(self, sql: str, *values: Value) -> list[tuple[Any, ...]]:
        """Fetch all rows at once."""
        with self._told(), closing(self._connection.cursor()) as cursor:
            return cursor.execute(sql, _named(values)).fetchall()

    def stream(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """Fetch row by row."""
        with self._told(), closing(self._connection.cursor()) as cursor:
            yield from cursor.execute(sql)

    def quoted(self, *names: str | None) -> str:
        """Write an identifier."""
        for name in names:
            if name is not None and "\0" in name:
                raise UsageError("table-name", "a name holds a NUL character", "Use another name.")
        return ".".join('"' + name.replace('"', '""') + '"' for name in names if name is not None)

    def same(self, column: Column, stored: str, staged: str, *, nulls: bool) -> str:
        """Use IS, which an index answers as well."""
        return f"{stored} {'IS' if nulls and column.nullable else '='} {staged}"

    def differs(self, column: Column, stored: str, staged: str) -> str:
        """Compare decimals by value, text by its letters."""
        if column.type and column.type.kind == "numeric" and _is_text(column):
            return f"anabranch_decimal({stored}) IS NOT anabranch_decimal({staged})"
        return f"{stored} IS NOT {staged} COLLATE BINARY"

    def matching(self, source: str, condition: str, where: str) -> str:
        """Write a join, for which SQLite makes an index where the table has none."""
        return f"SELECT DISTINCT s.n FROM {ROWS} s JOIN {source} t ON {condition} WHERE {where} TRUE"

    def accepted(self, columns: str, duplicates: int) -> str:
        """Filter while ROWS are read in their order."""
        where = f"WHERE {self.absent()} " if duplicates else ""
        return f"SELECT {columns} FROM {ROWS} s {where}ORDER BY s.n"

    def absent(self) -> str:
        """Write a list that SQLite looks up."""
        return f"s.n NOT IN (SELECT n FROM {DUPLICATES})"

    def make_temporary(self, table: str, fields: str) -> None:
        """Make it; the next import, or the end of the connection, removes it."""
        self.run(f"CREATE TEMP TABLE {table} ({fields})")

    def locked(self, query: str) -> str:
        """Leave it: the file is locked."""
        return query

    def settle(self) -> None:
        """Leave deferred foreign keys to COMMIT."""

    def stage_keys(self, target: Target, keys: Sequence[KeyColumn], normalise: Normalise) -> None:
        """Let SQLite call the same function that the file's keys went through."""

        def compared(value: Value) -> Value:
            return normalise(value) if isinstance(value, str) else value

        self._connection.create_function("anabranch_normal", 1, compared, deterministic=True)
        collations = self._collations(target)
        fields, values = [], []
        for key in keys:
            stored = f"t.{self.quoted(key.column.name)}"
            fields.append(f"r{key.place} {collations.get(key.column.name, '')}")
            values.append(stored)
            if key.apart:
                decimal = key.column.type and key.column.type.kind == "numeric"
                fields.append(f"k{key.place}")
                values.append(f"{'anabranch_decimal' if decimal else 'anabranch_normal'}({stored})")
        self.make_temporary(KEYS, ", ".join(fields))
        self.run(f"INSERT INTO {KEYS} SELECT {', '.join(values)} FROM {table_in(self, target.table)} t")

    # -- the history

    def history(self, target: Target) -> TableName:
        """Keep it in the same file."""
        del target
        return TableName(None, "anabranch_imports")

    def make_history(self, table: TableName, sql: str) -> None:
        """Make it unless it is there."""
        del table
        self.run(sql.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1))

    # -- what else

    def _collations(self, target: Target) -> dict[str, str]:
        """Ask SQLite for the collation of each column, which it tells of an index only: of one on an empty copy."""
        if not target.exists:
            return {}
        found = {}
        query = "SELECT sql FROM main.sqlite_master WHERE type = 'table' AND name = $1"
        sql = self.rows(query, target.table.name)[0][0]
        with closing(sqlite3.connect(":memory:")) as copy, suppress(sqlite3.Error):
            copy.execute(sql)
            for column in target.columns:
                table = self.quoted(target.table.name)
                copy.execute(f"CREATE INDEX anabranch_probe ON {table} ({self.quoted(column.name)})")
                collation = copy.execute("SELECT coll FROM pragma_index_xinfo('anabranch_probe') WHERE key").fetchone()[
                    0
                ]
                copy.execute("DROP INDEX anabranch_probe")
                found[column.name] = f"COLLATE {self.quoted(collation)}"
        return found

    def _drop(self) -> None:
        for table in (ROWS, DUPLICATES, KEYS):
            self.run(f"DROP TABLE IF EXISTS temp.{table}")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _ours(error, self._path) from None


def read_type(declared: str) -> ColumnType | None:
    """Read a declared type as it is meant; None for one that we cannot fill."""
    fits = re.fullmatch(r"\s*([a-z_][a-z0-9_ ]*?)\s*(\(.*\))?\s*", declared.lower())
    if not fits:
        return None
    word, inner = fits.groups()
    try:
        return ColumnType.parse(f"{_READ.get(word, word)}{inner or ''}")
    except UsageError:
        return None


def _is_text(column: Column) -> bool:
    """Whether SQLite keeps text as text in the column (its rules of affinity)."""
    name = column.declared.upper()
    return "INT" not in name and any(word in name for word in ("CHAR", "CLOB", "TEXT"))


def _is_whole(column: Column) -> bool:
    kind = column.type
    return bool(kind and kind.scale == 0 and (kind.precision or MOST_DIGITS + 1) <= MOST_DIGITS)


def _no_type(name: str, declared: str) -> UsageError:
    return UsageError(
        "column-type",
        f"column {name} is of type {declared}, which SQLite has not",
        f"Use integer, text, boolean, date, time, timestamp, double or {EXACT}(p,s) there, or a PostgreSQL database.",
    )


def _values(column: pa.Array) -> list[Any]:
    """Return the values as SQLite keeps them: dates and times as ISO text, in UTC, numbers exactly."""
    if pa.types.is_timestamp(column.type):
        zone = "+00:00" if column.type.tz else ""
        return _shortened(pc.cast(column.cast(pa.timestamp("us")), pa.string()).to_pylist(), zone)
    if pa.types.is_decimal(column.type):  # Arrow would write 1E-8
        return [None if value is None else format(value, "f") for value in column.to_pylist()]
    if pa.types.is_date(column.type):
        return list(pc.cast(column, pa.string()).to_pylist())
    if pa.types.is_time(column.type):
        return _shortened(pc.cast(column, pa.string()).to_pylist(), "")
    if pa.types.is_boolean(column.type):
        return list(pc.cast(column, pa.int8()).to_pylist())
    return list(column.to_pylist())


def _shortened(texts: list[Any], zone: str) -> list[Any]:
    """Leave out a fraction of a second that is zero."""
    return [text if text is None else text.removesuffix(".000000") + zone for text in texts]


def _named(values: Sequence[Value]) -> dict[str, Value]:
    return {str(number): value for number, value in enumerate(values, 1)}


def _ours(error: sqlite3.Error, path: str) -> AnabranchError:
    said = str(error)
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return TemporaryError("table-locked", f"another program is writing to {path}", AGAIN)
    if name.startswith("SQLITE_CONSTRAINT"):
        reason = f"a record breaks a rule of the table: {said}"
        return AnabranchError("constraint-violated", reason, "Correct the record or the rule; nothing was written.")
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_NOTADB")):
        return SetupError("database-unreachable", f"{path}: {said}", "Name a SQLite file that can be written.")
    if name == "SQLITE_FULL" or name.startswith("SQLITE_IOERR_WRITE"):
        full = disk_full(path, number=errno.ENOSPC)
        where = f"there and in {tempfile.gettempdir()}, where its temporary tables are (SQLITE_TMPDIR moves them)"
        remedy = f"Make room {where}, or import --into another file: nothing was written."
        return TemporaryError(full.code, f"{full.reason} ({said})", remedy, item=path)
    if name.startswith(("SQLITE_IOERR", "SQLITE_NOMEM")):
        return TemporaryError("database-unreachable", f"{path}: {said}", "Make room and run the same command again.")
    return AnabranchError("database-error", f"the database refused: {said}", "Correct the cause; nothing was written.")
