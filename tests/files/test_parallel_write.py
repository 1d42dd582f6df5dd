"""Many threads write to several files, which appear together at the end, or not at all."""

import datetime as dt
import errno
import gzip
import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch import parallel_write
from anabranch.core.errors import AnabranchError, SourceError, TemporaryError, UsageError
from anabranch.formats.options import WriteOptions
from anabranch.library.spool import Spool
from tests.examples import examples
from tests.held import held, more_than

DAY = dt.date(2020, 2, 29)
MIDNIGHT = dt.datetime.combine(DAY, dt.time())
WRITES = st.lists(st.tuples(st.integers(0, 2), st.integers(-(2**70), 2**70)), max_size=40)


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("ANABRANCH_WORK_DIR", str(tmp_path / "work"))
    yield tmp_path / "work"
    left = [path for path in (tmp_path / "work").rglob("*") if path.is_file()]

    assert left == []


def write_all(rows_of, **options):
    with parallel_write([*rows_of], **options) as writer:
        for path, rows in rows_of.items():
            for row in rows:
                writer.write(row, path)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@examples(25)
@given(st.lists(WRITES, min_size=1, max_size=3), st.integers(1, 4), st.sampled_from([1, 2000, 1 << 20]))
def test_every_record_arrives_once_and_each_threads_in_its_order(tmp_path, threads, workers, buffer):
    names = ["a.jsonl", "b.jsonl", "c.jsonl"]
    paths = {name: tmp_path / name for name in names}
    with parallel_write(paths, workers, buffer_bytes=buffer) as writer, ThreadPoolExecutor(3) as pool:

        def write(number):
            for index, (place, value) in enumerate(threads[number]):
                writer.write({"thread": number, "index": index, "value": value}, names[place])

        list(pool.map(write, range(len(threads))))

    for place, name in enumerate(names):
        found = lines(paths[name])
        assert len(found) == writer.rows[name]
        for number, writes in enumerate(threads):
            mine = [(row["index"], row["value"]) for row in found if row["thread"] == number]
            assert mine == [(index, value) for index, (where, value) in enumerate(writes) if where == place]


@pytest.mark.parametrize(
    "name",
    ["a.parquet", "a.csv", "a.tsv", "a.jsonl", "a.json", "a.arrow", "a.orc", "a.csv.gz", "a.csv.gzip", "a.JSONL.zstd"],
)
def test_the_ending_names_the_format(tmp_path, name):
    from anabranch import parallel_read

    rows = [{"n": n, "t": f"é{n}"} for n in range(20_000)]
    with parallel_write(tmp_path / name) as writer:
        for row in rows:
            writer.write(row)

    with parallel_read(tmp_path / name) as reader:
        assert list(reader) == rows
    assert (gzip.decompress if name.endswith(("gz", "gzip")) else bytes)((tmp_path / name).read_bytes())


def test_records_batches_and_tables_go_together(tmp_path):
    table = pa.table({"a": [2, 3]})
    with parallel_write([tmp_path / "a.parquet", tmp_path / "b.jsonl"]) as writer:
        writer.write({"a": 1}, tmp_path / "a.parquet")
        writer.write(table, str(tmp_path / "a.parquet"))
        writer.write(table.to_batches()[0], tmp_path / "a.parquet")
        writer.write({"a": 0.5, "b": None}, tmp_path / "a.parquet")

    found = pq.read_table(tmp_path / "a.parquet")
    assert found.to_pylist() == [{"a": a, "b": None} for a in (1.0, 2.0, 3.0, 2.0, 3.0, 0.5)]
    assert found.schema == pa.schema([("a", pa.float64()), ("b", pa.string())])
    assert lines(tmp_path / "b.jsonl") == []


def test_columns_get_the_types_that_all_rows_need(tmp_path):
    rows = [{"n": 1}, {"n": 2**63, "late": {"x": DAY}}, {"n": None, "late": {"y": [Decimal("1.5")]}}]
    with parallel_write(tmp_path / "a.parquet") as writer:
        for row in rows:
            writer.write(row)

    found = pq.read_table(tmp_path / "a.parquet")
    assert found.to_pylist() == [
        {"n": 1, "late": None},
        {"n": 2**63, "late": {"x": DAY, "y": None}},
        {"n": None, "late": {"x": None, "y": [Decimal("1.5")]}},
    ]


