"""What becomes of duplicates, rejects and known files, in both databases alike."""

from dataclasses import replace
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from anabranch.core.errors import UsageError
from anabranch.tables.history import list_imports, show_import
from anabranch.tables.secrets import open_store
from anabranch.tables.target import TableName
from anabranch.tables.transaction import carry_out
from tests.tables.importing import BAD, contents, facts, fill, imported, job_of, made, target_of

PEOPLE = "id bigint not null, name text, age integer"


def test_update_takes_the_last_of_a_key_and_leaves_other_columns_alone(database, tmp_path):
    target = made(database, target_of(PEOPLE), [(1, "old", 40), (2, "same", 50), (3, "kept", 60)])

    result = imported(
        database, tmp_path, target, [(1, "mid"), (2, "same"), (4, "first")], [(1, "new"), BAD, (4, "last")],
        key=("id",), on_duplicate="update", columns=("id", "name"),
    )  # fmt: skip

    assert contents(database, "people") == [(1, "new", 40), (2, "same", 50), (3, "kept", 60), (4, "last", None)]
    assert facts(result) == {
        "rows_in_file": 6, "would_accept": 1, "accepted": 1, "updated": 1, "unchanged": 1, "duplicates_in_file": 2,
        "duplicates_in_table": 2, "rejected": 1,
    }  # fmt: skip


def test_a_row_that_would_not_change_is_not_written(database, tmp_path):
    target = made(database, target_of(PEOPLE), [(1, "same", None)])
    with open_store(database) as store:
        if database.startswith("sqlite"):
            store.run("CREATE TRIGGER never BEFORE UPDATE ON people BEGIN SELECT RAISE(ABORT, 'written'); END")
        else:
            store.run("CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''written''; END'")
            store.run("CREATE TRIGGER never BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION never()")

    result = imported(database, tmp_path, target, [(1, "same", None)], key=("id",), on_duplicate="update")

    assert (result.status, facts(result)["unchanged"]) == ("committed", 1)


def test_report_and_validate_write_nothing_and_leave_no_history(database, tmp_path):
    target = made(database, target_of(PEOPLE), [(1, "old", None)])
    part = [(1, "new", None), (2, "two", None), BAD]

    reported = imported(database, tmp_path, target, part, key=("id",), on_duplicate="report")
    validated = imported(database, tmp_path, target, part, key=("id",), on_duplicate="update", validate=True)

    assert (reported.status, validated.status) == ("reported", "reported")
    assert (facts(validated)["updated"], facts(validated)["would_accept"]) == (1, 1)
    assert contents(database, "people") == [(1, "old", None)]
    with open_store(database) as store:
        assert list_imports(store) == []


@pytest.mark.parametrize("rule", ["CHECK (id < 3)", "UNIQUE (name)"])
def test_validate_names_the_rule_of_the_table_that_would_end_the_run(database, tmp_path, rule):
    with open_store(database) as store:
        store.run(f"CREATE TABLE people (id bigint NOT NULL, name text, {rule})")
        target = store.describe(target_of(PEOPLE).table)
    part = [(2, "two"), (3, "two")]

    foreseen = imported(database, tmp_path, target, part, key=("id",), validate=True)
    done = imported(database, tmp_path, target, part, key=("id",))

    assert (foreseen.status, done.status) == ("reported", "aborted")
    assert (foreseen.error.code, foreseen.error.reason) == ("constraint-violated", done.error.reason)
    assert contents(database, "people") == []


def test_without_a_key_whole_records_are_compared(database, tmp_path):
    target = made(database, target_of(PEOPLE), [(1, None, None)])

    result = imported(
        database, tmp_path, target, [(1, None, None), (1, "a", None), (1, "a", None)], on_duplicate="skip"
    )

    assert (facts(result)["duplicates_in_table"], facts(result)["duplicates_in_file"]) == (1, 1)


def test_keys_are_normalised_on_both_sides_by_the_same_function(database, tmp_path):
    target = made(database, target_of("k text, v integer"), [("  STRASSE", 0), ("é", 0), (None, 0)])
    part = [("straße ", 1), ("E\u0301", 1), ("x", 1), (" X", 2), (None, 1)]

    result = imported(
        database, tmp_path, target, part, key=("k",), key_normalise=("trim", "casefold", "nfc"), on_duplicate="update"
    )

    assert facts(result)["updated"] == 2
    assert sorted(contents(database, "people"), key=repr) == sorted(
        [("  STRASSE", 1), ("é", 1), (None, 0), (" X", 2), (None, 1)], key=repr
    )


