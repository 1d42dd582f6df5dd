"""`anabranch.bulk_convert` with the arguments that iterabledata's users know: what each does, and what is refused."""

import gzip
import os
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from unittest.mock import patch

import pyarrow.parquet as pq
import pytest

import anabranch
from anabranch.core.errors import AnabranchError
from anabranch.library import bulk
from anabranch.sources import unpack
from anabranch.sources.finding import find
from anabranch.sources.spans import Span
from tests.files.packing import PACK


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in" / "some.csv"
    path.parent.mkdir()
    path.write_bytes(b"id|name\n1|a,b\n2|c|d\n".replace(b"c|d", b'"c|d"'))
    return path


@pytest.mark.parametrize(
    ("to", "delimiter", "expected"),
    [
        ("csv", ";", 'id;name\n"1";"a,b"\n"2";"c|d"\n'),
        ("csv", "|", 'id|name\n"1"|"a,b"\n"2"|"c|d"\n'),
        ("tsv", None, 'id\tname\n"1"\t"a,b"\n"2"\t"c|d"\n'),
    ],
)
def test_delimiters_are_those_that_were_named_for_reading_and_writing(source, tmp_path, to, delimiter, expected):
    writing = {"delimiter": delimiter} if delimiter else None

    result = anabranch.bulk_convert(
        source, tmp_path / "out", to_ext=to, iterableargs={"delimiter": "|"}, toiterableargs=writing
    )

    assert (result.successful_files, result.total_rows_out, result.errors) == (1, 2, [])
    assert (tmp_path / "out" / f"some.{to}").read_text() == expected


