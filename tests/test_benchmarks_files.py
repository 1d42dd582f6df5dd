"""The benchmark of files gives equal files to programs that do equal work, and notices when they do not."""

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks import files, files_rounds
from benchmarks.files_check import contained
from benchmarks.files_data import write
from benchmarks.files_kinds import ORDERS, SCHEMAS, TARGETS
from benchmarks.files_others import PROGRAMS
from benchmarks.files_page import ALL, ENGINE, LOOP, ONE, TITLES, WHOLE, Task, Timing, even_part, page, part
from benchmarks.files_page import PROGRAMS as MODULES
from benchmarks.files_rounds import Measured, measured
from benchmarks.files_rows import UNABLE, UNTYPED, Row, rows
from benchmarks.measure import Usage

MB = 0.02
INSTALLED = [name for name in PROGRAMS if find_spec(MODULES[name])]
ABLE = [(name, kind) for name in INSTALLED for kind in TARGETS if kind not in UNABLE.get(name, ())]
TINY = {
    "files": 2,
    "slow_files": 1,
    "file_mb": MB,
    "csv_mb": MB,
    "large_mb": MB,
    "json_mb": MB,
    "slow_mb": MB / 2,
    "records": 100,
}


@pytest.mark.parametrize(("name", "kind"), ABLE)
def test_a_program_writes_what_the_files_hold(name, kind, tmp_path):
    (tmp_path / "out").mkdir()
    source = tmp_path / f"orders-00.{files.EXTENSIONS.get(kind, kind)}"
    content = write(kind, source, MB).content

    PROGRAMS[name](kind)([source], tmp_path / "out", SCHEMAS[kind])

    typed = name != "iterabledata" or kind not in UNTYPED
    assert contained(tmp_path / "out", SCHEMAS[kind] if typed else None) == (content if typed else (content.rows, 0))


@pytest.mark.soak  # starts a process for each row
@pytest.mark.parametrize("kind", ["csv.gz", "records"])
def test_ours_is_measured_beside_the_others_on_the_same_files(kind, tmp_path):
    whole, small = files.samples(tmp_path, kind, argparse.Namespace(**TINY))
    contenders = rows(kind, ["pyarrow"])
    contenders.pop(WHOLE)  # which needs a server

    found = measured(contenders, whole, small, 1)

    assert found.keys() == contenders.keys()
    assert all(0 < row.inner < row.usage.wall for row in found.values())


def test_the_rows_are_ours_and_what_is_installed_and_able():
    assert list(rows("csv-infer", ["pyarrow", "duckdb"])) == [ENGINE, WHOLE, "duckdb"]
    assert list(rows("flat", ["iterabledata", "dask"])) == [ENGINE, ALL, WHOLE, "iterabledata", "dask"]
    assert list(rows("records", ["duckdb", "iterabledata"])) == [ENGINE, WHOLE, LOOP, "iterabledata"]


@pytest.mark.parametrize("task", TITLES)
def test_what_takes_minutes_is_measured_with_less(task):
    slow = {"iterabledata": True, "polars": task == "csv-infer"}

    measured_with_less = [name for name, row in rows(task, INSTALLED).items() if row.slow]
    assert measured_with_less == [name for name in INSTALLED if slow.get(name)]


@pytest.fixture(scope="module")
def parquet(tmp_path_factory):
    """A sample of Parquet which is to be converted to Parquet as if it were CSV."""
    return files.sample(tmp_path_factory.mktemp("parquet"), "parquet", 1, MB)._replace(kind="csv")


def _program(code):
    return Row(lambda sample, output: [sys.executable, "-c", code, sample.sources[0], str(output)])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("table.slice(1)", id="a row less", marks=pytest.mark.soak),
        pytest.param("table.set_column(0, 'id', pa.array([7] * len(table)))", id="other values"),
        pytest.param(
            "table.set_column(0, 'id', table['id'].cast(pa.string()))", id="another type", marks=pytest.mark.soak
        ),
    ],
)
def test_a_program_that_writes_something_else_ends_the_benchmark(change, parquet):
    code = (
        "import sys, pyarrow as pa, pyarrow.parquet as pq; table = pq.read_table(sys.argv[1]); "
        f"pq.write_table({change}, sys.argv[2] + '/a.parquet'); print(1)"
    )

    with pytest.raises(SystemExit, match="another wrote"):
        measured({"another": _program(code)}, parquet, parquet, 1)


OUTLINE = (100, 10_000)


@pytest.mark.parametrize("other", [(99, 10_000), (101, 10_000), (100, 10_200), (100, 9_800)])
def test_a_later_round_with_other_rows_or_another_size_ends_the_benchmark(other):
    files_rounds._require_alike("another", OUTLINE, (100, 10_050))

    with pytest.raises(SystemExit, match="another wrote"):
        files_rounds._require_alike("another", OUTLINE, other)


