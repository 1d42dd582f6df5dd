"""Imports of whole files by threads: blocks, mapping, headers, and what is refused before anything is written."""

import datetime as dt

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from anabranch.core.errors import TemporaryError, UsageError
from anabranch.core.here import on_threads, only
from anabranch.formats import reading, survey
from anabranch.formats.survey import look
from anabranch.run.summary import summary
from anabranch.tables.options import ImportOptions
from anabranch.tables.secrets import open_store
from anabranch.tables.way import planned, way
from anabranch.tables.work import work
from tests.tables.importing import contents, made, target_of
from tests.tables.running import job_for, run

PEOPLE = "id bigint not null, name text, qty integer"


def people(sqlite, columns=PEOPLE, rows=()):
    made(sqlite, target_of(columns), rows)
    return {"into": sqlite, "table": "people", "key": "id", "on_duplicate": "skip"}


def written(path, text):
    path.write_text(text, "utf-8")
    return path


def rejects(tmp_path, name="a.csv"):
    return pq.read_table(tmp_path / "reports" / f"{name}.rejects.parquet").to_pylist()


def test_a_file_goes_into_the_table_and_its_rejects_can_be_imported_once_corrected(sqlite, tmp_path):
    options = people(sqlite)
    source = written(tmp_path / "a.csv", 'id,name,qty\n1,"a\nb",1\n2,c,many\n1,d,1\n4,e,5000000000\n')

    report = run(source, tmp_path, **options)

    assert report.status == "partly_failed"
    assert report.notes[-1] == (
        "a.csv → people: 4 records = 1 inserted + 1 duplicates in the file + 0 in the table + 2 rejected"
    )
    assert contents(sqlite, "people") == [(1, "a\nb", 1)]
    found = [
        (row["record"], row["line"], row["byte"], row["column"], row["value"], row["code"]) for row in rejects(tmp_path)
    ]
    assert found == [
        (2, 4, 22, "qty", "many", "bad_integer"), (4, 6, 37, "qty", "5000000000", "out_of_range")
    ]  # fmt: skip

    again = tmp_path / "reports" / "a.csv.rejects.csv"
    again.write_text(again.read_text().replace("many", "7").replace("5000000000", "8"))
    assert run(again, tmp_path, **options).status == "completed"
    assert contents(sqlite, "people") == [(1, "a\nb", 1), (2, "c", 7), (4, "e", 8)]


@pytest.mark.parametrize("block", [1 << 20, 64, 7])
def test_blocks_change_nothing(block, sqlite, tmp_path, monkeypatch):
    for module in (survey, reading):
        monkeypatch.setattr(module, "BLOCK", block)
    records = [f'{number},"n{number}\n""x""",{number % 5 if number % 7 else "bad"}' for number in range(40)]
    source = written(tmp_path / "a.csv", "\n".join(["id,name,qty", *records]))

    report = run(source, tmp_path, **people(sqlite))

    wanted = [(number, f'n{number}\n"x"', number % 5) for number in range(40) if number % 7]
    assert contents(sqlite, "people") == wanted
    text = source.read_bytes()
    for row in rejects(tmp_path):
        assert row["line"] == 2 + 2 * (row["record"] - 1)
        assert text[row["byte"] :].startswith(row["raw"])
        assert row["raw"] == records[row["record"] - 1].encode()
    assert report.items["rejected"] == len(rejects(tmp_path)) == 6


def test_headers_fit_after_trimming_else_by_case_with_a_warning(sqlite, tmp_path):
    source = written(tmp_path / "a.csv", "ID, name ,Qty\n1,a,2\n")

    report = run(source, tmp_path, **people(sqlite))

    assert contents(sqlite, "people") == [(1, "a", 2)]
    assert [warning for warning in report.warnings if "spelled" in warning] == [
        "a.csv: column 'ID' goes into 'id', which is spelled otherwise",
        "a.csv: column 'Qty' goes into 'qty', which is spelled otherwise",
    ]


@pytest.mark.parametrize(("text", "code", "words"), [
    ("id,nmae\n1,a\n", "unknown-column", "did you mean 'name'?"),
    ("name\na\n", "missing-column", "'id'"),
    ("id,name, name\n1,a,b\n", "duplicate-columns", "'name'"),
    ("", "empty-source", "empty"),
])  # fmt: skip
def test_a_file_that_does_not_fit_the_table_ends_the_import_before_anything_is_read(
    text, code, words, sqlite, tmp_path
):
    report = run(written(tmp_path / "a.csv", text), tmp_path, **people(sqlite))

    assert (report.status, report.details["import"]["status"]) == ("failed", "file_error")
    assert report.errors[0].code == code
    assert words in report.errors[0].reason
    assert contents(sqlite, "people") == []


