"""anabranch.pipeline at its edges: what users hand over that was not foreseen, one by one and in parallel."""

import io
import threading

import pyarrow as pa
import pytest

import anabranch
from anabranch.core.errors import SourceError, UsageError
from anabranch.library import failed
from tests.files.pipeline import steps
from tests.files.pipeline.running import read_lines, write_blocks, write_lines
from tests.files.pipeline.test_api import Kept

RECORDS = [{"id": number, "name": f"name {number}"} for number in range(300)]


@pytest.mark.parametrize("parallel", [False, True])
def test_a_column_has_one_type_from_begin_to_end_however_the_records_come(tmp_path, parallel):
    (tmp_path / "r.csv").write_text("id\n" + "7\n" * 3000 + "0.5\n")

    for number, more in enumerate([{}, {"progress": lambda _: None}]):
        anabranch.pipeline(tmp_path / "r.csv", tmp_path / f"{number}.jsonl", steps.kind_of, parallel=parallel, **more)

        assert {row["kind"] for row in read_lines(tmp_path / f"{number}.jsonl")} == {"float"}


@pytest.mark.parametrize("parallel", [False, True])
def test_the_policy_for_conflicts_holds_for_what_is_read_as_for_what_is_written(tmp_path, parallel):
    (tmp_path / "r.csv").write_text("id\n" + "7\n" * 3000 + "seven\n")

    result = anabranch.pipeline(
        tmp_path / "r.csv", tmp_path / "o.jsonl", steps.same, parallel=parallel, on_conflict="string"
    )

    assert result.rows_processed == 3001
    assert read_lines(tmp_path / "o.jsonl")[0] == {"id": "7"}


@pytest.mark.parametrize("mode", ["auto", "thread", "process", "inline"])
def test_what_cannot_be_pickled_stays_in_this_process_or_is_refused(mode):
    locks = [{"id": number, "lock": threading.Lock()} for number in range(300)]

    def run(records, target, function):
        return anabranch.pipeline(records, target, function, parallel=True, workers=2, parallel_mode=mode)

    if mode == "process":
        for records, function in ((locks, steps.same), (RECORDS, steps.locked)):
            with pytest.raises(UsageError, match=r"cannot pickle.*parallel_mode thread or inline"):
                run(records, Kept(), function)
    else:
        assert run(locks, None, steps.same).rows_processed == 300
        assert run(RECORDS, Kept(), steps.locked).exceptions == 0
    assert run(RECORDS, None, steps.locked).exceptions == 0  # what it returned is not used


@pytest.mark.parametrize("parallel", [False, True])
def test_a_source_may_fill_the_same_dictionary_again(parallel):
    target, row = Kept(), {}
    source = (row.update(id=number) or row for number in range(300))

    anabranch.pipeline(source, target, steps.same, parallel=parallel)

    assert target.records == [{"id": number} for number in range(300)]


@pytest.mark.parametrize("parallel", [False, True])
def test_tables_and_frames_are_sources_of_their_rows(parallel):
    table = pa.table({"id": [1, 2]})

    for source in (table, table.to_batches()[0], table.to_pandas()):
        target = Kept()
        anabranch.pipeline(source, target, steps.same, parallel=parallel)

        assert target.records == [{"id": 1}, {"id": 2}]


@pytest.mark.parametrize("parallel", [False, True])
def test_an_object_may_take_many_records_only(parallel):
    class Bulk:
        write_bulk = Kept.write_bulk

        def __init__(self):
            self.records, self.bulks = [], []

    target = Bulk()
    anabranch.pipeline(RECORDS[:3], target, steps.only_even, batch_size=1, skip_nulls=False, parallel=parallel)

    assert target.records == [{"id": 0}, None, {"id": 2}]


async def _later(record):
    return record