@pytest.mark.parametrize(
    "arguments",
    [
        {"to_ext": None},
        {"scan_limit": -1},
        {"batch_size": 0},
        {"workers": 0},
        {"iterableargs": {"tagname": "x"}},
        {"toiterableargs": {"quotechar": "x"}},
        {"toiterableargs": {"delimiter": '"'}},
        {"to_ext": "xlsx"},
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(source, tmp_path, arguments):
    with pytest.raises(ValueError, match=r"must be|at least|only|one ASCII character|cannot write"):
        anabranch.bulk_convert(source, tmp_path / "out", **{"to_ext": "csv", **arguments})

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["{stem}.jsonl", "{stem}.JSONL", "all.jsonl", "{parent}/{stem}.jsonl.gzip"])
def test_the_ending_of_the_pattern_names_the_format(source, tmp_path, name):
    (tmp_path / "out").mkdir()

    anabranch.bulk_convert(source, tmp_path / "out", pattern=name, iterableargs={"delimiter": "|"})

    (made,) = [path for path in (tmp_path / "out").iterdir() if path.name != "manifest.json"]
    text = made.read_bytes()
    assert (gzip.decompress(text) if made.suffix == ".gzip" else text).startswith(b'{"id":1,')


@pytest.mark.parametrize(
    "wrong",
    [
        {"pattern": "{stem}.parquet", "to_ext": "csv"},
        {"to_ext": "csv", "to": "json"},
        {"pattern": "{stem}.csv", "combine": True},
    ],
)
def test_two_arguments_that_say_different_things_are_refused(tmp_path, wrong):
    (tmp_path / "a.csv").write_text("n\n1\n")

    with pytest.raises(ValueError, match=r"the extension parquet|cannot be given here|pattern has no use"):
        anabranch.bulk_convert(tmp_path / "a.csv", tmp_path / "out", **wrong)

    assert not (tmp_path / "out").exists()


def test_sources_may_be_combined_into_one_file_again_and_again(tmp_path):
    for name, value in (("a", "1"), ("b", "2.5")):
        (tmp_path / f"{name}.csv").write_text(f"n\n{value}\n")

    for _ in range(2):
        result = anabranch.bulk_convert(tmp_path / "*.csv", tmp_path / "all.parquet", to_ext="parquet", combine=True)

        assert {one.dest_file for one in result.file_results} == {str(tmp_path / "all.parquet")}
        assert pq.read_table(tmp_path / "all.parquet").column("n").to_pylist() == [1, 2.5]


def test_a_pattern_may_agree_with_the_format_or_leave_it_open(tmp_path):
    (tmp_path / "a.csv").write_text("n\n1\n")

    for pattern in ("{stem}.jsonl", "{stem}"):
        result = anabranch.bulk_convert(tmp_path / "a.csv", tmp_path / "out", pattern=pattern, to_ext="jsonl")

        assert result.successful_files == 1


@pytest.fixture
def everything_unpacked():
    """Unpack every compressed file in slices, as big ones are."""
    with patch.object(unpack, "BIG", 1), patch("anabranch.core.batches.SMALLEST_PART", 1e-4):
        yield


NAMES = [f"some.csv.{codec}" for codec in PACK] + ["some.csv", os.fsdecode(b"s\xf6me.csv.gz"), "line\nbreak.csv.gz"]


@pytest.mark.usefixtures("everything_unpacked")
@pytest.mark.parametrize("combine", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_reported_as_what_was_published_of_it(name, combine, tmp_path):
    source, told = tmp_path / name, []
    rows = b"".join(b"%d,%s\n" % (number, os.urandom(20).hex().encode()) for number in range(2000))
    codec = source.suffix[1:]
    source.write_bytes(PACK[codec](b"id,text\n" + rows) if codec in PACK else b"id,text\n" + rows)
    (tmp_path / "empty.csv.gz").write_bytes(gzip.compress(b""))
    sources = [source, tmp_path / "empty.csv.gz"]

    result = anabranch.bulk_convert(
        sources, tmp_path / "out", to_ext="parquet", combine=combine, progress=told.append, parallel=True
    )

    one, empty = result.file_results
    assert (result.total_files, result.successful_files, result.failed_files, result.errors) == (2, 2, 0, [])
    assert (one.source_file, one.result.rows_out, one.result.bytes_read) == (str(source), 2000, source.stat().st_size)
    assert (one.result.bytes_written, result.total_rows_out) == (Path(one.dest_file).stat().st_size, 2000)
    assert (empty.source_file, empty.result.rows_out, empty.dest_file) == (str(sources[1]), 0, "")
    assert pq.read_metadata(BytesIO(Path(one.dest_file).read_bytes())).num_rows == told[-1]["rows_written"] == 2000


@pytest.mark.usefixtures("everything_unpacked")
def test_a_damaged_file_is_reported_as_failed_beside_others(tmp_path):
    whole = gzip.compress(b"id\n" + b"1\n" * 5000)
    (tmp_path / "cut.csv.gz").write_bytes(whole[:-20])
    (tmp_path / "good.csv.gz").write_bytes(whole)

    result = anabranch.bulk_convert(tmp_path, tmp_path / "out", to_ext="csv")

    assert [(one.source_file[-11:], one.success) for one in result.file_results] == [
        ("/cut.csv.gz", False), ("good.csv.gz", True),
    ]  # fmt: skip
    assert [error.code for error in result.errors] == ["source-damaged"]
    assert result.total_files == result.successful_files + result.failed_files == 2


def test_a_file_that_is_neither_converted_nor_empty_nor_failed_is_a_defect(source, tmp_path, monkeypatch):
    def lose(job, _seen):
        conversion, entries = convert(job)
        lost = replace(conversion.sources[0], path=f"{source}.2", label="some.csv.2")
        return replace(conversion, sources=(*conversion.sources, lost)), entries

    convert = bulk.convert
    monkeypatch.setattr(bulk, "convert", lose)

    with pytest.raises(AnabranchError, match=r"some.csv.2 was neither converted"):
        anabranch.bulk_convert(source, tmp_path / "out", to_ext="csv", iterableargs={"delimiter": "|"})


def test_a_source_is_the_same_one_when_it_is_unpacked(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"a\n1\n")
    (source,) = find([str(tmp_path)]).sources

    there = replace(source, spans=(Span("text", 0, 4),), packed="gz")

    assert there == source
    assert {source: "known"}[there] == "known"
    assert repr(there) != repr(source)  # of which keys are made: what is read from the text is another result