def test_numbers_are_compared_by_value_and_stored_exactly(database, tmp_path):
    target = made(database, target_of("k numeric(30,8), v numeric(20,0)"), [("1.5", "9007199254740993")])
    part = [(Decimal("1.50000000"), Decimal(1)), (Decimal("0.00000001"), Decimal(99999999999999999999))]

    result = imported(database, tmp_path, target, part, key=("k",), on_duplicate="skip")

    assert facts(result)["duplicates_in_table"] == 1
    stored = [tuple(f"{Decimal(cell):f}" for cell in row) for row in contents(database, "people")]
    assert ("0.00000001", "99999999999999999999") in stored
    assert "9007199254740993" in {row[1] for row in stored}


def test_more_rejects_than_allowed_end_the_import_with_the_whole_report(database, tmp_path):
    target = made(database, target_of(PEOPLE))
    parts = ([BAD, (1, "a", None)], [BAD, BAD, (2, "b", None)])

    few = imported(database, tmp_path, target, *parts, key=("id",), max_rejects="59%")
    none = imported(database, tmp_path, target, *parts, key=("id",), on_reject="fail")

    assert (few.status, none.status, few.error.code, none.error.code) == ("aborted", "aborted", "rejects", "rejects")
    assert (facts(few)["rejected"], facts(few)["would_accept"]) == (3, 2)
    assert pq.read_table(tmp_path / "file0.csv.rejects.parquet")["record"].to_pylist() == [1, 3, 4]
    assert contents(database, "people") == []
    enough = imported(database, tmp_path, target, *parts, key=("id",), max_rejects="60%")
    assert enough.status == "committed"


def test_a_file_that_is_known_is_not_imported_again(database, tmp_path):
    target = made(database, target_of(PEOPLE))
    once, twice, refused = (
        imported(database, tmp_path, target, [(1, "a", None), BAD], key=("id",), on_duplicate="skip", on_same_file=word)
        for word in ("skip", "skip", "fail")
    )
    again = imported(
        database, tmp_path, target, [(1, "a", None), BAD], key=("id",), on_duplicate="skip", on_same_file="again"
    )

    assert (once.status, twice.status, refused.status, again.status) == (
        "committed", "already_imported", "aborted", "committed",
    )  # fmt: skip
    assert twice.identity == once.identity
    assert facts(twice) == facts(once)
    assert refused.error.code == "same-file"
    assert facts(again)["duplicates_in_table"] == 1


def test_a_report_that_was_lost_after_commit_is_published_by_the_next_run(database, tmp_path):
    target = made(database, target_of(PEOPLE))
    options = {"key": ("id",), "on_duplicate": "skip"}
    imported(database, tmp_path, target, [(1, "a", None), BAD], **options)
    (tmp_path / "file0.csv.rejects.csv").unlink()
    (tmp_path / "file0.csv.rejects.parquet").write_text("being corrected")

    result = imported(database, tmp_path, target, [(1, "a", None), BAD], **options)

    assert (tmp_path / "file0.csv.rejects.csv").read_text() == "id,name,age\nbad,1\n"
    assert (tmp_path / "file0.csv.rejects.parquet").read_text() == "being corrected"
    assert len(result.outputs) == 2


def test_only_the_files_that_are_new_are_imported(database, tmp_path):
    target = made(database, target_of(PEOPLE))
    first, second = [[(1, "a", None)]], [[(2, "b", None), BAD], [(1, "c", None)]]
    options = {"key": ("id",), "on_duplicate": "skip"}
    with open_store(database) as store:
        carry_out(store, *job_of(tmp_path, target, [first], **options))
        result = carry_out(store, *job_of(tmp_path, target, [first, second], **options))

        assert (result.status, [counts.rows_in_file for counts in result.counts]) == ("committed", [0, 3])
        assert [row["file"] for row in list_imports(store)] == ["file0.csv", "file1.csv"]
    assert contents(database, "people") == [(1, "a", None), (2, "b", None)]
    assert pq.read_table(tmp_path / "file1.csv.duplicates.parquet")["record"].to_pylist() == [3]