def test_a_generated_column_takes_no_value_from_a_file(sqlite, tmp_path):
    with open_store(sqlite) as store:
        store.run("CREATE TABLE people (id BIGINT, twice BIGINT GENERATED ALWAYS AS (id * 2))")

    report = run(written(tmp_path / "a.csv", "id,twice\n1,2\n"), tmp_path, into=sqlite, table="people")

    assert [error.code for error in report.errors] == ["generated-column"]


def test_a_mapping_names_sources_types_and_formats_of_a_new_table(sqlite, tmp_path):
    mapping = written(tmp_path / "m.yaml", (
        "columns:\n  email: {source: E-Mail, type: varchar(20), nullable: false}\n"
        "  born: {source: Born, type: date, formats: ['%d.%m.%Y']}\n"
    ))  # fmt: skip
    source = written(tmp_path / "a.csv", "E-Mail,Born,n\na@b.c,03.04.2001,7\n")

    report = run(source, tmp_path, into=sqlite, table="t", mapping=str(mapping), create_table=True, key="email")

    assert report.errors == []
    assert contents(sqlite, "t") == [("a@b.c", "2001-04-03", 7)]


def test_a_record_with_a_key_that_the_table_lacks_ends_the_import_unless_it_is_to_be_ignored(sqlite, tmp_path):
    options = people(sqlite)
    lines = (
        ['{"id": 1, "name": "a"}'] * 1 + [f'{{"id": {number}}}' for number in range(2, 2000)] + ['{"id": 0, "x": 1}']
    )
    source = written(tmp_path / "a.jsonl", "\n".join(lines))

    assert [error.code for error in run(source, tmp_path, **options).errors] == ["unknown-column"]
    assert contents(sqlite, "people") == []
    report = run(source, tmp_path, **options, unknown_columns="ignore")
    assert report.items["accepted"] == 2000


def test_a_part_that_fails_leaves_the_table_as_it_was(sqlite, tmp_path, monkeypatch):
    options = people(sqlite, rows=[(9, "kept", 1)])
    source = written(tmp_path / "a.csv", "id,name,qty\n1,a,1\n")

    def changed(step, plan):
        if step is work:
            source.write_text("id,name,qty\n2,b,2\n")
        return real(step, plan)

    real = on_threads(1)
    job = job_for(source, tmp_path, **options)
    report = way(job, changed, lambda: open_store(sqlite))

    assert (report.status, [error.code for error in report.errors]) == ("failed", ["source-changed"])
    assert contents(sqlite, "people") == [(9, "kept", 1)]


@pytest.mark.parametrize("into", [
    "postgresql://me:geheim@host/db", "postgresql://host/db?password=geheim", "postgres://me:geheim%40@host/db",
])  # fmt: skip
def test_a_password_in_the_address_is_refused_without_repeating_it(into):
    with pytest.raises(UsageError, match="contains a password") as caught:
        ImportOptions(into=into, table="t")

    assert "geheim" not in repr(caught.value)


def test_other_policies_take_the_parts_of_an_earlier_run(sqlite, tmp_path):
    options = people(sqlite)
    source = written(tmp_path / "a.csv", "id,name,qty\n1,a,1\n")

    def keys(**others):
        job = job_for(source, tmp_path, **(options | others))
        return [part.key for part in planned(job, only(look, workers=1), lambda: open_store(sqlite)).parts]

    assert keys() == keys(on_duplicate="fail", max_rejects="7", key="name", check_only=True)
    assert keys() != keys(null_keys="reject")
    assert keys() != keys(decimal=",")


def test_the_runs_page_shows_what_became_of_the_records(sqlite, tmp_path):
    source = written(tmp_path / "a.csv", "id,name,qty\n1,a,1\n1,b,2\n2,c,x\n")

    page = summary(run(source, tmp_path, **people(sqlite)))

    assert "## Import\n\n![Records](data:image/svg+xml;base64," in page
    assert "### First rejects\n\n| file | record | line | byte | column | value | code | message |\n" in page
    assert "| a.csv | 3 | 4 | 24 | qty | x | bad\\_integer | it is not a whole number |" in page
    assert "### First duplicates\n\n| file | record | where | first row |\n" in page


