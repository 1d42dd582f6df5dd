"""anabranch.pipeline: one by one as users know it, or in chunks on threads and processes, with the same results."""

import functools
import itertools
import json
import os
import subprocess
import sys
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import anabranch
from anabranch.core.errors import AnabranchError, SourceError, UsageError
from tests.examples import examples
from tests.files.pipeline import steps
from tests.files.pipeline.running import read_lines, write_blocks, write_lines

RECORDS = [{"id": number, "name": f"name {number}"} for number in range(300)]


class Kept:
    """A destination and a source as iterabledata's: reset, write, write_bulk."""

    def __init__(self, records=()):
        self.records, self.bulks, self.resets = list(records), [], 0

    def __iter__(self):
        return iter(self.records)

    def read(self):
        raise NotImplementedError

    def reset(self):
        self.resets += 1

    def write(self, record):
        self.records.append(record)

    def write_bulk(self, records):
        self.records += records
        self.bulks.append(len(records))


def test_one_by_one_it_is_what_users_know():
    source, target, shown, triggered = Kept(RECORDS), Kept(), [], []
    state = {"seen": []}

    result = anabranch.pipeline(
        source,
        target,
        steps.count,
        trigger_func=lambda stats, state: triggered.append(
            (stats["rec_count"], len(state["seen"]), len(target.records))
        ),
        trigger_on=100,
        final_func=lambda stats, state: triggered.append((stats["rec_count"], len(state["seen"]))),
        start_state=state,
        batch_size=70,
        progress=shown.append,
        progress_interval=150,
    )

    assert target.records == RECORDS
    assert target.bulks == [70, 30, 70, 30, 70, 30]
    assert source.resets == target.resets == 1
    assert triggered == [(100, 100, 100), (200, 200, 200), (300, 300, 300), (300, 300)]
    assert [one["rows_processed"] for one in shown] == [150, 300, 300]
    assert result.rows_processed == result["rec_count"] == 300
    assert "rec_count" in result
    assert "unknown" not in result
    assert result.state is state
    assert result.throughput > 0


def test_failures_and_nulls_are_counted_and_debug_raises():
    result = anabranch.pipeline(RECORDS, None, steps.fail_sevenths, on_error="skip")

    assert (result.exceptions, result.nulls, result.rec_count) == (43, 0, 300)
    assert anabranch.pipeline(RECORDS, None, steps.only_even).nulls == 150
    with pytest.raises(ValueError, match="no 3"):
        anabranch.pipeline(RECORDS, None, steps.fail_sevenths, debug=True)
    with pytest.raises(SourceError, match="record 4: no 3"):
        anabranch.pipeline(RECORDS, None, steps.fail_sevenths)


def test_nulls_reach_an_object_that_asks_for_them():
    target = Kept()

    anabranch.pipeline(RECORDS[:4], target, steps.only_even, skip_nulls=False)

    assert target.records == [{"id": 0}, None, {"id": 2}, None]


@examples(15)
@given(
    st.lists(st.fixed_dictionaries({"id": st.integers(0, 50)}), max_size=400),
    st.sampled_from(["auto", "thread", "inline"]),
    st.integers(1, 90),
    st.integers(1, 4),
)
def test_any_chunks_on_any_number_of_threads_give_what_one_by_one_gives(records, mode, chunk_size, workers):
    one, many = Kept(), Kept()
    how = {"merge": steps.append, "parallel": True, "parallel_mode": mode}

    expected = anabranch.pipeline(records, one, steps.count)
    result = anabranch.pipeline(records, many, steps.count, chunk_size=chunk_size, workers=workers, **how)

    assert many.records == one.records
    assert result.state == expected.state
    assert result.rec_count == expected.rec_count


def test_processes_keep_the_order_and_merge_states_and_failures():
    target, triggered = Kept(), []

    result = anabranch.pipeline(
        RECORDS,
        target,
        steps.count,
        trigger_func=lambda stats, state: triggered.append((stats["rec_count"], len(state["seen"]))),
        trigger_on=100,
        merge=steps.append,
        parallel=True,
        parallel_mode="process",
        workers=2,
        chunk_size=40,
    )

    assert target.records == RECORDS
    assert result.state == {"seen": list(range(300))}
    assert triggered == [(120, 120), (200, 200), (300, 300)]
    assert result.decision["mode"] == "process"


@pytest.mark.parametrize(("function", "lost"), [(steps.die_once, 0), (steps.die_always, 40)])
def test_a_chunk_that_kills_its_process_is_tried_again_and_then_given_up_alone(function, lost, tmp_path, monkeypatch):
    monkeypatch.setenv("DIED", str(tmp_path / "died"))
    target = Kept()
    how = {"parallel": True, "parallel_mode": "process", "workers": 2, "chunk_size": 40, "on_error": "quarantine"}

    result = anabranch.pipeline(RECORDS, target, function, **how)

    missing = RECORDS[120:160] if lost else []
    assert target.records == [record for record in RECORDS if record not in missing]
    assert result.exceptions == lost
    assert [row["record"] for row in result.failed] == missing


