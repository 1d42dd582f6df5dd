"""What a conversion promises, whatever the blocks, the parts and the order in which they are done."""

import csv
import gzip
import io
import json
import os
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.core.errors import TemporaryError
from anabranch.core.parts import Job
from anabranch.files.manifest import read_record
from anabranch.files.options import ConvertOptions
from anabranch.files.preview import check, preview
from anabranch.files.work import work
from anabranch.formats.catalogue import load
from tests.examples import examples
from tests.files.converting import convert, cut_small

CELLS = st.text(st.sampled_from('ab"\n\r,; é0'), max_size=6)
SOME = examples(25)


def csv_text(rows) -> bytes:
    """Write rows; the writer that ends lines by CR LF is the one that puts quotes around a lone CR, too."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode()


@pytest.fixture
def numbers(tmp_path) -> Path:
    """A file of 2,000 rows: an integer, a text, a double."""
    path = tmp_path / "numbers.csv"
    path.write_bytes(csv_text([("id", "name", "amount"), *((i, f"n{i % 7}", i / 4) for i in range(2000))]))
    return path


def table(path: Path) -> pa.Table:
    return pq.read_table(path)


@SOME
@given(
    rows=st.lists(st.tuples(st.integers(0, 10**6), CELLS), min_size=1, max_size=60),
    to=st.sampled_from(["parquet", "csv.gz", "jsonl", "json.zst", "arrow"]),
    block=st.integers(20, 400),
    seed=st.integers(0, 99),
)
def test_any_blocks_parts_and_order_give_the_same_rows_and_any_parts_the_same_bytes(
    tmp_path_factory, rows, to, block, seed
):
    folder = tmp_path_factory.mktemp("any")
    source = folder / "some.csv"
    source.write_bytes(csv_text([("id", "text"), *rows]))
    convert(source, folder / "whole", work_dir=folder / "w", to="parquet", on_conflict="string")

    with pytest.MonkeyPatch.context() as patch:
        cut_small(patch, block, part_seconds=1e-4)
        for name, threads in (("one", 1), ("many", 9)):
            convert(
                source, folder / name, work_dir=folder / "w", threads=threads, order=random.Random(seed), to=to,
                on_conflict="string",
            )  # fmt: skip
            convert(
                source, folder / f"{name}.p", work_dir=folder / "w", threads=threads, to="parquet", on_conflict="string"
            )

    assert (folder / f"one/some.{to}").read_bytes() == (folder / f"many/some.{to}").read_bytes()
    assert table(folder / "one.p/some.parquet").equals(table(folder / "whole/some.parquet"))


def test_a_late_value_widens_the_column_as_if_all_had_been_read_first(tmp_path, monkeypatch):
    cut_small(monkeypatch, 2000, part_seconds=1e-3)
    values = [*range(3000), 0.5, *range(100)]
    source = tmp_path / "late.csv"
    source.write_bytes(csv_text([("n", "big"), *((value, 1) for value in values), (7, 12345678901234567890123)]))

    convert(source, tmp_path / "out", work_dir=tmp_path / "w", threads=4)
    found = table(tmp_path / "out/late.parquet")

    assert found.schema.types == [pa.float64(), pa.decimal128(38, 0)]
    assert found.column("n").to_pylist() == [*map(float, values), 7.0]
    assert str(found.column("big")[-1].as_py()) == "12345678901234567890123"


@pytest.mark.parametrize("threads", [1, 5])
def test_a_conflict_names_source_row_column_value_and_both_types(tmp_path, monkeypatch, threads):
    cut_small(monkeypatch, 3000, part_seconds=1e-3)
    source = tmp_path / "conflict.csv"
    source.write_bytes(csv_text([("id", "qty"), *((i, i) for i in range(5000)), (5000, "abc"), (5001, "xyz")]))

    report = convert(source, tmp_path / "out", work_dir=tmp_path / "w", threads=threads)
    (error,) = report.errors

    assert (error.part, error.code) == ("conflict.csv", "type-conflict")
    for word in ("row 5001", "'qty'", "'abc'", "string", "int64"):
        assert word in error.reason
    assert not (tmp_path / "out/conflict.parquet").exists()


def test_on_conflict_string_keeps_every_text_as_it_stands(tmp_path, monkeypatch):
    cut_small(monkeypatch, 3000, part_seconds=1e-3)
    source = tmp_path / "mixed.csv"
    source.write_bytes(csv_text([("qty",), *((i,) for i in range(5000)), ("abc",), ("007",)]))

    convert(source, tmp_path / "out", work_dir=tmp_path / "w", threads=4, on_conflict="string")

    assert table(tmp_path / "out/mixed.parquet").column("qty").to_pylist() == [*map(str, range(5000)), "abc", "007"]


@pytest.mark.parametrize("threads", [1, 6])
def test_rows_that_do_not_fit_are_set_aside_with_their_number_place_and_text(tmp_path, monkeypatch, threads):
    cut_small(monkeypatch, 1000, part_seconds=1e-3)
    lines = [b"id,qty", *(b"%d,%d" % (i, i) for i in range(3000))]
    lines[1500], lines[2900] = b"1499,only,three", b"2899,abc"
    source = tmp_path / "bad.csv"
    source.write_bytes(b"\n".join(lines) + b"\n")

    report = convert(source, tmp_path / "out", work_dir=tmp_path / "w", threads=threads, on_bad_row="quarantine")
    aside = [json.loads(line) for line in (tmp_path / "out/bad.parquet.quarantine.jsonl").read_text().splitlines()]

    assert [row["row"] for row in aside] == [1500, 2900]
    assert [row["byte"] for row in aside] == [sum(len(line) + 1 for line in lines[:n]) for n in (1500, 2900)]
    assert [row["raw"].strip() for row in aside] == ["1499,only,three", "2899,abc"]
    assert (aside[1]["column"], aside[1]["value"], aside[1]["expected"]) == ("qty", "abc", "int64")
    assert table(tmp_path / "out/bad.parquet").num_rows == 2998
    assert report.items["rows_set_aside"] == 2
    assert not report.errors


def test_a_bad_row_is_told_with_its_number_and_nothing_is_written(tmp_path, monkeypatch):
    cut_small(monkeypatch, 1000, part_seconds=1e-3)
    lines = [b"id,qty", *(b"%d,%d" % (i, i) for i in range(3000))]
    lines[2001] = b"2000"
    source = tmp_path / "bad.csv"
    source.write_bytes(b"\n".join(lines))

    report = convert(source, tmp_path / "out", work_dir=tmp_path / "w", threads=3)

    assert report.errors[0].code == "bad-row"
    assert "row 2001" in report.errors[0].reason
    assert not (tmp_path / "out/bad.parquet").exists()


def test_one_bad_file_stops_no_other(tmp_path, numbers):
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(csv_text([("a",), *((i,) for i in range(9999))]))[:-3000])
    (tmp_path / "empty.csv").write_bytes(b"")

    report = convert([tmp_path / "cut.csv.gz", tmp_path / "empty.csv", numbers], tmp_path / "out", work_dir=tmp_path)

    assert table(tmp_path / "out/numbers.parquet").num_rows == 2000
    assert [error.part for error in report.errors] == ["cut.csv.gz"]
    assert [error.code for error in report.errors] == ["source-damaged"]
    assert any("empty.csv is empty" in warning for warning in report.warnings)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.json", "numbers.parquet"]


def test_a_file_that_gets_out_of_reach_fails_no_other_file_of_its_part(tmp_path, numbers, monkeypatch):
    gone = tmp_path / "gone.csv"
    gone.write_bytes(b"a\n1\n")

    def reaching(part):
        if any(load(part.catalogue).files[piece.file].source.label == gone.name for piece in part.pieces):
            raise TemporaryError("source-unreachable", "no server answers", "Check the network.", gone.name)
        return work(part)

    monkeypatch.setattr("anabranch.files.way.work", reaching)
    report = convert([gone, numbers], tmp_path / "out", work_dir=tmp_path / "w")

    assert [(error.code, error.part) for error in report.errors] == [("source-unreachable", "gone.csv")]
    assert table(tmp_path / "out" / "numbers.parquet").num_rows == 2000


def test_records_without_any_field_fail_their_file_alone(tmp_path, numbers):
    (tmp_path / "none.jsonl").write_bytes(b"{}\n{}\n")

    report = convert([tmp_path / "none.jsonl", numbers], tmp_path / "out", work_dir=tmp_path / "w")

    assert [(error.code, error.part) for error in report.errors] == [("no-columns", "none.jsonl")]
    assert report.items["converted"] == 1


def test_a_record_that_is_always_empty_is_text_except_in_json(tmp_path):
    lines = '{"a":{},"b":[{},null],"c":{"d":{},"e":1}}\n{"a":null,"b":null,"c":null}\n'
    (tmp_path / "some.jsonl").write_text(lines)

    for to in ("jsonl", "parquet", "csv"):
        convert(tmp_path / "some.jsonl", tmp_path / "out", work_dir=tmp_path / "w", to=to)

    assert (tmp_path / "out/some.jsonl").read_text() == lines
    assert table(tmp_path / "out/some.parquet").to_pylist() == [
        {"a": "{}", "b": ["{}", None], "c": {"d": "{}", "e": 1}},
        {"a": None, "b": None, "c": None},
    ]
    assert (tmp_path / "out/some.csv").read_text().splitlines()[1].startswith('"{}",')


def test_a_second_run_converts_only_what_changed(tmp_path, numbers):
    other = tmp_path / "other.csv"
    other.write_bytes(b"a\n1\n")
    out = tmp_path / "out"

    def run(**options):
        report = convert([numbers, other], out, work_dir=tmp_path / "w", **options)
        return report.items["converted"], report.items["unchanged"]

    assert run() == (2, 0)
    assert run() == (0, 2)
    other.write_bytes(b"a\n1\n2\n")
    assert run() == (1, 1)
    (out / "numbers.parquet").unlink()
    assert run() == (1, 1)
    (out / "other.parquet").write_bytes(b"not ours")
    assert run() == (1, 1)
    assert run(compression="snappy") == (2, 0)
    assert run(compression="snappy", refresh=True) == (2, 0)
    assert table(out / "other.parquet").num_rows == 2


def test_combined_sources_share_one_schema(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"id,n\n1,5\n")
    (tmp_path / "b.csv").write_bytes(b"id,n,more\n2,0.5,x\n")
    (tmp_path / "c.jsonl").write_bytes(b'{"more": "y", "id": 3}\n')

    sources = [tmp_path / name for name in ("a.csv", "b.csv", "c.jsonl")]
    convert(sources, tmp_path / "all.parquet", work_dir=tmp_path / "w", combine=True)

    assert table(tmp_path / "all.parquet").to_pylist() == [
        {"id": 1, "n": 5.0, "more": None},
        {"id": 2, "n": 0.5, "more": "x"},
        {"id": 3, "n": None, "more": "y"},
    ]


def test_combined_a_second_run_has_nothing_to_do_though_one_source_is_empty(tmp_path, numbers):
    (tmp_path / "none.csv").touch()

    def run():
        sources = [tmp_path / "none.csv", numbers]
        report = convert(sources, tmp_path / "all.parquet", work_dir=tmp_path / "w", combine=True)
        return report.items["converted"], report.items["unchanged"]

    assert [run(), run()] == [(1, 0), (0, 1)]
    (tmp_path / "none.csv").write_bytes(b"id\n1\n")
    assert run() == (2, 0)


def test_combined_a_source_that_fails_leaves_no_half_output(tmp_path, numbers):
    (tmp_path / "bad.csv").write_bytes(b'a\n"open\n')

    report = convert([numbers, tmp_path / "bad.csv"], tmp_path / "all.csv", work_dir=tmp_path, to="csv", combine=True)

    assert report.errors[0].code == "unclosed-quote"
    assert not (tmp_path / "all.csv").exists()


def test_delimited_text_becomes_delimited_text_cell_by_cell(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'id,zip,n\r\n1,00123,1.50\r\n2,"",\r\n3,"a ""b""\nc",1e3\r\n')

    convert(tmp_path / "a.csv", tmp_path / "out", work_dir=tmp_path / "w", to="tsv")

    assert list(csv.reader((tmp_path / "out/a.tsv").open(newline=""), delimiter="\t")) == [
        ["id", "zip", "n"], ["1", "00123", "1.50"], ["2", "", ""], ["3", 'a "b"\nc', "1e3"],
    ]  # fmt: skip


def test_the_record_says_what_each_output_was_made_of(tmp_path, numbers):
    convert(numbers, tmp_path / "out", work_dir=tmp_path / "w")
    (entry,) = read_record(tmp_path / "out/manifest.json").outputs

    assert (entry.rows, entry.size) == (2000, (tmp_path / "out/numbers.parquet").stat().st_size)
    assert [column["name"] for column in entry.columns] == ["id", "name", "amount"]
    assert entry.sources[0].dialect["delimiter"] == ","


def test_the_record_forgets_errors_that_are_mended_though_nothing_else_is_to_do(tmp_path, numbers):
    bad, out = tmp_path / "bad.csv", tmp_path / "out"
    bad.write_text("a\n1,2\n")
    convert(tmp_path / "*.csv", out, work_dir=tmp_path / "w")
    assert [error.code for error in read_record(out / "manifest.json").errors] == ["bad-row"]

    bad.unlink()
    assert convert(tmp_path / "*.csv", out, work_dir=tmp_path / "w").status == "nothing_to_do"

    record = read_record(out / "manifest.json")
    assert record.errors == []
    assert [Path(entry.output).name for entry in record.outputs] == ["numbers.parquet"]


def test_a_name_that_is_no_utf8_stops_nothing_and_its_output_is_known_again(tmp_path, numbers):
    odd = numbers.with_name(os.fsdecode(b"od\xffd\n.csv"))
    odd.write_bytes(numbers.read_bytes())
    first, second = (convert([numbers, odd], tmp_path / "out", work_dir=tmp_path / "w") for _ in range(2))

    assert first.items["converted"] == second.items["unchanged"] == 2
    assert (tmp_path / "out" / os.fsdecode(b"od\xffd\n.parquet")).read_bytes().startswith(b"PAR1")
    job = Job([str(numbers), str(odd)], str(tmp_path / "out"), ConvertOptions(), tmp_path / "w", 1)
    assert f"{tmp_path}/out/od\\xffd\\n.parquet" in [text for _, text in preview(job).notes()]


def test_a_warning_names_its_file(tmp_path):
    for name in ("a.csv", "b.csv.gz"):
        (tmp_path / name).write_text("a,\n1,2\n")
    report = convert([tmp_path / "a.csv", tmp_path / "b.csv.gz"], tmp_path / "out", work_dir=tmp_path / "w")

    assert [warning.partition(": ")[0] for warning in report.warnings] == ["a.csv", "b.csv.gz", "b.csv.gz"]


def test_work_files_of_what_is_published_are_gone(tmp_path, numbers):
    convert(numbers, tmp_path / "out", work_dir=tmp_path / "w")

    assert [path.suffix for path in (tmp_path / "w").rglob("*") if path.is_file()] == [".catalogue"]


@pytest.mark.parametrize("to_end", [b"%d\n", b'{"x":%d}\n'], ids=["csv", "jsonl"])
@pytest.mark.parametrize("policy", ["fail", "widen", "string"])
def test_the_types_do_not_depend_on_which_blocks_are_parsed_in_one_go(tmp_path, monkeypatch, policy, to_end):
    """A block of huge integers fits doubles where it follows some, and needs a decimal where it is alone."""
    one, half = to_end % 1, to_end.replace(b"%d", b"1.5")
    source = tmp_path / ("numbers.csv" if to_end == b"%d\n" else "numbers.jsonl")
    source.write_bytes((b"x\n" if source.suffix == ".csv" else b"") + one * 1500 + half * 500 + to_end % 10**20 * 200)
    found = []
    for seconds in (1e-9, 1e9):
        cut_small(monkeypatch, 1000, part_seconds=seconds)
        output = tmp_path / f"{seconds}"
        report = convert(source, output, work_dir=tmp_path / "w", on_conflict=policy)
        assert not report.errors
        found.append((output / "numbers.parquet").read_bytes())

    assert found[0] == found[1]


def test_json_without_line_ends_is_refused_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("anabranch.formats.model.LONGEST", 1 << 12)
    cut_small(monkeypatch, 1000, part_seconds=1)
    source = tmp_path / "one.jsonl"
    source.write_bytes(b'{"a":1}\n' + b'{"a":1}' * 2000)

    report = convert(source, tmp_path / "out", work_dir=tmp_path / "w")

    assert [error.code for error in report.errors] == ["record-too-long"]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("some.csv", 'a,b\n1,x\n2,"{}"\n3,z\n'),
        ("some.jsonl", '{{"a":1}}\n{{"a":2,"b":"{}"}}\n{{"a":3}}\n'),
        ("some.json", '[{{"a":1}},{{"a":2,"b":"{}"}},{{"a":3}}]'),
    ],
)
def test_a_record_may_be_as_long_as_the_limit_and_no_longer(tmp_path, monkeypatch, name, text, packed):
    limit = 1 << 12
    monkeypatch.setattr("anabranch.formats.model.LONGEST", limit)
    monkeypatch.setattr("anabranch.formats.json.array._PIECE", 100)
    cut_small(monkeypatch, 1000, part_seconds=1)

    def codes(size):
        filled = text.format("x" * size).encode()
        source = tmp_path / (f"{name}.gz" if packed else name)
        source.write_bytes(gzip.compress(filled) if packed else filled)
        return [error.code for error in convert(source, tmp_path / "out", work_dir=tmp_path / "w").errors]

    assert codes(limit - 50) == []
    assert codes(limit) == ["record-too-long"]


def test_a_bad_row_of_a_json_array_has_a_number_but_no_place_in_the_text(tmp_path):
    """Its rows are rewritten before they are parsed, so that places in these lines are not places in the file."""
    source = tmp_path / "some.json"
    source.write_text('[\n  {"a": 1},\n  {"a": [1]},\n  {"a": 2}\n]')

    report = convert(source, tmp_path / "out", work_dir=tmp_path / "w", on_bad_row="quarantine")
    (row,) = map(json.loads, (tmp_path / "out" / "some.parquet.quarantine.jsonl").read_text().splitlines())

    assert report.items["rows_set_aside"] == 1
    assert row["row"] == 2
    assert "byte" not in row


def test_a_dry_run_tells_what_a_run_would_read_and_write_and_what_stands(tmp_path, numbers):
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"a;b\n1;2\n")[:-9])
    other = tmp_path / "other.csv.gz"
    other.write_bytes(gzip.compress(b"a;b\n1;2\n"))
    convert(numbers, tmp_path / "out", work_dir=tmp_path / "w")
    sources = [str(tmp_path / name) for name in ("cut.csv.gz", "empty.csv", "numbers.csv", "other.csv.gz")]
    options = ConvertOptions()

    plan = preview(Job(sources, str(tmp_path / "out"), options, tmp_path / "w", 1, refresh=False))

    assert plan.written(check(sources, str(tmp_path / "out"), options)) == [tmp_path / "out" / "other.parquet"]
    assert list(plan.notes())[:2] == [
        ("read as", "other.csv.gz: csv, gz, utf-8, cells divided by ';'; 2 columns, 1 block; by pyarrow"),
        ("unchanged", str(tmp_path / "out" / "numbers.parquet")),
    ]
    assert [about for about, _ in plan.notes()][2:] == ["fails", "empty"]
