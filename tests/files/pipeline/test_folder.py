"""A pipeline whose destination is a folder writes one output for each source."""

import gzip
import threading

import pyarrow.parquet as pq
import pytest

import anabranch
from anabranch.core.errors import SourceError, UsageError
from tests.files.pipeline import steps
from tests.files.pipeline.running import read_lines


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    for name, first in (("a", 0), ("b", 10)):
        rows = "".join(f"{number},n\n" for number in range(first, first + 10))
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress(b"id,name\n" + rows.encode()))
    return folder


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_each_source_gets_an_output(raw, tmp_path, parallel, own):
    function = (lambda record: steps.only_even(record)) if own else steps.only_even  # noqa: PLW0108  it has no name

    result = anabranch.pipeline(f"{raw}/*.csv.gz", f"{tmp_path}/clean/", function, parallel=parallel)

    assert (result.rec_count, result.nulls) == (20, 10)
    for name, first in (("a", 0), ("b", 10)):
        assert [one["id"] for one in read_lines(tmp_path / "clean" / f"{name}.jsonl")] == list(
            range(first, first + 10, 2)
        )


def test_a_folder_that_is_there_and_another_format(raw, tmp_path):
    (tmp_path / "clean").mkdir()

    anabranch.pipeline(f"{raw}/*", tmp_path / "clean", lambda record: record, to="parquet")

    assert pq.read_table(tmp_path / "clean" / "b.parquet").num_rows == 10


def test_states_are_merged_over_all_sources(raw, tmp_path):
    def count(_record, state):
        state["n"] = state.get("n", 0) + 1

    def added(one, other):
        return {"n": one.get("n", 0) + other.get("n", 0)}

    assert anabranch.pipeline(f"{raw}/*", f"{tmp_path}/clean/", count, merge=added).state == {"n": 20}


def test_failed_records_are_set_aside_for_each_source(raw, tmp_path):
    def fails(record):
        if record["id"] == 13:
            raise ValueError("no 13")
        return record

    with pytest.raises(SourceError, match="no 13"):
        anabranch.pipeline(f"{raw}/*", f"{tmp_path}/clean/", fails)
    anabranch.pipeline(f"{raw}/*", f"{tmp_path}/clean/", fails, on_error="quarantine")

    assert [row["row"] for row in read_lines(tmp_path / "clean" / "b.jsonl.quarantine.jsonl")] == [4]
    assert not (tmp_path / "clean" / "a.jsonl.quarantine.jsonl").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"start_state": {"n": 1}}, "start_state"),
        ({"progress": print}, "progress"),
        ({"debug": True}, "debug"),
        ({"source": [{"id": 1}]}, "not files"),
        ({"to": "xlsx"}, "to"),
        ({"parallel": True, "parallel_mode": "process"}, "functions of a module"),
    ],
)
def test_what_a_folder_cannot_have_is_refused(raw, tmp_path, options, says):
    lock = threading.Lock()
    arguments = {"source": f"{raw}/*", "destination": f"{tmp_path}/clean/", **options}

    with pytest.raises(UsageError, match=says):
        anabranch.pipeline(process_func=lambda record: lock and record, **arguments)
    assert not (tmp_path / "clean").exists()


def test_parallel_read_takes_the_arguments_of_iterabledata(tmp_path):
    (tmp_path / "a.txt").write_text("id|name\n1|'a|b'\n")

    with anabranch.parallel_read([tmp_path / "a.txt"], workers=1, format="csv", delimiter="|", quotechar="'") as reader:
        assert list(reader) == [{"id": 1, "name": "a|b"}]
    with pytest.raises(UsageError, match="nonsense"):
        anabranch.parallel_read(tmp_path / "a.txt", nonsense=1)
    with pytest.raises(UsageError, match="delimiter"):
        anabranch.parallel_read(tmp_path / "a.txt", options=anabranch.ReadOptions(), delimiter="|")