def test_the_notation_of_numbers_is_that_of_text_and_never_that_of_json(sqlite, tmp_path):
    made(sqlite, target_of("id bigint not null, amount numeric(12,3)", "t"))
    options = {"into": sqlite, "table": "t", "key": "id", "decimal": ",", "thousands": "."}
    pq.write_table(pa.table({"id": [1, 2], "amount": ["1.234", "1,5"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"id": [3], "amount": [1.234]}), tmp_path / "b.parquet")
    named = [
        tmp_path / "a.parquet",
        tmp_path / "b.parquet",
        written(tmp_path / "c.jsonl", '{"id": 4, "amount": 1.234}'),
    ]

    run(named, tmp_path, **options)

    assert contents(sqlite, "t") == [(1, "1234.000"), (2, "1.500"), (3, "1.234"), (4, "1.234")]


def test_each_part_is_told_with_its_counts(sqlite, tmp_path):
    said = []
    job = job_for(written(tmp_path / "a.csv", "id,name,qty\n1,a,1\nx,b,2\n"), tmp_path, **people(sqlite))

    way(job, on_threads(1), lambda: open_store(sqlite), said.append)

    assert said[0] == "a.csv: 2 records = 1 rows + 1 rejected"


def test_dates_of_a_workbook_are_taken_beside_texts_in_the_format_declared(sqlite, tmp_path):
    made(sqlite, target_of("id bigint not null, day date, at timestamp", "t"))
    book = openpyxl.Workbook()
    stamp = dt.datetime.fromisoformat("2024-02-01T10:30:00")
    for row in (["id", "day", "at"], [1, stamp.date(), stamp], [2, "01.02.2024", "01.02.2024 10:30"]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    formats = ["%d.%m.%Y", "%d.%m.%Y %H:%M"]

    report = run(tmp_path / "a.xlsx", tmp_path, into=sqlite, table="t", key="id", date_formats=formats)

    assert report.status == "completed", rejects(tmp_path, "a.xlsx")
    assert contents(sqlite, "t") == [(number, "2024-02-01", "2024-02-01 10:30:00") for number in (1, 2)]


def test_options_survive_the_way_through_a_deployment():
    options = ImportOptions(into="sqlite:///a.db", table="t", validate=True, paths="a=b.c", key="x,y", mapping="m.yaml")

    plain = options.model_dump(mode="json", by_alias=True)

    assert ImportOptions.model_validate(plain) == options
    assert (plain["validate"], plain["reading"]["paths"], plain["key"]) == (True, {"a": "b.c"}, ["x", "y"])


def test_rejects_are_written_in_the_encoding_of_the_source(sqlite, tmp_path):
    source = tmp_path / "a.csv"
    source.write_bytes("id,name,qty\n1,Ы,1\nx,Ж,2\n".encode("cp1251"))

    run(source, tmp_path, **people(sqlite), encoding="cp1251")

    assert (tmp_path / "reports" / "a.csv.rejects.csv").read_bytes() == "id,name,qty\nx,Ж,2\n".encode("cp1251")
    assert contents(sqlite, "people") == [(1, "Ы", 1)]


def test_sources_that_are_all_empty_are_nothing_to_do_where_such_are_left_out(sqlite, tmp_path):
    report = run(written(tmp_path / "a.csv", ""), tmp_path, **people(sqlite), on_empty="skip")

    assert (report.status, report.errors) == ("nothing_to_do", [])
    assert report.warnings == ["a.csv is empty, and was left out"]


@pytest.mark.parametrize(("rows", "status", "left"), [("1\n2\n", "committed", False), ("1\n1\n", "aborted", True)])
def test_the_work_files_of_an_import_are_removed_once_it_is_committed(rows, status, left, tmp_path):
    (tmp_path / "a.csv").write_text("id\n" + rows)
    into = f"sqlite:///{tmp_path}/base.db"

    report = run(tmp_path / "a.csv", tmp_path, into=into, table="t", create_table=True, key=["id"])

    assert report.details["import"]["status"] == status
    assert bool([path for path in (tmp_path / "work").glob("tables/*/*") if path.is_file()]) is left


def test_of_an_inbox_only_what_is_new_is_read_again(sqlite, tmp_path):
    options, inbox = people(sqlite), tmp_path / "inbox"
    inbox.mkdir()
    for number in range(1, 6):
        written(inbox / f"{number}.csv", f"id,name,qty\n{number},a,1\n")
    assert run(inbox, tmp_path, **options).parts.total == 5

    again = run(inbox, tmp_path, **options)
    assert (again.status, again.parts.total) == ("nothing_to_do", 0)

    written(inbox / "6.csv", "id,name,qty\n6,a,1\n")
    more = run(inbox, tmp_path, **options)
    assert (more.status, more.parts.total, more.items["accepted"]) == ("completed", 1, 1)
    assert [row[0] for row in contents(sqlite, "people")] == [1, 2, 3, 4, 5, 6]
    assert sum("known already" in warning for warning in more.warnings) == 1
    assert more.warnings[0].endswith("and 2 more are known already and were left out")


def test_an_import_that_leaves_the_history_while_another_runs_is_not_lost(sqlite, tmp_path):
    options = people(sqlite)
    source = written(tmp_path / "a.csv", "id,name,qty\n1,a,1\n")
    run(source, tmp_path, **options)
    job = job_for(source, tmp_path, **options)
    opened = []

    def connect():
        opened.append(1)
        store = open_store(sqlite)
        if len(opened) == 2:  # the transaction's own, after the plan was made
            store.run("DELETE FROM anabranch_imports")
        return store

    with pytest.raises(TemporaryError, match="its history lost an import"):
        way(job, on_threads(2), connect)
