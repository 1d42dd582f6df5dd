"""What a pipeline over files promises: one call per record, in order, the same output for any number of parts."""

import gzip
import json
import random
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import orc

from anabranch.core.errors import UsageError
from anabranch.files.pipeline.preview import preview
from tests.examples import examples
from tests.files.converting import cut_small
from tests.files.pipeline.running import checked, planned, read_lines, run, write_lines

ROWS = 1000


@pytest.fixture
def lines(tmp_path, monkeypatch):
    """A file of several blocks, and parts of a fraction of one."""
    cut_small(monkeypatch, 8000, part_seconds=0.002)
    write_lines(tmp_path / "r.jsonl", ROWS)
    return tmp_path / "r.jsonl"


@examples(12)
@given(
    st.sampled_from(["jsonl", "json.gz", "parquet", "csv"]),
    st.integers(1, 6),
    st.sampled_from(["auto", "inline", "thread", "process"]),
    st.integers(0, 99).map(random.Random),  # not st.randoms: as many are drawn as a measurement makes parts
)
def test_any_number_of_parts_in_any_order_gives_the_same_bytes(lines, tmp_path, to, threads, mode, order):  # noqa: PLR0917
    run(lines, tmp_path / "one", "widening", to=to, mode="inline", chunk_size=70)
    expected = (tmp_path / "one" / f"r.{to}").read_bytes()

    report = run(lines, tmp_path / "many", "widening", to=to, mode=mode, chunk_size=70, threads=threads, order=order)

    assert (tmp_path / "many" / f"r.{to}").read_bytes() == expected
    assert report.items["records"] == report.items["rows"] == ROWS


def test_results_are_those_of_a_plain_loop_and_no_record_comes_twice(lines, tmp_path, monkeypatch):
    monkeypatch.setenv("NOTED", str(tmp_path / "noted"))

    run(lines, tmp_path / "out", "noted", threads=4)

    assert (tmp_path / "out" / "r.jsonl").read_text() == lines.read_text().replace(": ", ":").replace(", ", ",")
    assert sorted(map(int, (tmp_path / "noted").read_text().split())) == list(range(ROWS))


def test_parts_are_shares_of_blocks_where_blocks_take_long(lines, tmp_path, monkeypatch):
    cut_small(monkeypatch, 20_000, part_seconds=0.0005)
    report = run(lines, tmp_path / "out", "nap", threads=2, mode="process")

    assert report.parts.total > 4 > lines.stat().st_size / 20_000