def test_a_part_of_files_that_kills_its_process_is_tried_again_and_given_up(tmp_path, monkeypatch):
    monkeypatch.setenv("DIED", str(tmp_path / "died"))
    write_lines(tmp_path / "r.jsonl", 1000)
    how = {"parallel": True, "parallel_mode": "process", "workers": 2}

    with pytest.raises(AnabranchError, match=r"\[worker-died\]"):
        anabranch.pipeline(str(tmp_path / "r.jsonl"), tmp_path / "out.jsonl", steps.die_always, **how)

    assert not (tmp_path / "out.jsonl").exists()


def test_a_script_whose_processes_cannot_begin_is_told_what_it_lacks(tmp_path):
    (tmp_path / "step.py").write_text("def same(record):\n    return record\n")
    (tmp_path / "bare.py").write_text(
        "import anabranch, step\n"
        "anabranch.pipeline([{}] * 5, None, step.same, parallel=True, parallel_mode='process', workers=1)\n"
    )

    done = subprocess.run([sys.executable, "bare.py"], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "[processes-end]" in done.stderr


@pytest.mark.parametrize("function", [steps.count, steps.count_and_rest])
def test_a_changed_state_without_merge_stays_in_one_piece_or_is_refused(function):
    result = anabranch.pipeline(RECORDS, None, function, parallel=True)

    assert result.state["seen"] == list(range(300))
    assert "changes its state, and there is no merge function" in result.decision["reason"]
    for mode in ("thread", "process"):
        with pytest.raises(UsageError) as refused:
            anabranch.pipeline(RECORDS, None, function, parallel=True, parallel_mode=mode, workers=2)
        assert refused.value.code == "state-not-merged"


def test_a_lambda_stays_in_this_process_unless_processes_are_asked_for():
    here = []

    result = anabranch.pipeline(RECORDS, None, lambda record: here.append(record["id"]), parallel=True)

    assert here == list(range(300))
    assert result.decision["mode"] == "inline"
    assert "is a lambda, so it stays in this process" in result.decision["reason"]


def test_lambdas_and_closures_run_in_processes_where_these_are_asked_for():
    offset = 5

    def closure(record):
        return {"id": record["id"] + offset, "pid": os.getpid()}

    for function in (closure, lambda record: {"id": record["id"] + offset, "pid": os.getpid()}):
        target = Kept()
        how = {"parallel": True, "parallel_mode": "process", "workers": 2}
        result = anabranch.pipeline(RECORDS, target, function, **how)

        assert result.decision["mode"] == "process"
        assert [record["id"] for record in target.records] == [record["id"] + offset for record in RECORDS]
        assert os.getpid() not in {record["pid"] for record in target.records}


def test_what_no_other_process_can_call_is_refused_with_the_reason():
    lock = threading.Lock()

    with pytest.raises(UsageError, match="cannot be pickled"):
        anabranch.pipeline(RECORDS, None, lambda record: lock and record, parallel=True, parallel_mode="process")


def test_what_can_be_pickled_needs_no_name():
    target = Kept()

    anabranch.pipeline(
        RECORDS,
        target,
        functools.partial(steps.score),
        parallel=True,
        parallel_mode="process",
        workers=1,
        chunk_size=200,
    )

    assert target.records == [steps.score(record) for record in RECORDS]


@pytest.mark.parametrize("parallel", [False, True])
def test_files_become_a_file_of_the_format_that_its_name_tells(tmp_path, parallel):
    records = write_lines(tmp_path / "a.jsonl", 250) + write_lines(tmp_path / "b.jsonl", 20)

    for name in ("out.jsonl", "out.parquet"):
        result = anabranch.pipeline(str(tmp_path / "*.jsonl"), tmp_path / "made" / name, steps.score, parallel=parallel)
        assert result.rows_processed == 270

    expected = [steps.score(record) for record in records]
    assert read_lines(tmp_path / "made" / "out.jsonl") == expected
    assert pq.read_table(tmp_path / "made" / "out.parquet").to_pylist() == expected


def test_a_file_is_whole_or_not_there_and_failed_records_stand_beside_it(tmp_path):
    (tmp_path / "out.jsonl").write_text("before")
    with pytest.raises(AnabranchError):
        anabranch.pipeline(RECORDS, tmp_path / "out.jsonl", steps.fail_sevenths, atomic=True)
    assert (tmp_path / "out.jsonl").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]

    result = anabranch.pipeline(RECORDS, tmp_path / "out.jsonl", steps.fail_sevenths, on_error="quarantine")

    assert len(read_lines(tmp_path / "out.jsonl")) == 300 - result.exceptions
    first = read_lines(tmp_path / "out.jsonl.quarantine.jsonl")[0]
    assert first == {"row": 4, "error": "ValueError", "message": "no 3", "record": RECORDS[3]}


