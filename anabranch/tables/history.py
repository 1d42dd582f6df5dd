"""The table `anabranch_imports` beside the table: one row for each file of each import, written with its records."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from anabranch.core.errors import AnabranchError, UsageError
from anabranch.tables.stores.base import Store, table_in
from anabranch.tables.target import Import, ImportFile, TableName

COUNTS = (
    "rows_in_file", "would_accept", "accepted", "updated", "unchanged", "duplicates_in_file", "duplicates_in_table",
    "rejected",
)  # fmt: skip
_FACTS = (
    "id", "file_number", "file", "sha256", "bytes", "table_name", "mapping", "policy", "status", *COUNTS,
    "transaction_id", "started_at", "finished_at",
)  # fmt: skip


@dataclass(slots=True)
class Counts:
    """What became of the records of one file, or of all of them."""

    rows_in_file: int = 0
    rejected: int = 0
    duplicates_in_file: int = 0
    duplicates_in_table: int = 0
    accepted: int = 0  # rows inserted
    updated: int = 0  # of the duplicates in the table
    unchanged: int = 0

    @property
    def would_accept(self) -> int:
        """Records that are neither rejected nor duplicates."""
        return self.rows_in_file - self.rejected - self.duplicates_in_file - self.duplicates_in_table

    def facts(self) -> dict[str, int]:
        """Return all of them by name."""
        return {name: int(getattr(self, name)) for name in COUNTS}

    @classmethod
    def of(cls, facts: dict[str, Any]) -> "Counts":
        """Take them from a row of the history."""
        return cls(**{name: int(facts[name] or 0) for name in COUNTS if name != "would_accept"})

    @classmethod
    def total(cls, several: Sequence["Counts"]) -> "Counts":
        """Add them up."""
        names = [name for name in COUNTS if name != "would_accept"]
        return cls(**{name: sum(getattr(one, name) for one in several) for name in names})


class History:
    """The imports into one table."""

    def __init__(self, store: Store, job: Import) -> None:
        self._store = store
        self._job = job
        self._table = store.history(job.target)
        self._sql = table_in(store, self._table)

    def make(self) -> None:
        """Make the table on first use; SetupError with its statement where the role may not."""
        self._store.make_history(self._table, ddl(self._sql))

    def exists(self) -> bool:
        """Whether there was an import yet."""
        return self._store.describe(self._table).exists

    def committed(self, file: ImportFile) -> dict[str, Any] | None:
        """Find the import that committed the same content into the same table, by the same mapping."""
        found = self._store.rows(
            f"SELECT {_selected()} FROM {self._sql} WHERE sha256 = $1 AND table_name = $2 AND mapping = $3 "
            "AND status = 'committed' ORDER BY finished_at",
            file.sha256,
            str(self._job.target.table),
            self._job.mapping,
        )
        rows = [dict(zip(_FACTS, row, strict=True)) for row in found]
        return rows[-1] if rows else None

    def write(
        self, identity: str, status: str, counts: Sequence[Counts], started: datetime, skipped: Sequence[int]
    ) -> None:
        """Write a row for each file, except those that were known already."""
        marks = ", ".join(f"${number}" for number in range(1, len(_FACTS) + 1))
        policy = orjson.dumps(asdict(self._job.policy), option=orjson.OPT_SORT_KEYS).decode()
        for number, (file, count) in enumerate(zip(self._job.files, counts, strict=True)):
            if number in skipped:
                continue
            facts = count.facts()
            self._store.run(
                f"INSERT INTO {self._sql} ({', '.join(_FACTS)}) VALUES ({marks})",
                identity, number + 1, file.label, file.sha256, file.size, str(self._job.target.table),
                self._job.mapping, policy, status, *(facts[name] for name in COUNTS),
                self._store.transaction_id or None, started.isoformat(), datetime.now(UTC).isoformat(),
            )  # fmt: skip


def known_files(store: Store, job: Import) -> frozenset[int]:
    """Return which files the table has already, where these are to be left out."""
    history = History(store, job)
    if not job.policy.history or job.policy.on_same_file != "skip" or not (job.target.exists and history.exists()):
        return frozenset()
    return frozenset(number for number, file in enumerate(job.files) if history.committed(file))


def ddl(table: str) -> str:
    """Write the statement that makes the table of imports."""
    kinds = {"file_number": "integer", "bytes": "bigint"} | dict.fromkeys(COUNTS, "bigint")
    lines = [
        f"    {fact} {kinds.get(fact, 'text')}{'' if fact == 'transaction_id' else ' NOT NULL'}" for fact in _FACTS
    ]
    return f"CREATE TABLE {table} (\n" + ",\n".join([*lines, "    PRIMARY KEY (id, file_number)"]) + "\n)"


def list_imports(store: Store, schema: str | None = None, table: TableName | None = None) -> list[dict[str, Any]]:
    """Return the imports of a schema, the latest last, one entry for each file; of one table, if it is named."""
    if table is None:
        return list(_imports(store, schema, "TRUE"))
    found = store.describe(table).table
    return list(_imports(store, found.schema, "table_name = $1", str(found)))


def show_import(store: Store, identity: str, schema: str | None = None) -> list[dict[str, Any]]:
    """Return the files of one import, which a unique beginning of its id names; UsageError where there is none."""
    found = list(_imports(store, schema, "substr(id, 1, length(CAST($1 AS text))) = $1", identity))
    if len({row["id"] for row in found}) != 1:
        many = "several imports" if found else "no import"
        raise UsageError(
            "no-import", f"there is {many} of the id {identity}", "See `anabranch imports list`.", identity
        )
    return found


def _imports(store: Store, schema: str | None, where: str, *values: str) -> Iterator[dict[str, Any]]:
    table = store.history(store.describe(TableName(schema, "anabranch_imports")))
    if not store.describe(table).exists:
        return
    sql = f"SELECT {_selected()} FROM {table_in(store, table)} WHERE {where} ORDER BY started_at, id, file_number"
    for row in store.rows(sql, *values):
        yield dict(zip(_FACTS, row, strict=True))


def _selected() -> str:
    return ", ".join(_FACTS)


def same_file(label: str, known: dict[str, Any]) -> AnabranchError:
    """Make the error for a file whose content the table has already."""
    return AnabranchError(
        "same-file",
        f"the same content was imported on {known['finished_at'][:19]} as {known['file']} (import {known['id']})",
        "Use --on-same-file skip to leave it out, or again to import it once more.",
        label,
    )