def test_every_program_does_the_small_file_before_its_rounds(parquet, tmp_path):
    code = (
        f"import sys, shutil, pathlib; pathlib.Path({str(tmp_path)!r}, 'done').open('a').write(sys.argv[1] + chr(10)); "
        "shutil.copy(sys.argv[1], sys.argv[2]); print(1)"
    )

    found = measured({"another": _program(code)}, parquet, parquet, 2)

    assert (tmp_path / "done").read_text().splitlines() == [parquet.few, *parquet.sources * 2]
    assert found["another"].written == Path(parquet.sources[0]).stat().st_size


def test_the_records_that_the_function_shall_make_are_known_beforehand(tmp_path):
    whole, small = files.samples(tmp_path, "records", argparse.Namespace(**TINY))

    assert measured({LOOP: rows("records", [])[LOOP]}, whole, small, 1).keys() == {LOOP}


def test_files_are_the_same_in_every_run_and_each_holds_other_rows(tmp_path):
    first, again, other = (write("csv", tmp_path / name, MB, seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))

    assert first == again
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert first.content.rows == other.content.rows
    assert first.content.digest != other.content.digest


def test_one_comment_in_a_hundred_has_quoted_line_breaks(tmp_path):
    write("csv", tmp_path / "a.csv", 0.5)

    quoted = (tmp_path / "a.csv").read_text().count('""so""\n') / 2

    assert 20 < quoted < 100


TASK = Task("csv", 1, 100, 1_000_000)


def timing(wall, cpu, peak, inner, measured_with=100):
    return Timing(Usage(wall, cpu, peak), inner, measured_with, 40_000_000)


def test_a_part_shows_what_was_measured_with_less_and_how_far_we_are_from_our_aims():
    found = {
        ENGINE: timing(3, 4, 100_000_000, 2),
        ALL: timing(4, 5, 100_000_000, 3),
        WHOLE: timing(8, 9, 200_000_000, None),
        "iterabledata": timing(84, 80, 300_000_000, 80, measured_with=10),
        "duckdb": timing(2.2, 4, 200_000_000, 2),
        "polars": timing(6, 4, 200_000_000, 5),
    }

    text = part(TASK, found, "this machine")

    assert "| one CSV to Parquet: one file, 100 MB, 1,000,000 rows | work s |" in text
    assert f"| {ENGINE} | 2.00 | 3.00 | 4.00 | 100 | 40.0 | 50.0 | 1.00 |" in text
    assert f"| {WHOLE} |  | 8.00 | 9.00 | 200 | 40.0 | 12.5 | 4.00 |" in text
    assert "| iterabledata (measured with 10 MB, scaled) | 80.00 | 84.00 | 80.00 | 300 | 40.0 | 1.2 | 40.00 |" in text
    assert "the engine is 40.0 times as fast, the whole command 10.5 times, duckdb 40.0 times." in text
    assert "The command takes 6.00 s more than the engine" in text
    assert f"1.00 ({ENGINE}), 1.50 ({ALL})." in text
    assert text.endswith("this machine\n")


def test_a_part_shows_from_which_size_on_threads_help():
    found = {ONE: timing(3, 4, 0, 0.5), ENGINE: timing(3, 4, 0, 0.25), WHOLE: timing(3, 4, 0, None)}

    assert "| 4 | 0.500 | 0.250 | 2.00 | 3.00 |" in even_part({4: found}, "this machine")


def test_a_later_run_replaces_only_the_parts_of_its_own_tasks():
    first = page("", {"nested": "old nested\n", "csv.gz": "packed\n"})

    second = page(first, {"nested": "new nested\n", "csv-infer": "inferred\n", "break-even": "even\n"})

    names = ["csv.gz", "csv-infer", "nested", "break-even"]
    texts = ["packed", "inferred", "new nested", "even"]
    assert second.startswith("## convert-files\n")
    assert second.partition("<!-- csv.gz -->")[0] == first.partition("<!-- csv.gz -->")[0]
    assert [line for line in second.splitlines() if line.startswith("<!--")] == [f"<!-- {name} -->" for name in names]
    assert [line for line in second.splitlines() if line in (*texts, "old nested")] == texts


def test_a_part_that_is_written_again_is_the_same():
    once = page("", {"flat": "| a |\n\nMedians\n"})

    assert page(once, {"flat": "| a |\n\nMedians\n"}) == page(once, {}) == once


def test_a_row_that_was_measured_with_less_keeps_its_start_and_gets_more_work():
    scaled = files_rounds._scaled([Measured(Usage(3, 1.5, 7), 2, (10, 50))] * 2, 100, 10)

    assert scaled == Timing(Usage(21, 10.5, 7), 20, 10, 500)


def test_the_schema_that_every_program_is_told_is_in_a_file_for_ours(parquet):
    assert [field["name"] for field in json.loads(Path(parquet.schema).read_text())] == ORDERS.names
