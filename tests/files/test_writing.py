"""Blocks in segments, segments in an output."""

import bz2
import csv
import datetime as dt
import gzip
import io
import json
import lzma
from decimal import Decimal
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import orc

from anabranch.core.errors import AnabranchError, SourceError, UsageError
from anabranch.formats.delimited.dialect import look_delimited
from anabranch.formats.delimited.parsing import parse
from anabranch.formats.options import ReadOptions, WriteOptions
from anabranch.formats.writing import SegmentWriter, join_segments
from tests.examples import examples

KINDS = ("parquet", "csv", "tsv", "jsonl", "json", "arrow", "orc")
UNPACK = {
    "gz": gzip.decompress,
    "bz2": bz2.decompress,
    "xz": lzma.decompress,
    "zst": lambda data: pa.CompressedInputStream(pa.BufferReader(data), "zstd").read(),
    "lz4": lambda data: pa.CompressedInputStream(pa.BufferReader(data), "lz4").read(),
}
TABLE = pa.table(
    {
        "id": pa.array(range(100)),
        "text": pa.array([None if n % 7 == 0 else "" if n % 5 == 0 else f'say "{n}",\nthen' for n in range(100)]),
        "price": pa.array([Decimal(n) / 100 for n in range(100)], pa.decimal128(12, 2)),
        "part": pa.array([{"a": n, "b": [n, None]} for n in range(100)]),
    }
)


def output(folder, to, blocks, groups=None, schema=None, **options) -> bytes:
    """Write blocks in segments of so many blocks each, and join them."""
    chosen = WriteOptions(to=to, **options)
    schema = schema or blocks[0].schema
    left, paths = list(blocks), []
    for index, count in enumerate(groups or [len(left)]):
        paths.append(folder / f"{index}.segment")
        with SegmentWriter(paths[-1], to, schema, chosen) as writer:
            for block in left[:count]:
                writer.write(block)
        assert writer.rows == sum(block.num_rows for block in left[:count])
        del left[:count]
    out = io.BytesIO()
    rows = join_segments(paths, out, to, schema, chosen)

    assert not left
    assert rows == sum(block.num_rows for block in blocks)
    return out.getvalue()