@pytest.mark.parametrize("rows_between", [0, 9000])
def test_a_conflict_of_types_is_an_error_or_resolved_as_was_asked_for(tmp_path, rows_between):
    rows = [{"a": 1, "d": DAY}, *[{}] * rows_between, {"a": "x", "d": MIDNIGHT}]
    with pytest.raises(SourceError, match="type-conflict") as caught:
        write_all({tmp_path / "a.parquet": rows})
    assert caught.value.part == str(tmp_path / "a.parquet")
    assert not (tmp_path / "a.parquet").exists()

    for how, day in {"widen": MIDNIGHT, "string": "2020-02-29"}.items():
        write_all({tmp_path / "a.parquet": rows}, on_conflict=how)
        assert pq.read_table(tmp_path / "a.parquet").to_pylist()[0] == {"a": "1", "d": day}


def test_nothing_is_published_when_the_block_raises(tmp_path):
    (tmp_path / "b.csv").write_text("before")
    before = held()
    with pytest.raises(ZeroDivisionError):
        write_all({tmp_path / "a.csv": [{"a": 1}], tmp_path / "b.csv": ({"a": 1 / n} for n in (1, 0))})

    assert not (tmp_path / "a.csv").exists()
    assert (tmp_path / "b.csv").read_text() == "before"
    assert not more_than(before, settle=0)


def test_nothing_is_published_when_one_destination_fails(tmp_path):
    before = held()
    with pytest.raises(SourceError, match="type-conflict") as caught:
        write_all({tmp_path / "a.parquet": [{"a": 1}], tmp_path / "b.parquet": [{"a": 1}, {"a": "text"}]})

    assert caught.value.part == str(tmp_path / "b.parquet")
    assert {path.name for path in tmp_path.iterdir()} == {"work"}
    assert not more_than(before, settle=0)


def test_nothing_is_published_when_the_last_file_cannot_be(tmp_path):
    paths = [tmp_path / "a.csv", tmp_path / "sub" / "b.csv"]

    def write():
        with parallel_write(paths) as writer:
            for path in paths:
                writer.write({"a": 1}, path)
            (tmp_path / "sub").write_text("in the way")

    with pytest.raises(OSError, match="sub"):
        write()
    assert {path.name for path in tmp_path.iterdir()} == {"sub", "work"}


def test_a_failure_between_the_names_tells_which_files_stand(tmp_path, monkeypatch):
    paths, rename = [tmp_path / name for name in ("a.csv", "b.csv", "c.csv")], Path.rename
    paths[0].write_text("before")

    def refused(path, target):
        if target == paths[0]:
            raise OSError(errno.EIO, "the disk is failing")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(TemporaryError, match=r"disk is failing.*c.csv, .*b.csv have been written, but not .*a.csv"):
        write_all({path: [{"a": 1}] for path in paths})

    assert [path.read_text() for path in paths] == ["before", 'a\n"1"\n', 'a\n"1"\n']
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "b.csv", "c.csv", "work"}


def test_a_row_that_is_lost_on_the_way_is_a_defect_and_nothing_is_published(tmp_path, monkeypatch):
    tables = Spool.tables
    monkeypatch.setattr(Spool, "tables", lambda spool, schema: (each.slice(1) for each in tables(spool, schema)))

    with pytest.raises(AnabranchError, match=r"a.csv: 1 of 2 rows .*\[accounting\]") as caught:
        write_all({tmp_path / "a.csv": [{"a": 1}, {"a": 2}]})

    assert type(caught.value) is AnabranchError
    assert {path.name for path in tmp_path.iterdir()} == {"work"}


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl"])
def test_records_without_any_field_have_no_place_in_a_file(tmp_path, name):
    with pytest.raises(SourceError, match="no-columns"):
        write_all({tmp_path / name: [{}, {}]})

    assert {path.name for path in tmp_path.iterdir()} == {"work"}


def test_a_record_without_fields_in_a_column_stays_one_in_json(tmp_path):
    rows = [{"a": {}, "b": [{}]}, {"a": None, "b": None}]
    for name in ("a.jsonl", "a.parquet"):
        write_all({tmp_path / name: rows})

    assert lines(tmp_path / "a.jsonl") == rows
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == [{"a": "{}", "b": ["{}"]}, {"a": None, "b": None}]


def test_a_failure_reaches_the_threads_that_write(tmp_path):
    def write_on():
        for n in itertools.count():
            writer.write({"n": n})

    with (  # noqa: PT012
        pytest.raises(SourceError, match="type-conflict"),
        parallel_write(tmp_path / "a.jsonl", buffer_bytes=10_000) as writer,
        ThreadPoolExecutor(2) as pool,
    ):
        writing = [pool.submit(write_on) for _ in range(2)]
        writer.write({"n": "text"})
        for future in writing:
            with pytest.raises(SourceError, match="type-conflict"):
                future.result()