def test_parts_hold_about_as_much_as_each_other_though_the_last_block_is_short(lines, tmp_path, monkeypatch):
    cut_small(monkeypatch, lines.stat().st_size * 4 // 9, part_seconds=0.001)  # two blocks and a quarter of one

    plan = planned(lines, tmp_path / "out", "nap", threads=2, mode="process")

    cuts = plan.catalogue.files[0].cuts
    sizes = [
        sum((cuts[span.stop] - cuts[span.first]) * span.taken / span.shares for span in part.pieces)
        for part in plan.parts
    ]
    assert sum(sizes) == pytest.approx(lines.stat().st_size)
    assert max(sizes) < 1.2 * sum(sizes) / len(sizes)


@pytest.mark.parametrize("to", ["jsonl", "parquet"])
def test_states_are_merged_in_the_order_of_the_records(lines, tmp_path, to, monkeypatch):
    monkeypatch.setenv("NOTED", str(tmp_path / "end"))
    options = {"merge": "append", "final": "finish", "to": to}

    report = run(lines, tmp_path / "out", "count", threads=3, order=random.Random(5), **options)

    assert report.details["state"] == {"seen": list(range(ROWS))}
    assert (tmp_path / "end").read_text() == f"{ROWS} 0 {ROWS}"


@pytest.mark.parametrize("mode", ["auto", "thread", "process", "inline"])
def test_a_state_that_is_not_merged_ends_the_run_before_anything_is_written(lines, tmp_path, mode):
    with pytest.raises(UsageError) as refused:
        run(lines, tmp_path / "out", "count", mode=mode)

    assert refused.value.code == "state-not-merged"
    assert not (tmp_path / "out").exists()


def test_a_failed_record_fails_its_file_with_its_number(lines, tmp_path):
    report = run(lines, tmp_path / "out", "fail_sevenths", threads=3, order=random.Random(1))

    assert [(error.code, error.part) for error in report.errors] == [("function-failed", "r.jsonl")]
    assert "row 4: tests.files.pipeline.steps:fail_sevenths raised ValueError: no 3" in report.errors[0].reason
    assert not (tmp_path / "out" / "r.jsonl").exists()


@pytest.mark.parametrize("threads", [1, 3])
def test_what_cannot_be_read_and_what_fails_is_set_aside_in_order_and_each_once(lines, tmp_path, threads):
    text = lines.read_text().splitlines(keepends=True)
    lines.write_text("".join("[]\n" if number % 50 == 20 else line for number, line in enumerate(text)))

    run(lines, tmp_path / "out", "fail_sevenths", threads=threads, on_error="quarantine", on_bad_row="quarantine")

    found = [row["row"] - 1 for row in read_lines(tmp_path / "out" / "r.jsonl.quarantine.jsonl")]
    assert found == [number for number in range(ROWS) if number % 50 == 20 or number % 7 == 3]


def test_a_failure_far_in_the_file_is_numbered_from_its_begin(lines, tmp_path):
    lines.write_text(lines.read_text().replace('"id": 900,', '"no": 900,'))

    report = run(lines, tmp_path / "out", "score", threads=3, mode="process")

    assert "row 901: " in report.errors[0].reason


@pytest.mark.parametrize(("on_error", "aside"), [("skip", False), ("quarantine", True)])
def test_failed_records_are_counted_and_set_aside_as_they_were(lines, tmp_path, on_error, aside):
    report = run(lines, tmp_path / "out", "fail_sevenths", threads=3, on_error=on_error)

    expected = [number for number in range(ROWS) if number % 7 == 3]
    assert report.items["failed_records"] == len(expected)
    assert report.items["records"] == ROWS == report.items["rows"] + len(expected)
    quarantine = tmp_path / "out" / "r.jsonl.quarantine.jsonl"
    assert quarantine.exists() == aside
    assert not any("set aside" in warning for warning in report.warnings)  # records were
    if aside:
        found = read_lines(quarantine)
        assert [row["row"] for row in found] == [number + 1 for number in expected]
        assert found[0]["source"] == "r.jsonl"
        assert found[0]["reason"] == "ValueError: no 3"
        assert json.loads(found[0]["raw"]) == {"id": 3, "name": "name 3"}


def test_what_the_function_did_to_a_record_before_it_failed_does_not_show(lines, tmp_path):
    run(lines, tmp_path / "out", "mutate_then_fail", on_error="quarantine", max_rejects="100%")

    first = read_lines(tmp_path / "out" / "r.jsonl.quarantine.jsonl")[0]
    assert json.loads(first["raw"])["name"] == "name 0"


def test_the_quarantine_is_the_same_for_any_number_of_parts(tmp_path, monkeypatch):
    cut_small(monkeypatch, 2000, part_seconds=0.001)
    rows = "".join(f"{number},{'x,' if number % 50 == 4 else ''}y\n" for number in range(600))
    (tmp_path / "r.csv").write_text(f"id,name\n{rows}")
    options = {"on_error": "quarantine", "on_bad_row": "quarantine", "chunk_size": 20}

    run(tmp_path / "r.csv", tmp_path / "one", "fail_sevenths", mode="inline", **options)
    report = run(tmp_path / "r.csv", tmp_path / "many", "fail_sevenths", mode="process", threads=7, **options)

    found = [(tmp_path / name / "r.jsonl.quarantine.jsonl").read_bytes() for name in ("one", "many")]
    assert found[0] == found[1]
    assert sorted(json.loads(line)["row"] for line in found[0].splitlines()) == [
        number + 1 for number in range(600) if number % 50 == 4 or number % 7 == 3
    ]
    assert report.items["rows_set_aside"] == 12


def test_lines_that_are_no_records_are_bad_rows_with_their_number(lines, tmp_path):
    text = lines.read_text().splitlines(keepends=True)
    lines.write_text("".join([*text[:700], "[1]\n", "\n", "{oops\n", *text[700:]]))

    report = run(lines, tmp_path / "out", "score", threads=3)
    aside = run(lines, tmp_path / "aside", "score", threads=3, on_bad_row="quarantine")

    assert "row 701: a record must be an object" in report.errors[0].reason
    assert aside.items["rows_set_aside"] == 2
    assert aside.items["records"] == ROWS
    assert [row["row"] for row in read_lines(tmp_path / "aside" / "r.jsonl.quarantine.jsonl")] == [701, 702]


def test_integers_of_any_length_reach_the_function_exactly(tmp_path):
    (tmp_path / "r.jsonl").write_text('{"id": 123456789012345678901234567890}\n{"id": 1}\n')

    run(tmp_path / "r.jsonl", tmp_path / "out", "score")

    assert read_lines(tmp_path / "out" / "r.jsonl")[0]["score"] == 3 * 123456789012345678901234567890


@pytest.mark.parametrize(("late", "kind"), [("1.5", "float"), ("later", "str")])
def test_a_column_has_one_type_for_the_function_from_begin_to_end(tmp_path, monkeypatch, late, kind):
    cut_small(monkeypatch, 4000, part_seconds=0.001)
    (tmp_path / "r.csv").write_text("id,name\n" + "".join(f"{number},x\n" for number in range(3000)) + f"{late},x\n")

    run(tmp_path / "r.csv", tmp_path / "out", "kind_of", threads=3, on_conflict="string")

    assert {record["kind"] for record in read_lines(tmp_path / "out" / "r.jsonl")} == {kind}


def test_the_types_of_results_are_agreed_on_over_all_chunks(lines, tmp_path):
    run(lines, tmp_path / "out", "widening", to="parquet", threads=3, chunk_size=70)

    table = pq.read_table(tmp_path / "out" / "r.parquet")
    assert table.schema.types == [pa.int64(), pa.float64(), pa.string()]
    assert table["value"].to_pylist() == [number if number < 500 else number + 0.5 for number in range(ROWS)]


def test_results_that_fit_no_one_type_follow_the_policy(lines, tmp_path):
    failed = run(lines, tmp_path / "out", "clashing", to="orc", chunk_size=100)
    run(lines, tmp_path / "out", "clashing", to="orc", chunk_size=100, on_conflict="string")

    assert [error.code for error in failed.errors] == ["type-conflict"]
    values = orc.read_table(tmp_path / "out" / "r.orc")["value"].to_pylist()
    assert values == [str(number) if number < 500 else f"text {number}" for number in range(ROWS)]


def test_a_result_that_is_no_record_is_a_failed_one(lines, tmp_path):
    report = run(lines, tmp_path / "out", "not_a_record", to="parquet")

    assert "TypeError: the function returned list" in report.errors[0].reason


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_functions_of_batches_make_as_many_rows_as_they_like(tmp_path, kind):
    write_lines(tmp_path / "r.jsonl", ROWS)
    (tmp_path / "r.csv").write_text("id,name\n" + "".join(f"{number},x\n" for number in range(ROWS)))

    report = run(tmp_path / f"r.{kind}", tmp_path / "out", "big", batch="arrow", to="csv", chunk_size=300)
    run(tmp_path / f"r.{kind}", tmp_path / "frames", "doubled", batch="pandas", chunk_size=300)

    assert report.items["rows"] == 4
    assert (tmp_path / "out" / "r.csv").read_text().splitlines()[1].startswith("996")
    assert [record["id"] for record in read_lines(tmp_path / "frames" / "r.jsonl")] == list(range(0, 2 * ROWS, 2))


def test_a_batch_that_fails_fails_all_of_its_records(lines, tmp_path):
    report = run(lines, tmp_path / "out", "refuse", batch="arrow", on_error="skip", max_rejects="100%")

    assert report.items["failed_records"] == report.items["records"] == ROWS


def test_row_groups_are_shared_as_blocks_are(tmp_path, monkeypatch):
    cut_small(monkeypatch, 8000, part_seconds=0.001)
    table = pa.table({"id": range(ROWS), "name": [f"n{number}" for number in range(ROWS)]})
    pq.write_table(table, tmp_path / "r.parquet", row_group_size=400)
    for name, threads in (("one", 1), ("many", 5)):
        run(tmp_path / "r.parquet", tmp_path / name, "score", mode="process", threads=threads, chunk_size=30)

    found = read_lines(tmp_path / "many" / "r.jsonl")
    assert [record["score"] for record in found] == [3 * number for number in range(ROWS)]
    assert (tmp_path / "one" / "r.jsonl").read_bytes() == (tmp_path / "many" / "r.jsonl").read_bytes()


@pytest.mark.parametrize("mode", ["auto", "process"])
def test_a_compressed_file_is_streamed_block_by_block(lines, tmp_path, monkeypatch, mode):
    monkeypatch.setenv("NOTED", str(tmp_path / "noted"))
    (tmp_path / "z.jsonl.gz").write_bytes(gzip.compress(lines.read_bytes()))

    run(tmp_path / "z.jsonl.gz", tmp_path / "out", "noted", mode=mode, threads=3)

    assert [record["id"] for record in read_lines(tmp_path / "out" / "z.jsonl")] == list(range(ROWS))
    assert sorted(map(int, (tmp_path / "noted").read_text().split())) == list(range(ROWS))


@pytest.mark.parametrize("to", ["jsonl", "parquet", "csv"])
def test_a_file_without_rows_gives_one_without_rows(tmp_path, to):
    (tmp_path / "r.csv").write_text("id,name\n")

    report = run(tmp_path / "r.csv", tmp_path / "out", "score", to=to)

    assert report.errors == []
    assert (tmp_path / "out" / f"r.{to}").exists()


@pytest.mark.parametrize("mode", ["auto", "process"])
def test_a_row_group_without_rows_is_no_trouble(tmp_path, mode):
    pq.write_table(pa.table({"id": pa.array([], pa.int64())}), tmp_path / "r.parquet")

    report = run(tmp_path / "r.parquet", tmp_path / "out", "score", mode=mode, threads=2)

    assert report.errors == []
    assert read_lines(tmp_path / "out" / "r.jsonl") == []


@pytest.mark.parametrize("to", ["jsonl", "parquet"])
def test_combined_files_follow_each_other(tmp_path, to):
    write_lines(tmp_path / "a.jsonl", 250)
    write_lines(tmp_path / "b.jsonl", 20)

    report = run(tmp_path / "*.jsonl", tmp_path / f"all.{to}", "score", to=to, combine=True, threads=2)

    assert report.items["rows"] == 270
    assert report.items["files"] == 2


def test_a_waiting_function_gets_threads_and_keeps_the_order(lines, tmp_path):
    report = run(lines, tmp_path / "out", "nap", threads=2)

    assert report.details["auto"]["mode"] == "thread"
    assert "auto chose thread" in " ".join(report.notes)
    assert report.warnings == []
    assert [record["id"] for record in read_lines(tmp_path / "out" / "r.jsonl")] == list(range(ROWS))


def test_the_work_folder_is_left_empty_of_results(lines, tmp_path):
    run(lines, tmp_path / "out", "fail_sevenths", to="parquet", on_error="quarantine")

    left = [path for path in (tmp_path / "work").rglob("*") if path.is_file() and path.suffix != ".catalogue"]
    assert left == []


def test_a_dry_run_plans_what_the_run_does_and_a_stateful_function_sees_every_record_again(lines, tmp_path):
    plain, stateful = (
        replace(checked(lines, tmp_path / "out", "thread", threads=1, **more), refresh=False)
        for more in ({}, {"merge": "append"})
    )
    run(lines, tmp_path / "out", "thread")
    left = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    assert [len(one) for one in (preview(plain).unchanged, preview(plain).parts)] == [1, 0]
    assert not preview(stateful).unchanged
    assert preview(stateful).parts
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == left
