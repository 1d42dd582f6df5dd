"""`anabranch.bulk_convert` with the arguments that iterabledata's users know: what each does, and what is refused."""

import gzip

import pyarrow.parquet as pq
import pytest

import anabranch


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

    with pytest.raises(ValueError, match=r"names its outputs parquet|cannot be given|names none"):
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