def test_writers_wait_while_too_much_is_waiting(tmp_path, monkeypatch):
    go, written = threading.Event(), itertools.count()
    real = Spool.add

    def slow(spool, item):
        go.wait()
        real(spool, item)

    monkeypatch.setattr(Spool, "add", slow)
    with parallel_write(tmp_path / "a.jsonl", buffer_bytes=256 * 10) as writer, ThreadPoolExecutor(1) as pool:
        future = pool.submit(lambda: [writer.write({"n": next(written)}) for _ in range(100)])
        while not writer._lanes[0]._used >= 256 * 9:
            pass
        assert next(written) <= 13
        go.set()
        future.result()

    assert writer.rows == {str(tmp_path / "a.jsonl"): 100}


def test_never_more_threads_than_workers_or_destinations(tmp_path):
    def running():
        return sum(thread.name == "anabranch-write" for thread in threading.enumerate())

    with parallel_write([tmp_path / f"{n}.csv" for n in range(5)], 2):
        assert running() == 2
    with parallel_write([tmp_path / f"{n}.csv" for n in range(2)], 8):
        assert running() == 2
    assert running() == 0


def test_records_may_be_changed_after_they_were_written(tmp_path):
    row = {"n": 0}
    with parallel_write(tmp_path / "a.jsonl") as writer:
        for n in range(100):
            row["n"] = n
            writer.write(row)

    assert [row["n"] for row in lines(tmp_path / "a.jsonl")] == list(range(100))


def test_options_of_the_files_are_passed(tmp_path):
    with parallel_write(tmp_path / "sub" / "a.csv", options=WriteOptions(flatten=True)) as writer:
        writer.write({"a": {"b": 1, "c": "x"}})

    assert (tmp_path / "sub" / "a.csv").read_text() == 'a.b,a.c\n1,"x"\n'


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl", "a.arrow", "a.orc", "a.json.gz"])
def test_a_destination_without_rows_is_a_file_without_rows(tmp_path, name):
    with parallel_write(tmp_path / name) as writer:
        pass

    assert writer.rows == {str(tmp_path / name): 0}
    assert (tmp_path / name).is_file()


def test_what_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "a.csv")
    (tmp_path / "same").symlink_to(tmp_path)
    for code, destinations in {
        "destination-format": [tmp_path / "a.xml"],
        "same-destination": [tmp_path / "a.csv", tmp_path / "same" / "a.csv"],
    }.items():
        with pytest.raises(UsageError, match=code):
            parallel_write(destinations)
    with pytest.raises(UsageError, match="bad-argument"):
        parallel_write(tmp_path / "a.csv", 0)
    with pytest.raises(UsageError, match="output-not-a-file"), parallel_write(tmp_path / "link.csv"):
        pass


def test_what_is_no_record_or_destination_is_refused(tmp_path):
    writer = parallel_write([tmp_path / "a.csv", tmp_path / "b.csv"])
    with pytest.raises(UsageError, match="writer-not-open"):
        writer.write({}, tmp_path / "a.csv")
    with writer:
        for code, arguments in {
            "destination-unknown": ({}, "c.csv"),
            "not-a-record": ([1], tmp_path / "a.csv"),
        }.items():
            with pytest.raises(UsageError, match=code):
                writer.write(*arguments)
        with pytest.raises(UsageError, match="destination-unknown"):
            writer.write({})
    with pytest.raises(UsageError, match="writer-not-open"):
        writer.write({}, tmp_path / "a.csv")


def test_all_of_a_record_may_be_changed_after_it_was_written(tmp_path):
    nested = {"list": [], "deep": {"n": [0]}}
    with parallel_write(tmp_path / "a.jsonl") as writer:
        for number in range(3):
            nested["list"] = [*nested["list"], number]
            nested["deep"]["n"][0] = number
            writer.write(nested)

    assert lines(tmp_path / "a.jsonl") == [{"list": [*range(n + 1)], "deep": {"n": [n]}} for n in range(3)]


@pytest.mark.parametrize("value", [{1}, object(), 3j, {1: 2}, "half \ud83d"], ids=lambda value: type(value).__name__)
def test_a_value_that_no_file_can_hold_is_refused_where_it_is_written(tmp_path, value):
    with parallel_write(tmp_path / "a.jsonl") as writer:
        with pytest.raises(UsageError, match="not-a-record"):
            writer.write({"a": value})
        writer.write({"a": (1, 2)})

    assert lines(tmp_path / "a.jsonl") == [{"a": [1, 2]}]


def test_destinations_are_found_however_they_are_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with parallel_write({1: "a.jsonl", "two": "./b.jsonl"}) as writer:
        writer.write({"n": 1}, 1)
        writer.write({"n": 2}, Path("b.jsonl"))
        writer.write({"n": 3}, tmp_path / "b.jsonl")

    assert writer.rows == {"1": 1, "two": 2}
    with pytest.raises(UsageError, match="open before"), writer:
        pass
    with pytest.raises(UsageError, match="is not a path"):
        parallel_write(None)
