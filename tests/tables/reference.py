"""What an import must amount to: records inserted one after another in file order, each after a savepoint."""

from collections.abc import Sequence
from typing import Any

from anabranch.core.errors import AnabranchError
from anabranch.tables.stores.base import Store
from tests.tables.importing import BAD


def literal(value: Any) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int | bool) else "'" + str(value).replace("'", "''") + "'"


class Reference:
    """The table `t`, its copy `r` that the records go into, and `c`, whose unique index says what repeats a key."""

    def __init__(self, store: Store, columns: Sequence[str], key: Sequence[str], same: str, index: str) -> None:
        """`same` compares two values of a key, `index` lists what is unique, with the treatment of NULL."""
        self.store, self.columns, self.key, self.same = store, list(columns), list(key), same
        self.duplicates: dict[int, int | None] = {}
        store.run("CREATE TABLE r AS SELECT * FROM t")
        store.run("CREATE TABLE c AS SELECT t.*, 0 AS n FROM t WHERE 1 = 0")
        store.run(f"CREATE UNIQUE INDEX claims ON c {index}")
        for row in store.rows("SELECT * FROM t"):
            self._claimed(row, 0)

    def _where(self, record: Sequence[Any]) -> str:
        values = [literal(record[self.columns.index(name)]) for name in self.key]
        return " AND ".join(f'"{name}" {self.same} {value}' for name, value in zip(self.key, values, strict=True))

    def _claimed(self, record: Sequence[Any], n: int) -> bool:
        self.store.run("SAVEPOINT one")
        try:
            self.store.run(f"INSERT INTO c VALUES ({', '.join(map(literal, record))}, {n})")
        except AnabranchError as error:
            if error.code != "constraint-violated":
                raise
            self.store.run("ROLLBACK TO SAVEPOINT one")
            return False
        return True

    def insert(self, n: int, record: Any, policy: str) -> None:
        if record is BAD:
            return
        if policy == "allow" or self._claimed(record, n):
            self.store.run(f"INSERT INTO r VALUES ({', '.join(map(literal, record))})")
            return
        holder = self.store.rows(f"SELECT n FROM c WHERE {self._where(record)}")[0][0]
        if policy != "update":
            self.duplicates[n] = holder or None
            return
        for earlier in (holder, *(one for one, other in self.duplicates.items() if other == holder and holder)):
            if earlier:  # superseded, also where it had changed a row of the table
                self.duplicates[earlier] = n
        of_table = self.store.rows(f"SELECT count(*) FROM t WHERE {self._where(record)}")[0][0]
        if of_table:
            self.duplicates[n] = None
        self.store.run(f"UPDATE c SET n = {n} WHERE {self._where(record)}")
        values = [f'"{name}" = {literal(value)}' for name, value in zip(self.columns, record, strict=True)
                  if name not in self.key]  # fmt: skip
        if values:
            self.store.run(f"UPDATE r SET {', '.join(values)} WHERE {self._where(record)}")
