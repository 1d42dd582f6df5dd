"""Which records repeat a key: of the table or of the files, found in the database by its own types and collations."""

from collections.abc import Iterator, Sequence

from anabranch.core.errors import AnabranchError
from anabranch.tables.stores.base import DUPLICATES, KEYS, ROWS, KeyColumn, Store, table_in
from anabranch.tables.target import Import, key_of

_TEXTS = ("text", "varchar", "char")


def key_columns(store: Store, job: Import) -> tuple[KeyColumn, ...]:
    """Return the columns of the key, each with the name of its values in ROWS."""
    places = {name: place for place, name in enumerate(job.columns)}
    found = []
    for place, name in enumerate(key_of(job)):
        column = job.target.named[name]
        normal = bool(job.policy.key_normalise and column.type and column.type.kind in _TEXTS)
        apart = normal or store.compared_apart(job.target, name)
        found.append(KeyColumn(place, column, f"k{place}" if apart else f"c{places[name]}", apart))
    return tuple(found)


def nulls_equal(job: Import) -> bool:
    """Whether a NULL in a key equals a NULL; without a key, whole records are compared, and they do."""
    return not job.policy.key or job.policy.null_keys == "equal"


class Search:
    """The search for duplicates in one transaction, once ROWS are filled and the table is locked."""

    def __init__(self, store: Store, job: Import, keys: Sequence[KeyColumn]) -> None:
        self._store = store
        self._job = job
        self._keys = keys
        self._nulls = nulls_equal(job)
        self._apart = any(key.apart for key in keys)
        self._table = table_in(store, job.target.table)

    def in_files(self) -> None:
        """Fill DUPLICATES with what the files repeat: the first of several records stays, under `update` the last.

        This needs no look at the table, and so no lock.
        """
        self._store.make_temporary(DUPLICATES, "n bigint, kept bigint")
        self._in_files()

    def in_files_again(self) -> None:
        """Find them again, since records were taken out of ROWS."""
        self._store.run(f"DELETE FROM {DUPLICATES}")
        self._in_files()

    def in_table(self) -> None:
        """Add what is in the table, which must be locked.

        A record whose key is in the table is a duplicate of the table, whether the files repeat it or not; under
        `update` only the last of them.
        """
        if not self._job.target.exists:
            return
        last = self._job.policy.on_duplicate == "update"
        source = KEYS if self._apart else self._table
        where = self._store.absent() if last else "TRUE"
        condition = " AND ".join(self._same(key, f"t.{self._stored(key)}", f"s.{key.staged}") for key in self._keys)
        query = self._store.matching(source, condition, f"{self._filled('s')} AND {where} AND")
        self._store.run(f"INSERT INTO {DUPLICATES} SELECT n, NULL FROM ({query}) found")

        if not last:
            of_table = f"SELECT n FROM {DUPLICATES} WHERE kept IS NULL"
            self._store.run(f"DELETE FROM {DUPLICATES} WHERE kept IS NOT NULL AND n IN ({of_table})")

    def _in_files(self) -> None:
        which = "max" if self._job.policy.on_duplicate == "update" else "min"
        names = ", ".join(f"s.{key.staged}" for key in self._keys)
        repeated = (
            f"SELECT {names}, {which}(s.n) AS kept FROM {ROWS} s WHERE {self._filled('s')} "
            f"GROUP BY {names} HAVING count(*) > 1"
        )
        same = " AND ".join(self._same(key, f"r.{key.staged}", f"s.{key.staged}") for key in self._keys)
        self._store.run(
            f"INSERT INTO {DUPLICATES} SELECT s.n, r.kept FROM ({repeated}) r JOIN {ROWS} s ON {same} "
            "WHERE s.n <> r.kept"
        )

    def _same(self, key: KeyColumn, stored: str, staged: str) -> str:
        return self._store.same(key.column, stored, staged, nulls=self._nulls)

    def _stored(self, key: KeyColumn) -> str:
        if self._apart:
            return f"{'k' if key.apart else 'r'}{key.place}"
        return self._store.quoted(key.column.name)

    def _filled(self, alias: str) -> str:
        """Write the condition that a record has a key at all: a NULL that equals nothing makes it unique."""
        nullable = [] if self._nulls else [key for key in self._keys if key.column.nullable]
        return " AND ".join(f"{alias}.{key.staged} IS NOT NULL" for key in nullable) or "TRUE"

    def found(self) -> Iterator[tuple[int, int | None]]:
        """Hand over the duplicates in the order of the records, each with the number of the one that it repeats."""
        yield from self._store.stream(f"SELECT n, kept FROM {DUPLICATES} ORDER BY n")

    def insert(self, duplicates: int) -> int:
        """Insert what is not a duplicate, in the order of the files; return how many rows the database wrote."""
        named = ", ".join(self._store.quoted(name) for name in self._job.columns)
        staged = ", ".join(f"s.c{place}" for place in range(len(self._job.columns)))
        return self._store.run(f"INSERT INTO {self._table} ({named}) {self._store.accepted(staged, duplicates)}")

    def changed(self, *, lock: bool) -> Iterator[tuple[int, int]]:
        """Hand over the records whose row in the table would change, with the number of such rows."""
        if not self._changes():
            return
        query = f"SELECT s.n FROM {self._table} t, {self._sources()} WHERE {self._condition()}"
        query = self._store.locked(query) if lock else query
        yield from self._store.stream(f"SELECT n, count(*) FROM ({query}) found GROUP BY n")

    def update(self, expected: int) -> None:
        """Update the rows that change; raise where the database wrote fewer than it found."""
        if not expected:
            return
        values = ", ".join(f"{self._store.quoted(name)} = s.c{place}" for name, place in self._changes())
        written = self._store.run(
            f"UPDATE {self._table} AS t SET {values} FROM {self._sources()} WHERE {self._condition()}"
        )
        require_stored(written, expected)

    def _changes(self) -> list[tuple[str, int]]:
        key = set(key_of(self._job))
        return [(name, place) for place, name in enumerate(self._job.columns) if name not in key]

    def _sources(self) -> str:
        return f"{ROWS} s, {KEYS} y" if self._apart else f"{ROWS} s"

    def _condition(self) -> str:
        """Write which row is changed by which record: the last one with its key, and only if a value differs."""
        named = self._job.target.named
        same = [
            self._same(key, f"{'y' if self._apart else 't'}.{self._stored(key)}", f"s.{key.staged}")
            for key in self._keys
        ]
        if self._apart:
            exact = [(key.column, f"t.{self._store.quoted(key.column.name)}", f"y.r{key.place}") for key in self._keys]
            same += [self._store.same(column, stored, known, nulls=True) for column, stored, known in exact]
            same += [f"NOT ({self._store.differs(column, stored, known)})" for column, stored, known in exact]
        differs = [
            self._store.differs(named[name], f"t.{self._store.quoted(name)}", f"s.c{place}")
            for name, place in self._changes()
        ]
        last = f"s.n IN (SELECT n FROM {DUPLICATES} WHERE kept IS NULL)"
        return " AND ".join([*same, f"({' OR '.join(differs)})", last])


def require_stored(written: int, expected: int) -> None:
    """Raise where the database wrote another number of rows than it was sent."""
    if written != expected:
        raise AnabranchError(
            "rows-swallowed",
            f"of {expected:,} rows that were sent the table took {written:,}; a trigger or rule of it drops rows",
            "Nothing was written. Switch the trigger off for the import, or correct it.",
        )
