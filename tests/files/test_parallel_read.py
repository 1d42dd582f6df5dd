"""Many sources become one stream: in their order or as they come, bounded, and over when the block ends."""

import io
import itertools
import threading
import warnings

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch import parallel_read
from anabranch.core.errors import SourceError, UsageError
from anabranch.formats.options import ReadOptions
from tests.examples import examples
from tests.held import held, more_than

SOURCES = st.lists(st.lists(st.integers(), max_size=30), max_size=6)
EXAMPLES = examples(40)


def rows(sources):
    return [{"source": number, "n": n} for number, source in enumerate(sources) for n in source]


def by_source(found):
    return sorted(found, key=lambda row: row["source"])  # stable: keeps the order of each source's rows


def open_sources(sources):
    return [iter(rows([[]] * number + [source])) for number, source in enumerate(sources)]


@pytest.fixture
def files(tmp_path):
    """Three files of different formats; the rows of all of them in order."""
    (tmp_path / "a.csv").write_text("n,t\n" + "".join(f"{n},x{n}\n" for n in range(3000)))
    (tmp_path / "b.jsonl").write_text("".join(f'{{"n":{n},"t":"é"}}\n' for n in range(10)))
    (tmp_path / "c.ltsv").write_text("n:00123\tt:y\n")
    expected = [{"n": n, "t": f"x{n}"} for n in range(3000)] + [{"n": n, "t": "é"} for n in range(10)]
    return [tmp_path / name for name in ("a.csv", "b.jsonl", "c.ltsv")], [*expected, {"n": "00123", "t": "y"}]


@EXAMPLES
@given(SOURCES, st.integers(1, 4), st.sampled_from([1, 1000, 1 << 20]))
def test_rows_come_in_the_order_of_the_sources(sources, workers, buffer):
    with parallel_read(open_sources(sources), workers, buffer_bytes=buffer) as reader:
        assert list(reader) == rows(sources)

    assert [(result.rows, result.done) for result in reader.results] == [(len(source), True) for source in sources]


@EXAMPLES
@given(SOURCES, st.integers(1, 4), st.sampled_from([1, 1000, 1 << 20]))
def test_rows_come_as_they_are_ready_each_once(sources, workers, buffer):
    with parallel_read(open_sources(sources), workers, ordered=False, buffer_bytes=buffer) as reader:
        assert by_source(reader) == rows(sources)

    assert [(result.rows, result.done) for result in reader.results] == [(len(source), True) for source in sources]


def test_what_is_ready_does_not_wait_for_a_source_that_blocks():
    go = threading.Event()

    def blocking():
        go.wait()
        yield {"n": "late"}

    with parallel_read([blocking(), [{"n": "a"}, {"n": "b"}]], 2, ordered=False) as reader:
        assert [next(reader), next(reader)] == [{"n": "a"}, {"n": "b"}]
        go.set()
        assert list(reader) == [{"n": "late"}]


@EXAMPLES
@given(SOURCES, st.integers(1, 3), st.integers(1, 7))
def test_batches_hold_the_same_rows(sources, workers, size):
    with parallel_read(open_sources(sources), workers, batches=True, batch_size=size) as reader:
        found = list(reader)

    assert [row for batch in found for row in batch.to_pylist()] == rows(sources)
    assert all(isinstance(batch, pa.RecordBatch) and batch.num_rows <= size for batch in found)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_files_of_any_format_are_read(files, workers):
    paths, expected = files
    with parallel_read(paths, workers) as reader:
        assert list(reader) == expected
    assert [result.rows for result in reader.results] == [3000, 10, 1]

    with parallel_read([str(path) for path in paths], workers, ordered=False, batches=True) as reader:
        assert sorted(map(str, (row for batch in reader for row in batch.to_pylist()))) == sorted(map(str, expected))


def test_one_path_is_a_source_and_options_are_passed(files):
    with parallel_read(files[0][0], options=ReadOptions(infer="none")) as reader:
        assert next(reader) == {"n": "0", "t": "x0"}


