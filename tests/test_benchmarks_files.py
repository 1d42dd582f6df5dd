"""The benchmark of files gives equal files to programs that do equal work, and notices when they do not."""

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks import files
from benchmarks.files_data import contained, content_of, orders, write
from benchmarks.files_kinds import ORDERS, SCHEMAS, TARGETS
from benchmarks.files_others import PROGRAMS
from benchmarks.files_page import ALL, ENGINE, LOOP, ONE, WHOLE, Task, Timing, page
from benchmarks.files_page import PROGRAMS as MODULES
from benchmarks.measure import Usage

MB = 0.02
INSTALLED = [name for name in PROGRAMS if find_spec(MODULES[name])]
ABLE = [(name, kind) for name in INSTALLED for kind in TARGETS if kind not in files.UNABLE.get(name, ())]
TINY = {"files": 2, "slow_files": 1, "file_mb": MB, "csv_mb": MB, "json_mb": MB, "slow_mb": MB / 2, "records": 100}


@pytest.mark.parametrize(("name", "kind"), ABLE)
def test_a_program_writes_what_the_files_hold(name, kind, tmp_path):
    (tmp_path / "out").mkdir()
    source = tmp_path / f"orders-00.{files.EXTENSIONS.get(kind, kind)}"
    content = write(kind, source, MB)

    PROGRAMS[name](kind)([source], tmp_path / "out", SCHEMAS[kind])

    typed = name != "iterabledata" or kind not in files.UNTYPED
    assert contained(tmp_path / "out", SCHEMAS[kind] if typed else None) == (content if typed else (content.rows, 0))


@pytest.mark.soak  # starts a process for each row
@pytest.mark.parametrize("kind", ["csv.gz", "records"])
def test_ours_is_measured_beside_the_others_on_the_same_files(kind, tmp_path):
    whole, small = files.samples(tmp_path, kind, argparse.Namespace(**TINY))
    contenders = files.rows(kind, ["pyarrow"])
    contenders.pop(WHOLE)  # which needs a server

    found = files.measured(contenders, whole, small, 1)

    assert found.keys() == contenders.keys()
    assert all(0 < row.inner < row.usage.wall for row in found.values())


def test_the_rows_are_ours_and_what_is_installed_and_able():
    assert list(files.rows("csv-infer", ["pyarrow", "duckdb"])) == [ENGINE, WHOLE, "duckdb"]
    assert list(files.rows("flat", ["iterabledata", "dask"])) == [ENGINE, ALL, WHOLE, "iterabledata", "dask"]
    assert list(files.rows("records", ["duckdb"])) == [ENGINE, WHOLE, LOOP]


@pytest.fixture(scope="module")
def parquet(tmp_path_factory):
    """A sample of Parquet of which, as if it were CSV, Parquet shall come."""
    return files.sample(tmp_path_factory.mktemp("parquet"), "parquet", 1, MB)._replace(kind="csv")


def _program(code):
    return files.Row(lambda sample, output: [sys.executable, "-c", code, sample.sources[0], str(output)])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("table.slice(1)", id="a row less"),
        pytest.param("table.set_column(0, 'id', pa.array([7] * len(table)))", id="other values"),
        pytest.param("table.set_column(0, 'id', table['id'].cast(pa.string()))", id="another type"),
    ],
)
def test_a_program_that_writes_something_else_ends_the_benchmark(change, parquet):
    code = (
        "import sys, pyarrow as pa, pyarrow.parquet as pq; table = pq.read_table(sys.argv[1]); "
        f"pq.write_table({change}, sys.argv[2] + '/a.parquet'); print(1)"
    )

    with pytest.raises(SystemExit, match="another wrote"):
        files.measured({"another": _program(code)}, parquet, parquet, 1)


def test_files_are_the_same_in_every_run_and_each_holds_other_rows(tmp_path):
    first, again, other = (write("csv", tmp_path / name, MB, seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))

    assert first == again
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert first.rows == other.rows
    assert first.digest != other.digest


def test_a_digest_tells_values_and_the_rows_they_stand_in_but_not_the_rows_order():
    rows = orders(0, 50, 0)
    elsewhere = rows.set_column(0, "id", pa.chunked_array([rows["id"].combine_chunks()[::-1]]))

    assert content_of(rows.take(list(range(49, -1, -1))), ORDERS) == content_of(rows, ORDERS)
    assert content_of(elsewhere, ORDERS) != content_of(rows, ORDERS)


def test_one_comment_in_a_hundred_has_quoted_line_breaks(tmp_path):
    write("csv", tmp_path / "a.csv", 0.5)

    quoted = (tmp_path / "a.csv").read_text().count('""so""\n') / 2

    assert 20 < quoted < 100


USAGE = Usage(3, 4, 100_000_000)
TASK = Task("csv", 1, 100, 1_000_000)


def test_the_page_shows_what_was_measured_with_less_and_how_far_we_are_from_our_aims():
    rows = {
        ENGINE: Timing(Usage(3, 4, 100_000_000), 2, 100),
        ALL: Timing(Usage(4, 5, 100_000_000), 3, 100),
        WHOLE: Timing(Usage(8, 9, 200_000_000), None, 100),
        "iterabledata": Timing(Usage(84, 80, 300_000_000), 80, 10),
        "duckdb": Timing(Usage(2.2, 4, 200_000_000), 2, 100),
        "polars": Timing(Usage(6, 4, 200_000_000), 5, 100),
    }

    text = page({TASK: rows}, {}, ["dask"], 3, "this machine")

    assert "| one CSV to Parquet: one file, 100 MB, 1,000,000 rows | work s |" in text
    assert f"| {ENGINE} | 2.00 | 3.00 | 4.00 | 100 | 50.0 | 1.00 |" in text
    assert f"| {WHOLE} |  | 8.00 | 9.00 | 200 | 12.5 | 4.00 |" in text
    assert "| iterabledata (measured with 10 MB, scaled) | 80.00 | 84.00 | 80.00 | 300 | 1.2 | 40.00 |" in text
    assert "Beside iterabledata the engine is 40.0 times as fast, the whole command 10.5 times." in text
    assert f"1.00 ({ENGINE}), 1.50 ({ALL})." in text
    assert "Not installed, so left out: dask." in text


def test_the_page_shows_from_which_size_on_threads_help():
    rows = {
        ONE: Timing(USAGE, 0.5, 4),
        ENGINE: Timing(USAGE, 0.25, 4),
        WHOLE: Timing(USAGE, None, 4),
    }

    assert "| 4 | 0.500 | 0.250 | 2.00 | 3.00 |" in page({}, {4: rows}, [], 3, "this machine")


def test_a_row_that_was_measured_with_less_keeps_its_start_and_gets_more_work():
    scaled = files._scaled([(Usage(3, 1.5, 7), 2), (Usage(3, 1.5, 7), 2)], 100, 10)

    assert scaled == Timing(Usage(21, 10.5, 7), 20, 10)


def test_the_schema_that_every_program_is_told_is_in_a_file_for_ours(parquet):
    assert [field["name"] for field in json.loads(Path(parquet.schema).read_text())] == ORDERS.names