def test_a_schema_gives_the_records_their_types_wherever_they_go(tmp_path):
    (tmp_path / "schema.json").write_text('{"zip": "string", "n": "double"}')
    (tmp_path / "a.csv").write_text("zip,n\n123,1\n")
    (tmp_path / "b.jsonl").write_text('{"zip": 123, "n": 1}\n')
    pq.write_table(pa.table({"zip": [123], "n": [1]}), tmp_path / "c.parquet")
    expected = {"zip": "123", "n": 1.0}

    for name in ("a.csv", "b.jsonl", "c.parquet"):
        for parallel in (False, True):
            how = {"parallel": parallel, "schema_file": str(tmp_path / "schema.json")}
            kept = Kept()
            anabranch.pipeline(tmp_path / name, kept, steps.same, **how)
            anabranch.pipeline(tmp_path / name, tmp_path / "out.jsonl", steps.same, **how)
            (record,) = [*kept.records]
            assert record == expected == read_lines(tmp_path / "out.jsonl")[0]
            assert type(record["n"]) is float


def test_a_schema_that_a_record_does_not_fit_is_no_silent_change(tmp_path):
    (tmp_path / "schema.json").write_text('{"n": "int64"}')
    (tmp_path / "a.jsonl").write_text('{"n": 1}\n{"n": "many"}\n')

    with pytest.raises(SourceError, match=r"a.jsonl: row 2 .*'many' is string, where int64 is expected"):
        anabranch.pipeline(tmp_path / "a.jsonl", Kept(), steps.same, schema_file=str(tmp_path / "schema.json"))


def test_an_error_names_the_file_and_the_number_of_the_record_in_it(tmp_path):
    write_lines(tmp_path / "a.jsonl", 20)
    long = write_blocks(tmp_path / "b.jsonl")  # of two blocks
    several = [str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]
    target = tmp_path / "out.jsonl"

    result = anabranch.pipeline(several, target, steps.fail_last, on_error="quarantine")
    with pytest.raises(SourceError, match=f"b.jsonl: row {long}: .*:fail_last raised ValueError: the last"):
        anabranch.pipeline(several, target, steps.fail_last, on_error="fail")
    with pytest.raises(SourceError, match=f"b.jsonl: the function raised ValueError for record {long}:"):
        anabranch.pipeline(several, Kept(), steps.fail_last, on_error="fail")

    assert [(one["source"], one["row"]) for one in result.failed] == [("b.jsonl", long)]
    assert read_lines(tmp_path / "out.jsonl.quarantine.jsonl") == result.failed


@pytest.mark.parametrize(("name", "bad"), [("b.jsonl", '{"id"\n'), ("b.csv", "1,2,3\n")])
def test_a_row_that_is_no_record_is_told_by_its_number_in_its_file(tmp_path, name, bad):
    long = write_blocks(tmp_path / name)
    with (tmp_path / name).open("a") as file:
        file.write(bad)

    with pytest.raises(SourceError, match=rf"{name}: row {long + 1}\b"):
        anabranch.pipeline(tmp_path / name, Kept(), steps.same)


