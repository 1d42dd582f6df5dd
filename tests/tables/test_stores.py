"""One contract for both databases: what an import finds, writes and counts."""

import pyarrow.parquet as pq
import pytest

from anabranch.core.errors import UsageError
from anabranch.tables.secrets import open_store
from anabranch.tables.target import TableName
from tests.tables.importing import BAD, contents, facts, imported, made, target_of

PEOPLE = "id bigint not null, name text"


def test_new_records_are_inserted_and_the_first_of_a_key_stays(database, tmp_path):
    target = made(database, target_of(PEOPLE), [(1, "old")])

    result = imported(
        database, tmp_path, target, [(1, "again"), (2, "two")], [BAD, (2, "twice"), (3, None)],
        key=("id",), on_duplicate="skip",
    )  # fmt: skip

    assert result.status == "committed"
    assert facts(result) == {
        "rows_in_file": 5, "would_accept": 2, "accepted": 2, "duplicates_in_file": 1, "duplicates_in_table": 1,
        "rejected": 1,
    }  # fmt: skip
    assert contents(database, "people") == [(1, "old"), (2, "two"), (3, None)]
    duplicates = pq.read_table(tmp_path / "file0.csv.duplicates.parquet").to_pylist()
    assert [(row["record"], row["where"], row["first_row"]) for row in duplicates] == [
        (1, "table", None),
        (4, "file", 2),
    ]
    assert (tmp_path / "file0.csv.rejects.csv").read_text() == "id,name\nbad,0\n"
    rejects = pq.read_table(tmp_path / "file0.csv.rejects.parquet").to_pylist()
    assert [(row["record"], row["column"], row["code"]) for row in rejects] == [(3, "id", "bad_integer")]


def test_one_duplicate_ends_the_import_under_fail(database, tmp_path):
    target = made(database, target_of(PEOPLE), [(1, "old")])

    result = imported(database, tmp_path, target, [(1, "x"), (2, "y")], [(1, "z"), (2, "y")], key=("id",))

    assert (result.status, result.error.code) == ("aborted", "duplicates")
    assert "overlap with existing data: 2 records in 2 parts, keys of earlier records: 1 record" in str(result.error)
    assert contents(database, "people") == [(1, "old")]
    assert facts(result)["would_accept"] == 1
    assert (tmp_path / "file0.csv.duplicates.parquet").exists()


def test_a_table_that_is_missing_is_made_with_the_records(database, tmp_path):
    target = target_of(PEOPLE)

    result = imported(database, tmp_path, target, [(1, "one"), (1, "two")], key=("id",), on_duplicate="skip")

    assert result.status == "committed"
    assert contents(database, "people") == [(1, "one")]


def test_a_table_that_is_not_there_is_described_as_missing(database):
    with open_store(database) as store:
        assert not store.describe(TableName.parse("nowhere")).exists


def test_a_name_too_long_for_the_database_is_refused(postgres):
    with open_store(postgres) as store, pytest.raises(UsageError, match="63 bytes"):
        store.describe(TableName(None, "ü" * 32))