@pytest.mark.parametrize("means", ["", "/*[vl]"])
def test_each_file_of_a_folder_or_pattern_is_a_source_of_its_own(files, tmp_path, means):
    with parallel_read(f"{tmp_path}{means}", workers=3) as reader:
        assert list(reader) == files[1]
    assert [(result.source, result.done) for result in reader.results] == [(str(path), True) for path in files[0]]


def test_arrow_sources_are_taken_apart(files):
    table = pa.table({"a": [1, 2, 3]})
    with parallel_read([[table, {"a": 4}], table.to_batches()], batch_size=2, batches=True) as reader:
        assert [batch.to_pylist() for batch in reader] == [
            [{"a": 1}, {"a": 2}], [{"a": 3}], [{"a": 4}], [{"a": 1}, {"a": 2}], [{"a": 3}]
        ]  # fmt: skip
    with parallel_read([[table, {"a": 4}]]) as reader:
        assert [row["a"] for row in reader] == [1, 2, 3, 4]


@pytest.mark.parametrize("workers", [1, 3])
def test_never_more_threads_than_workers(workers):
    names, together, most = set(), itertools.count(), []
    running = threading.Semaphore(workers)

    def source():
        assert running.acquire(blocking=False)
        names.add(threading.current_thread())
        yield next(together)
        most.append(len(names))
        running.release()

    with parallel_read((source() for _ in range(20)), workers, buffer_bytes=1) as reader:
        assert len(list(reader)) == 20
        assert sum(thread.name == "anabranch-read" for thread in threading.enumerate()) <= workers

    assert most[-1] <= workers


@pytest.mark.parametrize("ordered", [True, False])
def test_sources_are_not_read_farther_than_the_buffer(ordered):
    read = itertools.count()
    workers, limit = 2, 20

    def source():
        for _ in range(1000):
            yield {"n": next(read)}

    def endless():
        while True:
            yield source()

    with parallel_read(endless(), workers, ordered, buffer_bytes=256 * limit) as reader:
        for taken in range(1, 300):
            next(reader)
            ahead = next(read) - taken
            assert ahead <= limit + 2 * workers + taken  # `next(read)` counts, too


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_names_its_source_and_stops_the_others(ordered, workers):
    def endless():
        while True:
            yield {"n": 1}

    def failing():
        yield from ()
        raise KeyError("gone")

    before = held()
    sources = [failing(), endless(), endless()] if workers == 1 else [endless(), endless(), failing()]
    with parallel_read(sources, workers, ordered, buffer_bytes=10_000) as reader:
        with pytest.raises(SourceError, match="gone") as caught:
            for _ in reader:
                pass
        with pytest.raises(SourceError):
            next(reader)

    number = sources.index(next(source for source in sources if source.__name__ == "failing"))
    assert caught.value.part == f"source {number + 1}"
    assert isinstance(caught.value.__cause__, KeyError)
    assert [result.error is not None for result in reader.results][number]
    assert not more_than(before, kind="thread")