def test_a_duplicate_of_another_file_names_it(database, tmp_path):
    target = made(database, target_of(PEOPLE))
    with open_store(database) as store:
        carry_out(
            store,
            *job_of(tmp_path, target, [[[BAD, (7, "a", None)]], [[(7, "b", None)]]], key=("id",), on_duplicate="skip"),
        )

    assert pq.read_table(tmp_path / "file1.csv.duplicates.parquet").to_pylist() == [
        {"record": 1, "where": "file", "first_row": 2, "first_file": "file0.csv"}
    ]


def test_the_history_lists_imports_and_shows_one(database, tmp_path):
    target = made(database, target_of(PEOPLE))
    done = imported(database, tmp_path, target, [(1, "a", None)], key=("id",))
    failed = imported(database, tmp_path, target, [(1, "a", 2)], key=("id",))
    with open_store(database) as store:
        assert [(row["status"], row["accepted"]) for row in list_imports(store)] == [("committed", 1), ("aborted", 0)]
        assert list_imports(store, table=TableName.parse("elsewhere")) == []
        assert show_import(store, done.identity[:8])[0]["would_accept"] == 1
        assert show_import(store, failed.identity)[0]["duplicates_in_table"] == 1
        with pytest.raises(UsageError, match="no import of the id zzz"):
            show_import(store, "zzz")


def test_a_trigger_that_drops_rows_fails_the_import(database, tmp_path):
    target = made(database, target_of(PEOPLE))
    with open_store(database) as store:
        if database.startswith("sqlite"):
            store.run("CREATE TRIGGER dropping BEFORE INSERT ON people WHEN NEW.id = 2 BEGIN SELECT RAISE(IGNORE); END")
        else:
            store.run(
                "CREATE FUNCTION dropping() RETURNS trigger LANGUAGE plpgsql AS "
                "'BEGIN IF NEW.id = 2 THEN RETURN NULL; END IF; RETURN NEW; END'"
            )
            store.run("CREATE TRIGGER dropping BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION dropping()")

    result = imported(database, tmp_path, target, [(1, "a", None), (2, "b", None)], key=("id",))

    assert (result.status, result.error.code) == ("aborted", "rows-swallowed")
    assert contents(database, "people") == []


def test_a_rule_that_a_record_breaks_ends_the_import_with_its_report(database, tmp_path):
    with open_store(database) as store:
        store.run("CREATE TABLE people (id bigint NOT NULL, name text UNIQUE, age integer CHECK (age > 0))")
        fill(store, TableName(None, "people"), [(1, "taken", 1)])
        target = store.describe(TableName(None, "people"))

    unique = imported(database, tmp_path, target, [(2, "taken", 1), BAD, (1, "x", 1)], key=("id",), on_duplicate="skip")
    check = imported(database, tmp_path, target, [(3, "other", -1)], key=("id",))

    assert (unique.status, unique.error.code, check.error.code) == (
        "aborted",
        "constraint-violated",
        "constraint-violated",
    )
    assert (tmp_path / "file0.csv.rejects.csv").exists()
    assert facts(unique)["duplicates_in_table"] == 1
    assert contents(database, "people") == [(1, "taken", 1)]


def test_names_may_hold_anything(database, tmp_path):
    wild = {"a": 'Or"der', "b": "100%s {x} $1", "c": "select"}
    target = target_of("a text not null, b integer, c text", '"Wild % {table} ""x"" $1"')
    target = replace(target, columns=tuple(replace(column, name=wild[column.name]) for column in target.columns))
    target = made(database, target, [("x", 1, None)])

    result = imported(
        database,
        tmp_path,
        target,
        [("x", 2, "%s"), ("y", 3, "'; drop table x; --")],
        key=(wild["a"],),
        on_duplicate="update",
    )

    assert result.status == "committed"
    assert contents(database, str(target.table)) == [("x", 2, "%s"), ("y", 3, "'; drop table x; --")]


def test_no_records_are_an_import_of_no_rows(database, tmp_path):
    target = made(database, target_of(PEOPLE))

    assert imported(database, tmp_path, target, [], key=("id",)).status == "committed"
    assert imported(database, tmp_path, target, key=("id",), on_same_file="again").status == "committed"
