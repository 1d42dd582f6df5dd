"""What an import makes of every recorded case, on both databases, in one part and in many."""

import csv
import datetime as dt
import re
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from anabranch.tables.secrets import open_store
from anabranch.tables.target import Column, ColumnType, TableName, Target
from tests import cases
from tests.tables.running import run

FOLDER = cases.folder("tables")
CASES = cases.cases("tables")
MISSING = {
    "a05": "foreign keys record by record",
    "a06": "other unique columns record by record",
    "a07": "identity columns and their sequences",
    "a09": "types that only the database knows",
    "a12": "updates only by newer records",
}
READ = ("date", "timestamptz", "boolean", "numeric", "double", "json")
CODES = {"missing_column": "missing-column", "duplicate_column": "duplicate-columns", "empty_file": "empty-source"}
EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])


def table_of(case):
    return TableName.parse(case["table"].get("name", "t"))


def fits(case, database):
    kind = "postgresql" if database.startswith("postgresql") else "sqlite"
    kinds = {ColumnType.parse(column["type"]).kind for column in case["table"]["columns"]}
    return kind in case.get("databases", ["postgresql", "sqlite"]) and not (
        kind == "sqlite" and kinds & {"json", "jsonb", "uuid", "real"}
    )


def make(case, database):
    with open_store(database) as store:
        for statement in case.get("setup", ()):
            store.run(statement)
        if "setup" not in case:
            columns = [
                Column(column["name"], ColumnType.parse(column["type"]), column["nullable"])
                for column in case["table"]["columns"]
            ]
            store.run(store.create_sql(Target(table_of(case), tuple(columns), exists=False)))
        if case["existing"]:
            fill(case, store)


def fill(case, store):
    with (FOLDER / case["existing"]).open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        kinds = {column["name"]: ColumnType.parse(column["type"]) for column in case["table"]["columns"]}
        for row in rows:
            values = []
            for name, text in row.items():
                whole = kinds[name].kind in ("smallint", "integer", "bigint")
                values.append(None if text == "" else int(text) if whole else text)
            named = ", ".join(store.quoted(name) for name in row)
            marks = ", ".join(mark(place, kinds[name], store) for place, name in enumerate(row, 1))
            name = table_of(case)
            store.run(f"INSERT INTO {store.quoted(name.schema, name.name)} ({named}) VALUES ({marks})", *values)


def mark(place, kind, store):
    """Let PostgreSQL read the text of a value."""
    read = "postgres" in type(store).__module__ and kind.kind in READ
    return f"CAST(CAST(${place} AS text) AS {kind})" if read else f"${place}"


def options_of(case, database):
    given = {name: value for name, value in case["options"].items() if name != "compression"}
    nulls = case["null_keys"] if case["key"] else "distinct"
    return {
        "into": database,
        "table": case["table"].get("name", "t"),
        "key": case["key"],
        "null_keys": nulls,
        "on_duplicate": case["on_duplicate"],
        **given,
    }


def rows_in(database, case, sql):
    with open_store(database) as store:
        return list(store.rows(sql))


def plain(value):
    """Write a value as the cases do."""
    if isinstance(value, Decimal | dt.date):
        return str(value)
    return value


@pytest.mark.cases
@EVERY
@pytest.mark.parametrize("records", [0, 3], ids=["one part", "many parts"])
def test_an_import_does_what_was_recorded(case, records, database, tmp_path):
    if case["id"][:3] in MISSING:
        pytest.skip(f"not built: {MISSING[case['id'][:3]]}")
    if not fits(case, database):
        pytest.skip("the database has not these types or statements")
    make(case, database)
    expected = case["expect"]
    records = records and (1000 if expected["rows_in_file"] > 1000 else 3)

    report = run(
        FOLDER / case["file"], tmp_path, records=records, most=expected["rows_in_file"], **options_of(case, database)
    )

    found = report.details["import"]
    assert found["status"] == expected["status"]
    if expected["status"] == "file_error":
        code, _, name = case["file_error"].partition(":")
        assert [error.code for error in report.errors] == [CODES[code]]
        assert name in report.errors[0].reason
    for name, count in expected.items():
        if name in found and name not in ("status", "rows_in_file"):
            assert (name, found[name]) == (name, count)
    if expected["status"] != "file_error":
        assert found["rows_in_file"] == expected["rows_in_file"]
    assert rows_after(case, database) == expected["table_rows_after"]
    if expected["status"] != "file_error":
        require_rejects(case, tmp_path)
        require_duplicates(case, tmp_path)
    require_values(case, database)


def rows_after(case, database):
    name = table_of(case)
    with open_store(database) as store:
        return next(iter(store.rows(f"SELECT count(*) FROM {store.quoted(name.schema, name.name)}")))[0]


def require_rejects(case, tmp_path):
    path = tmp_path / "reports" / f"{case['file']}.rejects.parquet"
    found = pq.read_table(path).to_pylist() if path.exists() else []
    assert sorted({row["record"] for row in found}) == sorted({one["row"] for one in case["rejects"]})
    for one in case["rejects"]:
        faults = [row for row in found if row["record"] == one["row"]]
        assert (one["column"], one["reason"]) in [(row["column"], row["code"]) for row in faults]
        if "value" in one:
            assert one["value"] in [row["value"] for row in faults]


def require_duplicates(case, tmp_path):
    path = tmp_path / "reports" / f"{case['file']}.duplicates.parquet"
    found = pq.read_table(path).to_pylist() if path.exists() else []
    assert sorted((row["record"], row["where"], row["first_row"]) for row in found) == sorted(
        (one["row"], one["where"], one.get("first_row")) for one in case["duplicates"]
    )


def require_values(case, database):
    name = table_of(case)
    postgres = database.startswith("postgresql")
    with open_store(database) as store:
        for check in case.get("checks", ()):
            keys = case["key"] or [case["table"]["columns"][0]["name"]]
            where = " AND ".join(f"{store.quoted(key)} = ${place}" for place, key in enumerate(keys, 1))
            sql = f"SELECT {store.quoted(check['column'])} FROM {store.quoted(name.schema, name.name)} WHERE {where}"
            values = [dt.date.fromisoformat(key) if postgres and is_day(key) else key for key in check["key"]]
            found = next(iter(store.rows(sql, *values)))[0]
            equals = check["equals"]
            assert plain(found) == equals or (equals is not None and str(found) == str(equals))
        for check in case.get("sql_checks", ()) if postgres else ():
            assert str(next(iter(store.rows(check["sql"])))[0]) == check["equals"]


def is_day(key):
    return isinstance(key, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", key) is not None
