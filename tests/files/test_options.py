"""An option that means nothing for the files at hand is refused by name, before anything is written."""

import json
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import anabranch
from anabranch.core.errors import UsageError
from anabranch.formats.json.array import lines_of_array
from tests.files.converting import convert

CSV = "id,name\n1,a\n"


def workbook(path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["id"])
    book.active.append([1])
    book.save(path)


MAKE = {
    "csv": lambda path: path.write_text(CSV),
    "jsonl": lambda path: path.write_text('{"id":1}\n'),
    "json": lambda path: path.write_text('[{"id":1}]'),
    "ltsv": lambda path: path.write_text("id:1\n"),
    "xlsx": workbook,
    "parquet": lambda path: pq.write_table(pa.table({"id": [1]}), path),
}
UNUSED = [
    ("csv", {"format_options": "tag=data"}),
    ("csv", {"format_options": "bogus=1"}),
    ("csv", {"sheet": "Data"}),
    ("csv", {"paths": "id=id"}),
    ("csv", {"to": "csv", "compression": "gzip"}),
    ("csv", {"to": "csv.gz", "compression": "zstd"}),
    ("csv", {"to": "jsonl", "output_delimiter": ";"}),
    ("csv", {"combine": True, "pattern": "{stem}.parquet"}),
    ("jsonl", {"delimiter": ";"}),
    ("jsonl", {"quote": "'"}),
    ("jsonl", {"escape": "\\"}),
    ("xlsx", {"comment": "#"}),
    ("jsonl", {"header": False}),
    ("jsonl", {"skip_rows": 1}),
    ("parquet", {"skip_rows": 1}),
    ("xlsx", {"short_rows": "pad"}),
    ("jsonl", {"null_values": "NA"}),
    ("jsonl", {"format_options": "tag=data"}),
    ("json", {"sheet": "Data"}),
    ("ltsv", {"delimiter": ";"}),
    ("xlsx", {"format_options": "sheet=Data"}),
    ("xlsx", {"encoding": "latin-1"}),
    ("xlsx", {"delimiter": ";"}),
    ("parquet", {"encoding": "latin-1"}),
    ("parquet", {"header": False}),
    ("parquet", {"infer": "none"}),
]


@pytest.mark.parametrize(("ending", "options"), UNUSED)
def test_an_option_that_means_nothing_is_refused_by_name(ending, options, tmp_path):
    source = tmp_path / f"a.{ending}"
    MAKE[ending](source)

    with pytest.raises(UsageError) as caught:
        convert(source, tmp_path / "out", work_dir=tmp_path / "work", **options)

    assert caught.value.code == "option-unused"
    assert "--" + next(name for name in options if name not in {"to", "combine"}).replace("_", "-") in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("ending", "options"), [case for case in UNUSED if not {"to", "combine"} & set(case[1])])
def test_the_readers_refuse_it_too(ending, options, tmp_path):
    source = tmp_path / f"a.{ending}"
    MAKE[ending](source)
    chosen = anabranch.ReadOptions(**options)

    with pytest.raises(UsageError, match="option-unused"), anabranch.parallel_read(source, options=chosen) as reader:
        list(reader)
    with pytest.raises(UsageError, match="option-unused"):
        anabranch.pipeline(source, tmp_path / "out.jsonl", lambda record: record, **options)
    assert not (tmp_path / "out.jsonl").exists()