def test_a_missing_or_damaged_file_is_named(files, tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"n":1}\n{"n":')
    for path in (tmp_path / "bad.jsonl", tmp_path / "missing.csv"):
        with parallel_read([files[0][1], path]) as reader, pytest.raises((SourceError, UsageError)) as caught:
            list(reader)
        assert path.name in str(caught.value)


def test_an_error_of_the_list_of_sources_is_raised():
    def sources():
        yield [1, 2]
        raise OSError("no listing")

    with parallel_read(sources(), 2) as reader, pytest.raises(OSError, match="no listing"):
        list(reader)


@pytest.mark.parametrize("ordered", [True, False])
def test_closing_early_gives_back_threads_and_files(files, ordered):
    before = held()
    with parallel_read(files[0] * 5, 3, ordered, buffer_bytes=1000) as reader:
        next(reader)

    assert not more_than(before, settle=0)
    with pytest.raises(UsageError, match="reader-not-open"):
        next(reader)


def test_the_error_of_the_block_is_kept(files):
    before = held()
    with pytest.raises(ZeroDivisionError), parallel_read(files[0], 2) as reader:
        1 / len(list(reader)[:0])

    assert not more_than(before, settle=0)


def test_a_source_that_blocks_does_not_block_the_end():
    go = threading.Event()

    def blocking():
        yield 1
        go.wait()

    before = held()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with parallel_read([blocking()], 1, close_seconds=0.1) as reader:
            assert next(reader) == 1
    assert [warning.category for warning in caught] == [ResourceWarning]

    go.set()
    assert not more_than(before, kind="thread")


def test_closing_from_another_thread_ends_the_wait():
    go = threading.Event()

    def blocking():
        go.wait()
        yield 1

    with parallel_read([blocking()], 1, close_seconds=0) as reader:
        timer = threading.Timer(0.1, reader.close)
        timer.start()
        with pytest.warns(ResourceWarning), pytest.raises(UsageError, match="reader-not-open"):
            next(reader)
        timer.join()
        go.set()


def test_no_sources_give_no_rows():
    with parallel_read([]) as reader:
        assert list(reader) == []
    with parallel_read(iter([]), 3) as reader:
        assert list(reader) == []


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"batch_size": 0}, {"buffer_bytes": -1}])
def test_arguments_that_cannot_be_are_refused(wrong):
    with pytest.raises(UsageError, match="bad-argument"):
        parallel_read([], **wrong)


def test_a_reader_is_used_in_a_block():
    with pytest.raises(UsageError, match="`with` block"):
        next(iter(parallel_read([[1]])))


def test_bad_rows_cannot_be_set_aside_and_that_is_said_before_anything_is_read(files):
    with pytest.raises(UsageError, match="on_bad_row"):
        parallel_read(files[0], options=ReadOptions(on_bad_row="quarantine"))


def test_a_source_may_fill_the_same_dictionary_again():
    row = {}

    with parallel_read([(row.update(n=number) or row for number in range(50))]) as reader:
        assert list(reader) == [{"n": number} for number in range(50)]


@pytest.mark.parametrize("batches", [False, True])
def test_tables_and_frames_are_sources_of_their_rows(batches):
    table = pa.table({"n": [1, 2]})

    for sources in (table, [table], [table.to_batches()[0]], [table.to_pandas()]):
        with parallel_read(sources, batches=batches) as reader:
            rows = [row for item in reader for row in (item.to_pylist() if batches else [item])]

        assert rows == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    "sources",
    [None, 5, b"a.csv", {"name": "a.csv"}, [{"n": 1}], [None], [b"a.csv"], [["a.csv"]], [io.StringIO("a,b")]],
)
def test_what_is_no_source_of_records_is_refused_not_taken_apart(sources):
    with (
        pytest.raises(UsageError, match=r"is not a source|is not a record"),
        parallel_read(sources, 1) as reader,
    ):
        list(reader)


@pytest.mark.parametrize("on_empty", ["skip", "fail"])
def test_an_empty_file_has_no_rows_unless_it_shall_fail(tmp_path, on_empty):
    (tmp_path / "a.csv").touch()
    (tmp_path / "b.csv").write_text("n\n1\n")
    sources = [tmp_path / "a.csv", tmp_path / "b.csv"]

    with parallel_read(sources, 2, options=ReadOptions(on_empty=on_empty)) as reader:
        if on_empty == "skip":
            assert list(reader) == [{"n": 1}]
            assert [(one.rows, one.done) for one in reader.results] == [(0, True), (1, True)]
        else:
            with pytest.raises(SourceError, match="empty-source"):
                list(reader)


def test_a_reader_is_used_once_and_options_are_readoptions():
    with pytest.raises(UsageError, match="options is a dict"):
        parallel_read([], options={"delimiter": ";"})
    reader = parallel_read([])
    with reader:
        assert list(reader) == []
    with pytest.raises(UsageError, match="open before"), reader:
        pass