def test_a_block_of_nothing_but_bad_rows_is_told(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2,3\n")

    with pytest.raises(SourceError, match=r"a\.csv: row 1 "):
        anabranch.pipeline(tmp_path / "a.csv", Kept(), steps.same)


@pytest.mark.parametrize("parallel", [False, True])
def test_an_empty_file_is_left_out_however_the_records_come(tmp_path, parallel):
    write_lines(tmp_path / "a.jsonl", 2)
    (tmp_path / "b.jsonl").touch()

    result = anabranch.pipeline(tmp_path, tmp_path / "made" / "out.jsonl", steps.same, parallel=parallel)

    assert result.rec_count == 2


@pytest.mark.parametrize("parallel", [False, True])
def test_bad_rows_are_set_aside_between_files_and_else_refused_not_ignored(tmp_path, parallel):
    (tmp_path / "a.csv").write_text("id,n\n1,2\n3\n5,6\n")
    how = {"process_func": steps.same, "on_bad_row": "quarantine", "parallel": parallel, "parallel_mode": "thread"}

    with pytest.raises(UsageError, match="on_bad_row"):
        anabranch.pipeline(str(tmp_path / "a.csv"), Kept(), **how)

    anabranch.pipeline(str(tmp_path / "a.csv"), tmp_path / "out.jsonl", **how)
    assert [row["id"] for row in read_lines(tmp_path / "out.jsonl")] == [1, 5]
    assert [row["row"] for row in read_lines(tmp_path / "out.jsonl.quarantine.jsonl")] == [2]


@pytest.mark.parametrize("to", ["parquet", "jsonl.gz", "csv.zst"])
@pytest.mark.parametrize("watched", [False, True])
def test_in_parallel_and_one_by_one_gives_the_same_bytes(tmp_path, to, watched):
    (tmp_path / "in").mkdir()
    write_lines(tmp_path / "in/a.jsonl", 3000)
    write_blocks(tmp_path / "in/b.jsonl")
    one, more = tmp_path / f"one.{to}", tmp_path / f"more.{to}"
    how = {"progress": (lambda _: None)} if watched else {}  # which all records then pass

    anabranch.pipeline(tmp_path / "in", one, steps.widening, **how)
    for workers, mode in (1, "inline"), (3, "thread"), (2, "auto"):
        parallel = {"parallel": True, "workers": workers, "parallel_mode": mode}
        anabranch.pipeline(tmp_path / "in", more, steps.widening, **parallel, **how)
        assert more.read_bytes() == one.read_bytes()


@pytest.mark.parametrize("parallel", [False, True])
def test_paths_may_come_from_an_iterator(tmp_path, parallel):
    (tmp_path / "in").mkdir()
    for name in "ab":
        write_lines(tmp_path / f"in/{name}.jsonl", 3)

    result = anabranch.pipeline((tmp_path / "in").glob("*"), tmp_path / "out.jsonl", steps.same, parallel=parallel)

    assert result.rec_count == 6
    assert anabranch.pipeline(iter([{"id": 1}, {"id": 2}]), None, steps.same, parallel=parallel).rec_count == 2


def test_one_by_one_the_function_is_called_in_the_callers_thread(tmp_path):
    write_lines(tmp_path / "a.jsonl", 20)

    anabranch.pipeline(tmp_path / "a.jsonl", tmp_path / "out.jsonl", steps.thread)

    assert {row["thread"] for row in read_lines(tmp_path / "out.jsonl")} == {threading.get_ident()}


def test_the_chunks_of_a_table_decide_nothing_about_its_types(tmp_path):
    """Values of two kinds are a conflict, also where they come side by side."""
    mixed = [{"value": 1}, {"value": "text"}] * 700

    for parallel in (False, True):
        with pytest.raises(SourceError, match="type-conflict"):
            anabranch.pipeline(mixed, tmp_path / "failed.parquet", steps.same, parallel=parallel)
        anabranch.pipeline(mixed, tmp_path / f"{parallel}.parquet", steps.same, parallel=parallel, on_conflict="string")

    assert not (tmp_path / "failed.parquet").exists()
    assert pq.read_table(tmp_path / "False.parquet")["value"].to_pylist() == ["1", "text"] * 700
    assert (tmp_path / "False.parquet").read_bytes() == (tmp_path / "True.parquet").read_bytes()


def test_a_result_that_no_table_can_hold_is_a_failed_record(tmp_path):
    values = [np.int64(1), np.float32(0.5), {2}, 3j, (4, 5), np.arange(2)]

    result = anabranch.pipeline(
        [{"id": number} for number in range(6)],
        tmp_path / "r.parquet",
        lambda record: {f"c{record['id']}": values[record["id"]]},
        on_error="quarantine",
    )

    assert [(one["row"], one["error"]) for one in result.failed] == [(3, "TypeError"), (4, "TypeError")]
    rows = pq.read_table(tmp_path / "r.parquet").to_pylist()
    assert [next(value for value in row.values() if value is not None) for row in rows] == [1, 0.5, [4, 5], [0, 1]]


@pytest.mark.parametrize("name", ["r.jsonl", "r.parquet"])
def test_a_function_may_go_on_with_what_it_returned(tmp_path, name):
    anabranch.pipeline(RECORDS, tmp_path / name, steps.running_total, start_state={"row": {}})

    table = pq.read_table(tmp_path / name).to_pylist() if name == "r.parquet" else read_lines(tmp_path / name)
    assert [row["total"] for row in table] == list(itertools.accumulate(range(300)))


@pytest.mark.timeout(60)
def test_a_function_may_itself_run_a_pipeline(tmp_path):
    write_lines(tmp_path / "inner.jsonl", 20)
    (tmp_path / "outer.jsonl").write_text(json.dumps({"path": str(tmp_path / "inner.jsonl")}) + "\n")

    result = anabranch.pipeline(tmp_path / "outer.jsonl", tmp_path / "out.jsonl", steps.pipeline_of, parallel=True)

    assert result.exceptions == 0
    assert read_lines(tmp_path / "out.jsonl") == [{"records": 20}]
