"""Imports of records that stand in a test: the files that parts would have written, and the database."""

import hashlib
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from anabranch.core.storage import work_file
from anabranch.tables.secrets import open_store
from anabranch.tables.stores.base import Store
from anabranch.tables.target import (
    REJECTS,
    Column,
    ColumnType,
    Import,
    ImportFile,
    Piece,
    Policy,
    TableManifest,
    TableName,
    Target,
    row_schema,
)
from anabranch.tables.transaction import Imported, carry_out

BAD = object()  # a record that is rejected
Part = Sequence[Any]  # of records: tuples, or BAD


def target_of(columns: str, table: str = "people") -> Target:
    """Describe a table that is not there: `id bigint not null, name text`."""
    found = []
    for written in columns.split(", "):
        name, _, kind = written.partition(" ")
        nullable = not kind.endswith(" not null")
        found.append(Column(name, ColumnType.parse(kind.removesuffix(" not null")), nullable))
    return Target(TableName.parse(table), tuple(found), exists=False)


def made(url: str, target: Target, rows: Sequence[tuple[Any, ...]] = ()) -> Target:
    """Make the table and fill it; return it as the database describes it."""
    with open_store(url) as store:
        store.run(store.create_sql(target))
        fill(store, target.table, rows)
        return store.describe(target.table)


def fill(store: Store, table: TableName, rows: Sequence[tuple[Any, ...]]) -> None:
    for row in rows:
        marks = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        store.run(f"INSERT INTO {store.quoted(table.schema, table.name)} VALUES ({marks})", *row)


def contents(url: str, table: str, order: str = "1") -> list[tuple[Any, ...]]:
    """Read a table."""
    with open_store(url) as store:
        name = store.describe(TableName.parse(table)).table
        return store.rows(f"SELECT * FROM {store.quoted(name.schema, name.name)} ORDER BY {order}")


def piece(folder: Path, target: Target, columns: Sequence[str], part: Part, file: int = 0) -> Piece:
    """Write what `work` would write of one part."""
    schema = row_schema(target, columns)
    good = [(number, *record) for number, record in enumerate(part) if record is not BAD]
    bad = [number for number, record in enumerate(part) if record is BAD]
    arrays = [pa.array([row[place] for row in good], kind.type) for place, kind in enumerate(schema)]
    faults = [
        {"record": number, "line": number + 2, "byte": None, "raw": f"bad,{number}".encode(), "column": columns[0],
         "value": "bad", "code": "bad_integer", "message": "bad is not an integer"}
        for number in bad
    ]  # fmt: skip
    paths = [folder / f"{uuid.uuid4().hex}.arrow" for _ in range(2)]
    for path, table in zip(
        paths, (pa.Table.from_arrays(arrays, schema=schema), pa.Table.from_pylist(faults, schema=REJECTS)), strict=True
    ):
        with pa.OSFile(str(path), "wb") as out, pa.ipc.new_file(out, table.schema) as writer:
            writer.write_table(table)
    counts = {"records": len(part), "rows": len(good), "rejected": len(bad)}
    return Piece(file, TableManifest(tuple(work_file(path) for path in paths), counts))


def job_of(
    folder: Path, target: Target, files: Sequence[Sequence[Part]], columns: Sequence[str] | None = None, **policy: Any
) -> tuple[Import, list[Piece]]:
    """Plan an import of files, each a list of parts."""
    columns = tuple(columns or target.named)
    pieces = [piece(folder, target, columns, part, number) for number, parts in enumerate(files) for part in parts]
    known = tuple(
        ImportFile(
            label=f"file{number}.csv",
            sha256=hashlib.sha256(repr(parts).encode()).hexdigest(),
            size=10,
            reports=f"{folder}/file{number}.csv",
            header=f"{','.join(columns)}\n".encode(),
        )
        for number, parts in enumerate(files)
    )
    return Import(target, columns, known, Policy(**policy), "{}", str(folder / "work")), pieces


def imported(
    url: str, folder: Path, target: Target, *parts: Part, columns: Sequence[str] | None = None, **policy: Any
) -> Imported:
    """Import one file of such parts."""
    job, pieces = job_of(folder, target, [parts], columns, **policy)
    with open_store(url) as store:
        return carry_out(store, job, pieces)


def facts(result: Imported) -> dict[str, int]:
    """Return the counts of all files together."""
    from anabranch.tables.history import Counts

    return {name: count for name, count in Counts.total(result.counts).facts().items() if count}