def test_an_option_may_be_meant_for_some_of_the_sources(tmp_path):
    MAKE["parquet"](tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_text(CSV.replace(",", "|"))
    chosen = {"delimiter": "|"}

    assert convert(tmp_path, tmp_path / "out", work_dir=tmp_path / "work", to="jsonl", **chosen).items["rows"] == 2
    paths = [tmp_path / "a.parquet", tmp_path / "b.csv"]
    with anabranch.parallel_read(paths, options=anabranch.ReadOptions(**chosen)) as reader:
        assert len(list(reader)) == 2
    assert anabranch.pipeline(paths, None, lambda record: record, **chosen).rec_count == 2


@pytest.mark.parametrize("options", [{"to": "csv"}, {"pattern": "x"}, {"combine": True}, {"compression": "gzip"}])
def test_parallel_write_refuses_what_means_nothing_there(options, tmp_path):
    with pytest.raises(UsageError, match="option-unused"):
        anabranch.parallel_write(tmp_path / "a.csv", options=anabranch.WriteOptions(**options))


# output, options, sources, files that are written, or the error
NAMED = [
    ("out.parquet", {}, 1, ["out.parquet"]),
    ("out.csv", {}, 1, ["out.csv"]),
    ("out.jsonl.gz", {}, 1, ["out.jsonl.gz"]),
    ("out.ndjson", {}, 1, ["out.ndjson"]),
    ("out.csv", {"to": "csv"}, 1, ["out.csv"]),
    ("out.csv", {"combine": True}, 2, ["out.csv"]),
    ("out.csv", {"combine": True}, 1, ["out.csv"]),
    ("out.csv/", {}, 1, ["out.csv/0.parquet"]),
    ("out.d", {}, 2, ["out.d/0.parquet", "out.d/1.parquet"]),
    ("out.csv", {"pattern": "{stem}.parquet"}, 1, ["out.csv/0.parquet"]),
    ("out.csv", {}, 2, "output-not-a-folder"),
    ("out.csv", {"to": "parquet"}, 1, "output-format"),
    ("out.csv", {"to": "jsonl", "combine": True}, 2, "output-format"),
    ("out.xlsx", {}, 1, "output-format"),
]


@pytest.mark.parametrize(("output", "options", "count", "expected"), NAMED)
def test_an_output_that_is_named_like_a_file_is_one(output, options, count, expected, tmp_path):
    sources = [tmp_path / f"{number}.csv" for number in range(count)]
    for source in sources:
        source.write_text(CSV)
    place = f"{tmp_path}/{output}"

    if isinstance(expected, str):
        with pytest.raises(UsageError) as caught:
            convert(sources, place, work_dir=tmp_path / "work", **options)
        assert caught.value.code == expected
        assert not list(tmp_path.glob("out*"))
        return
    for _ in range(2):  # the second time nothing is done again
        report = convert(sources, place, work_dir=tmp_path / "work", **options)
        assert report.errors == []
    assert report.items["converted"] == 0
    assert [tmp_path / name for name in expected] == sorted(
        path for path in tmp_path.rglob("*") if path.is_file() and path.relative_to(tmp_path).parts[0].startswith("out")
        and not path.name.endswith("manifest.json")
    )  # fmt: skip
    names = tmp_path / expected[0]
    with anabranch.parallel_read(names, options=anabranch.ReadOptions()) as reader:
        assert list(reader) == [{"id": 1, "name": "a"}] * (count if options.get("combine") else 1)


def test_a_folder_of_that_name_stays_one(tmp_path):
    (tmp_path / "a.csv").write_text(CSV)
    (tmp_path / "out.csv").mkdir()

    convert(tmp_path / "a.csv", tmp_path / "out.csv", work_dir=tmp_path / "work")

    assert (tmp_path / "out.csv" / "a.parquet").exists()


def test_bulk_convert_writes_one_file_too(tmp_path):
    (tmp_path / "a.csv").write_text(CSV)

    for _ in range(2):
        result = anabranch.bulk_convert(tmp_path / "a.csv", tmp_path / "out.parquet", to_ext="parquet")

    assert (result.successful_files, result.file_results[0].dest_file) == (1, str(tmp_path / "out.parquet"))
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 1


RECORDS = [{"id": 1, "text": 'a "]}, b'}, {"id": 2, "text": "c\\"}]
WRAPPED = [
    ("data", {"status": "ok", "data": RECORDS, "next": None}),
    ("data", {"data": RECORDS}),
    ("response.items", {"data": [1, {"items": [0]}], "response": {"count": {"items": []}, "items": RECORDS, "x": {}}}),
    ("data", {"meta": [[{"data": [{"id": 0}]}], '"data":['], "data": RECORDS, "more": {"data": [1]}}),
]


@pytest.mark.parametrize(("tag", "content"), WRAPPED)
@pytest.mark.parametrize("indent", [None, 2])
def test_a_tag_names_the_list_of_records_in_a_json_file(tag, content, indent, tmp_path):
    source = tmp_path / "a.json"
    source.write_text("\ufeff" * bool(indent) + json.dumps(content, indent=indent), "utf-8")

    report = convert(source, tmp_path / "out", work_dir=tmp_path / "work", format_options=f"tag={tag}")

    assert report.errors == []
    assert pq.read_table(tmp_path / "out" / "a.parquet").to_pylist() == RECORDS


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ('{"status":1,"items":[]}', "record-list-missing", "'status', 'items'"),
        ('{"data":{"id":1}}', "record-list-missing", "'data'"),
        ('{"data":[{"id":1}],"x":[1', "bad-json", "cut off"),
        ('{"data":[{"id":1}', "bad-json", "cut off"),
        ('{"data":[{"id":1}],"data":[]}', "bad-json", "second value at 'data'"),
        ('{"data":[{"id":1}]]', "bad-json", "bracket"),
    ],
)
def test_a_list_of_records_that_is_missing_or_broken_is_an_error(text, code, says, tmp_path):
    (tmp_path / "a.json").write_text(text)

    [error] = convert(
        tmp_path / "a.json", tmp_path / "out", work_dir=tmp_path / "work", format_options="tag=data"
    ).errors

    assert error.code == code
    assert says in error.reason


class Pieces:
    """A stream that is read in pieces of a few bytes."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size = data, size

    def read(self, _: int) -> bytes:
        piece, self._data = self._data[: self._size], self._data[self._size :]
        return piece


values = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.properties
@given(
    records=st.lists(st.dictionaries(st.text(max_size=3), values, max_size=3), max_size=4),
    before=st.dictionaries(st.text(max_size=3), values, max_size=3),
    after=st.dictionaries(st.text(min_size=5, max_size=7), values, max_size=3),
    size=st.integers(1, 40),
    indent=st.sampled_from([None, 1]),
)
def test_the_list_is_found_however_the_text_is_split(records, before, after, size, indent):
    text = json.dumps({**before, "data": records, **after}, indent=indent, ensure_ascii=False).encode()

    lines = b"".join(lines_of_array(Pieces(text, size), path="data"))

    assert [json.loads(line) for line in lines.splitlines()] == records