def _one_by_one(record):
    yield record


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"trigger_on": 0}, "trigger_on is 0"),
        ({"progress_interval": 0}, "progress_interval is 0"),
        ({"workers": 0}, "workers is 0"),
        ({"chunk_size": 0}, "chunk_size is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"parallel_mode": "fast"}, "Choose one of auto, thread"),
        ({"on_error": "ignore"}, "Choose one of fail, skip"),
        ({"on_conflict": "ignore"}, "on_conflict"),
        ({"delimter": ";"}, "delimter"),
        ({"batch": "arrow"}, "batch"),  # which means something for the flow only
        ({"process_func": None}, "cannot be called"),
        ({"process_func": _later}, "async or a generator"),
        ({"process_func": _one_by_one}, "async or a generator"),
        ({"process_func": lambda: 1}, "cannot be called with a record"),
        ({"process_func": lambda record, state, third: 1}, "cannot be called with a record"),
        ({"source": None}, "not a source of records"),
        ({"source": {"id": 1}}, "not a source of records"),
        ({"destination": []}, "no records are written to a list"),
        ({"destination": io.StringIO()}, "no records are written to a StringIO"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(wrong, reason, parallel):
    arguments = {"source": RECORDS, "destination": None, "process_func": steps.same, **wrong}

    with pytest.raises(UsageError, match=reason):
        anabranch.pipeline(**arguments, parallel=parallel)


@pytest.mark.parametrize("parallel", [False, True])
def test_all_failed_records_are_written_as_they_came(tmp_path, monkeypatch, parallel):
    monkeypatch.setattr(failed, "MOST_FAILED", 100)
    records = [{"id": number, "name": "as it came", "large": 10**30} for number in range(300)]
    arguments = {
        "destination": tmp_path / "o.jsonl",
        "on_error": "quarantine",
        "parallel": parallel,
        "max_rejects": "100%",
    }
    aside = tmp_path / "o.jsonl.quarantine.jsonl"

    result = anabranch.pipeline(records, process_func=steps.mutate_then_fail, **arguments)

    assert (result.exceptions, len(result.failed), result.failed[0]["record"]) == (300, 100, records[0])
    rows = read_lines(aside)
    assert [row["row"] for row in rows] == list(range(1, 301))
    assert all("as it came" in row["record"] and str(10**30) in row["record"] for row in rows)

    anabranch.pipeline(records, process_func=steps.same, **arguments)

    assert not aside.exists()


@pytest.mark.parametrize("parallel", [False, True])
def test_the_final_function_is_not_called_for_a_run_that_failed(tmp_path, parallel):
    write_lines(tmp_path / "r.jsonl", 300)
    called = []

    with pytest.raises(SourceError, match="function-failed"):
        anabranch.pipeline(
            tmp_path / "r.jsonl", tmp_path / "o.jsonl", steps.fail_sevenths,
            on_error="fail", parallel=parallel, final_func=lambda stats, state: called.append(stats),
        )  # fmt: skip

    assert called == []


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("role", ["init", "merge"])
def test_an_error_of_init_or_merge_is_told_as_such(tmp_path, parallel, role):
    if role == "merge" and not parallel:
        return  # there is one state
    write_blocks(tmp_path / "r.jsonl")
    functions = {"merge": steps.append, role: steps.raise_anything}

    with pytest.raises(UsageError, match=f"the {role} function raised RuntimeError: no way"):
        anabranch.pipeline(tmp_path / "r.jsonl", tmp_path / "o.jsonl", steps.count, parallel=parallel, **functions)


@pytest.mark.parametrize("parallel", [False, True])
def test_the_output_is_no_source(tmp_path, parallel):
    write_lines(tmp_path / "r.jsonl", 3)

    for _ in range(2):
        result = anabranch.pipeline(tmp_path / "*.jsonl", tmp_path / "o.jsonl", steps.same, parallel=parallel)

        assert result.rows_processed == 3
    with pytest.raises(UsageError, match="output-is-source"):
        anabranch.pipeline(tmp_path / "r.jsonl", tmp_path / "r.jsonl", steps.same, parallel=parallel)


@pytest.mark.parametrize("parallel", [False, True])
def test_an_output_that_cannot_be_written_is_told_before_a_record_is_read(tmp_path, parallel):
    (tmp_path / "o.jsonl").mkdir()
    read = []

    with pytest.raises(UsageError, match="output-not-a-file"):
        anabranch.pipeline(
            (read.append(number) or {} for number in range(3)), tmp_path / "o.jsonl", steps.same, parallel=parallel
        )

    assert read == []