def cells(data: bytes, delimiter=",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter))


def one_column(folder, values, kind=None, to="csv", **options) -> str:
    """Write a column beside another, and give its lines."""
    table = pa.table({"n": range(len(values)), "c": pa.array(values, kind)})
    return output(folder, to, [table], **options).decode()


READ = {
    "parquet": lambda data: pq.ParquetFile(io.BytesIO(data)).read(),
    "arrow": lambda data: pa.ipc.open_file(data).read_all(),
    "orc": lambda data: orc.read_table(io.BytesIO(data)),
}


@pytest.mark.parametrize("to", [*KINDS, "csv.gz", "json.zst", "parquet.xz", "arrow.lz4"])
@examples(6)
@given(cuts=st.lists(st.integers(0, 100), max_size=4), seams=st.sets(st.integers(0, 5)))
def test_any_grouping_of_blocks_into_segments_gives_the_same_bytes(tmp_path, to, cuts, seams):
    edges = [0, *sorted(cuts), 100]
    blocks = [TABLE[start:stop] for start, stop in pairwise(edges)]
    borders = sorted({0, len(blocks), *(seam for seam in seams if seam < len(blocks))})
    groups = [stop - start for start, stop in pairwise(borders)]

    assert output(tmp_path, to, blocks, groups) == output(tmp_path, to, blocks)


@pytest.mark.parametrize("to", ["parquet", "arrow", "orc"])
@pytest.mark.parametrize("compression", ["zstd", "lz4", "none"])
def test_tables_come_back_as_they_were(tmp_path, to, compression):
    data = output(tmp_path, to, [TABLE[:30], TABLE[30:]], [1, 1], compression=compression)

    assert READ[to](data).equals(TABLE)


@pytest.mark.parametrize("to", ["parquet", "arrow", "orc"])
def test_without_rows_columnar_files_have_their_schema(tmp_path, to):
    data = output(tmp_path, to, [TABLE[:0]])

    assert READ[to](data).equals(TABLE[:0])


def test_without_rows_text_is_its_header_or_an_empty_array(tmp_path):
    assert output(tmp_path, "csv", [TABLE[:0]]) == b"id,text,price,part\n"
    assert output(tmp_path, "tsv.gz", [TABLE[:0]]) == output(tmp_path, "tsv.gz", [TABLE[:0], TABLE[:0]], [1, 1])
    assert json.loads(output(tmp_path, "json", [TABLE[:0]])) == []
    assert output(tmp_path, "jsonl", [TABLE[:0]]) == b""


@pytest.mark.parametrize("to", ["csv", "jsonl", "parquet", "arrow"])
@pytest.mark.parametrize("codec", UNPACK)
def test_compressed_outputs_hold_what_plain_ones_are(tmp_path, to, codec):
    blocks = [TABLE[:30], TABLE[30:]]

    assert UNPACK[codec](output(tmp_path, f"{to}.{codec}", blocks, [1, 1])) == output(tmp_path, to, blocks, [1, 1])


CELLS = {
    pa.int64(): st.integers(-(1 << 63), (1 << 63) - 1),
    pa.float64(): st.floats(allow_nan=False, allow_infinity=False),
    pa.decimal128(38, 0): st.integers(-(10**37), 10**37).map(Decimal),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    pa.date32(): st.dates(),
    pa.timestamp("us"): st.datetimes(),
    pa.timestamp("ns", "UTC"): st.integers(-(10**18), 10**18),
    pa.time64("us"): st.times(),
}


@pytest.mark.parametrize("to", ["csv", "tsv"])
@examples(60)
@given(data=st.data(), count=st.integers(1, 5))
def test_delimited_text_is_read_as_what_was_written(tmp_path, to, data, count):
    columns = [
        pa.array(data.draw(st.lists(st.none() | values, min_size=count, max_size=count)), kind)
        for kind, values in CELLS.items()
    ]
    table = pa.table(columns, names=[f"column {place}" for place in range(len(columns))])

    text = output(tmp_path, to, [table])
    look = look_delimited(text, True, ReadOptions(), to)

    assert parse(text[look.data_start :], look, table.schema, ReadOptions()).equals(table)


def test_csv_tells_null_from_empty_text_and_keeps_quotes_and_newlines(tmp_path):
    data = output(tmp_path, "csv", [pa.table({"n": [1, 2, 3], "c": ["", None, 'a "b",\nc']})])

    assert data == b'n,c\n1,""\n2,\n3,"a ""b"",\nc"\n'


def test_tsv_is_written_with_tabs(tmp_path):
    data = output(tmp_path, "tsv", [TABLE])

    assert cells(data, "\t")[2] == ["1", 'say "1",\nthen', "0.01", '{"a":1,"b":[1,null]}']


def test_a_header_is_quoted_where_it_must_be(tmp_path):
    table = pa.table({"a,b": [1], 'say "x"': [2], "plain name": [3]})

    assert output(tmp_path, "csv", [table]).splitlines()[0] == b'"a,b","say ""x""",plain name'


def test_in_a_single_column_null_is_no_empty_line(tmp_path):
    assert output(tmp_path, "csv", [pa.table({"c": [1, None]})]) == b'c\n"1"\n""\n'


def test_times_are_iso_with_the_digits_that_their_block_needs(tmp_path):
    noon = dt.datetime(2024, 5, 6, 12)  # noqa: DTZ001  pyarrow takes it for UTC
    late = noon + dt.timedelta(microseconds=1500)

    assert one_column(tmp_path, [noon, None], pa.timestamp("us")) == "n,c\n0,2024-05-06 12:00:00\n1,\n"
    assert one_column(tmp_path, [late], pa.timestamp("ns")) == "n,c\n0,2024-05-06 12:00:00.001500\n"
    assert one_column(tmp_path, [noon], pa.timestamp("us", "Europe/Berlin")) == "n,c\n0,2024-05-06 12:00:00Z\n"
    assert one_column(tmp_path, [dt.time(1, 2)], pa.time64("us")) == "n,c\n0,01:02:00\n"
    assert one_column(tmp_path, [dt.date(2024, 5, 6)]) == "n,c\n0,2024-05-06\n"


def test_numbers_are_written_as_a_reader_keeps_them(tmp_path):
    assert one_column(tmp_path, [-0.0, None, 1.5]) == 'n,c\n0,"-0.0"\n1,\n2,"1.5"\n'
    assert one_column(tmp_path, [Decimal(0), None], pa.decimal128(20, 10)) == 'n,c\n0,"0.0000000000"\n1,\n'
    assert one_column(tmp_path, [10**60], pa.decimal256(70, 0)) == f"n,c\n0,{10**60}\n"


def test_bytes_are_base64_in_csv(tmp_path):
    assert one_column(tmp_path, [b"\xff\x00", None, b""]) == 'n,c\n0,"/wA="\n1,\n2,""\n'


def test_nested_values_are_json_in_csv(tmp_path):
    values = [{"a": [1, None], "t": "x\ny"}, None]

    rows = cells(output(tmp_path, "csv", [pa.table({"n": [1, 2], "c": values})]))

    assert json.loads(rows[1][1]) == values[0]
    assert rows[2] == ["2", ""]


@pytest.mark.parametrize("to", ["csv", "jsonl", "parquet"])
def test_flattened_structs_are_columns_with_dotted_names(tmp_path, to):
    table = pa.table({"id": [1, 2], "a": [{"b": {"c": 5}, "l": [1]}, None]})

    data = output(tmp_path, to, [table], flatten=True)

    if to == "csv":
        assert data == b'id,a.b.c,a.l\n1,5,"[1]"\n2,,\n'
    elif to == "jsonl":
        assert json.loads(data.splitlines()[0]) == {"id": 1, "a.b.c": 5, "a.l": [1]}
    else:
        assert READ["parquet"](data).column("a.b.c").to_pylist() == [5, None]


def test_flattened_columns_of_one_name_are_refused(tmp_path):
    table = pa.table({"a.b": [1], "a": [{"b": 2}]})

    with pytest.raises(SourceError, match=r"'a\.b'") as caught:
        output(tmp_path, "csv", [table], flatten=True)

    assert caught.value.code == "duplicate-columns"


def test_ways_to_store_values_are_not_written(tmp_path):
    text = pa.array(["a", "b", "a"])
    table = pa.table(
        {
            "dictionary": text.dictionary_encode(),
            "view": text.cast(pa.string_view()),
            "runs": pa.RunEndEncodedArray.from_arrays([2, 3], ["a", "b"]),
            "inside": pa.StructArray.from_arrays([text.dictionary_encode()], ["x"]),
            "views": pa.array([["a"], None, []], pa.list_view(pa.string())),
        }
    )

    for kind in ("parquet", "arrow", "orc"):
        back = READ[kind](output(tmp_path, kind, [table]))

        assert back.to_pylist() == table.to_pylist()
        assert back.schema.types == [*[pa.string()] * 3, pa.struct([("x", pa.string())]), pa.list_(pa.string())]


def test_orc_takes_the_next_type_where_it_has_none(tmp_path):
    table = pa.table(
        {
            "u": pa.array([2**64 - 1], pa.uint64()),
            "t": pa.array([dt.time(1, 2, 3)], pa.time64("us")),
            "d": pa.array([10**50], pa.decimal256(60, 0)),
            "l": pa.array([[2**32 - 1]], pa.list_(pa.uint32())),
        }
    )

    assert READ["orc"](output(tmp_path, "orc", [table])).to_pylist() == [
        {"u": Decimal(2**64 - 1), "t": "01:02:03.000000", "d": str(10**50), "l": [2**32 - 1]}
    ]


def test_a_column_is_encoded_as_its_block_suggests(tmp_path):
    count = 20_000
    table = pa.table(
        {
            "counted": range(count),
            "repeated": ["red", "green"] * (count // 2),
            "distinct": [f"name {n * 7919 % count}" for n in range(count)],
        }
    )

    group = pq.read_metadata(io.BytesIO(output(tmp_path, "parquet", [table]))).row_group(0)
    counted, repeated, distinct = (group.column(index) for index in range(3))

    assert "DELTA_BINARY_PACKED" in counted.encodings
    assert "RLE_DICTIONARY" in repeated.encodings
    assert "RLE_DICTIONARY" not in distinct.encodings
    assert counted.statistics.max == count - 1


def test_a_large_table_becomes_row_groups_of_bounded_size(tmp_path):
    table = pa.table({"n": range(600_000)})

    metadata = pq.read_metadata(io.BytesIO(output(tmp_path, "parquet", [table])))

    assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == [262144, 262144, 75712]


@pytest.mark.parametrize("to", KINDS)
def test_a_cut_segment_is_noticed(tmp_path, to):
    path, options = tmp_path / "segment", WriteOptions(to=to)
    with SegmentWriter(path, to, TABLE.schema, options) as writer:
        writer.write(TABLE)
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(AnabranchError, match="segment: ") as caught:
        join_segments([path], io.BytesIO(), to, TABLE.schema, options)

    assert caught.value.code == "segment-damaged"


@pytest.mark.parametrize("to", KINDS)
def test_a_writer_that_fails_leaves_nothing(tmp_path, to):
    def fail():
        with SegmentWriter(tmp_path / "segment", to, TABLE.schema, WriteOptions(to=to)) as writer:
            writer.write(TABLE)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("to", "read"), [("parquet", pq.read_table), ("orc", orc.read_table)])
def test_lists_of_the_fixed_length_zero_are_written_so_that_they_can_be_read(tmp_path, to, read):
    rows = [{"a": [], "in": {"x": []}}, {"a": None, "in": None}, {"a": [], "in": {"x": None}}]
    none = pa.list_(pa.int32(), 0)
    table = pa.Table.from_pylist(rows, pa.schema({"a": none, "in": pa.struct({"x": none})}))

    assert read(io.BytesIO(output(tmp_path, to, [table]))).to_pylist() == rows


def test_a_decimal_that_counts_thousands_is_written_as_the_number_that_it_is(tmp_path):
    """Parquet refuses such a scale, and pyarrow's writer of orc ended the process."""
    numbers = pa.array([Decimal("12E+3"), None, Decimal("-9E+11")], pa.decimal128(9, -3))
    table = pa.table({"n": numbers, "in": [[number.as_py()] for number in numbers]})
    huge = pa.table({"n": pa.array([Decimal("12E+40"), None], pa.decimal256(60, -40))})

    for to, read in (("parquet", pq.read_table), ("orc", orc.read_table)):
        found = read(io.BytesIO(output(tmp_path, to, [table])))
        assert found.column("n").to_pylist() == [12000, None, -900000000000]
        assert read(io.BytesIO(output(tmp_path, to, [huge]))).column("n").to_pylist() == ["1.2E+41", None]
    assert output(tmp_path, "jsonl", [table.select(["n"])]) == b'{"n":12000}\n{"n":null}\n{"n":-900000000000}\n'
    assert output(tmp_path, "csv", [table.select(["n"])]) == b'n\n"12000"\n""\n"-900000000000"\n'


@pytest.mark.parametrize("to", [kind for kind in KINDS if kind != "arrow"])
def test_a_type_without_a_place_is_an_error_of_the_source(tmp_path, to):
    intervals = pa.table({"i": pa.array([pa.MonthDayNano([1, 2, 3])])})

    with (
        pytest.raises(SourceError) as caught,
        SegmentWriter(tmp_path / "segment", to, intervals.schema, WriteOptions(to=to)) as writer,
    ):
        writer.write(intervals)

    assert caught.value.code == "type-not-written"
    assert not list(tmp_path.iterdir())


def test_arrow_is_not_compressed_by_what_it_does_not_know(tmp_path):
    with pytest.raises(UsageError) as caught:
        SegmentWriter(tmp_path / "segment", "arrow", TABLE.schema, WriteOptions(to="arrow", compression="snappy"))

    assert caught.value.code == "compression-not-possible"
