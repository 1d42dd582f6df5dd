"""Files of one schema become one by their footers alone."""

import io
import struct
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.core.errors import AnabranchError
from anabranch.formats.columnar import thrift
from anabranch.formats.columnar.parquet_join import join_parquet
from tests.examples import examples

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("text", pa.string()),
        ("kind", pa.dictionary(pa.int32(), pa.string())),
        ("price", pa.decimal128(20, 3)),
        ("seen", pa.timestamp("us", "UTC")),
        ("tags", pa.list_(pa.string())),
        ("place", pa.struct([("name", pa.string()), ("at", pa.list_(pa.float32()))])),
        ("counts", pa.map_(pa.string(), pa.int16())),
        ("nothing", pa.null()),
    ]
)


def rows(first, count):
    return [
        {
            "id": number,
            "text": f"row {number}" * (number % 3) if number % 5 else None,
            "kind": "abc"[number % 3],
            "price": Decimal(number) / 8,
            "seen": number * 1_000_003,
            "tags": ["x", None, str(number)][: number % 4] if number % 7 else None,
            "place": {"name": "p", "at": [number / 2]} if number % 4 else None,
            "counts": [(str(number), number % 100)],
            "nothing": None,
        }
        for number in range(first, first + count)
    ]


def table(first, count):
    return pa.Table.from_pylist(rows(first, count), SCHEMA)


def written(path: Path, content: pa.Table, **options) -> Path:
    pq.write_table(content, path, **options)
    return path


def joined(parts) -> bytes:
    out = io.BytesIO()
    join_parquet(parts, out)
    return out.getvalue()


def read(data: bytes) -> pa.Table:
    return pq.ParquetFile(io.BytesIO(data)).read()


@examples(25)
@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=5),
    group=st.integers(1, 30),
    options=st.fixed_dictionaries(
        {
            "compression": st.sampled_from(["zstd", "none", "snappy"]),
            "use_dictionary": st.booleans(),
            "data_page_version": st.sampled_from(["1.0", "2.0"]),
            "write_page_index": st.booleans(),
        }
    ),
)
def test_any_split_of_a_table_joins_to_the_table(tmp_path, sizes, group, options):
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    parts = [
        written(tmp_path / f"{index}", table(start, size), row_group_size=group, **options)
        for index, (start, size) in enumerate(zip(starts, sizes, strict=True))
    ]

    result = joined(parts)

    assert read(result).to_pylist() == table(0, sum(sizes)).to_pylist()
    assert read(result).schema == SCHEMA
    assert pq.read_metadata(io.BytesIO(result)).num_rows == sum(sizes)


def test_row_groups_keep_their_bytes_statistics_and_filters(tmp_path):
    options = {"row_group_size": 25, "bloom_filter_options": {"id": True}, "sorting_columns": [pq.SortingColumn(0)]}
    parts = [written(tmp_path / str(first), table(first, 100), **options) for first in (0, 100)]

    file = pq.ParquetFile(io.BytesIO(joined(parts)))

    assert file.metadata.num_row_groups == 8
    for group in range(8):
        assert file.read_row_group(group).to_pylist() == table(group * 25, 25).to_pylist()
        assert file.metadata.row_group(group).column(0).statistics.min == group * 25
        assert file.metadata.row_group(group).sorting_columns == (pq.SortingColumn(0),)


def test_one_page_is_found_by_readers_that_know_indexes_of_pages(tmp_path):
    parts = [written(tmp_path / str(first), table(first, 100), write_page_index=True) for first in (0, 100)]
    joint = tmp_path / "joint"
    joint.write_bytes(joined(parts))

    found = pq.read_table(joint, filters=[("id", "==", 150)])

    assert found.column("id").to_pylist() == [150]
    assert not pq.read_metadata(joint).row_group(0).column(0).has_offset_index


def test_files_of_two_schemas_are_refused(tmp_path):
    one = written(tmp_path / "one", pa.table({"a": [1]}))
    other = written(tmp_path / "other", pa.table({"a": ["x"]}))

    with pytest.raises(AnabranchError, match=r"other: .*schema") as caught:
        joined([one, other])

    assert caught.value.code == "segment-damaged"


@pytest.mark.parametrize("keep", [0, 3, 8, 12, -1, -8, -9, -200])
def test_a_cut_file_is_refused(tmp_path, keep):
    part = written(tmp_path / "part", table(0, 50))
    part.write_bytes(part.read_bytes()[:keep])

    with pytest.raises(AnabranchError, match="part: "):
        joined([part])


@examples(150)
@given(place=st.integers(0, 1 << 30), value=st.integers(0, 255))
def test_a_damaged_footer_is_refused_or_says_as_many_rows_as_before(tmp_path, place, value):
    part = written(tmp_path / "part", pa.table({"a": [1, 2, 3], "b": ["x", "y", None]}), row_group_size=2)
    data = bytearray(part.read_bytes())
    (length,) = struct.unpack("<I", data[-8:-4])
    data[len(data) - 8 - place % length - 1] = value
    part.write_bytes(data)

    with suppress(AnabranchError):
        assert pq.read_metadata(io.BytesIO(joined([part]))).num_rows == 3


def test_a_footer_of_another_number_of_rows_than_its_groups_is_refused(tmp_path):
    part = written(tmp_path / "part", pa.table({"a": [1, 2, 3]}))
    data = part.read_bytes()
    (length,) = struct.unpack("<I", data[-8:-4])
    footer = thrift.decode(data[-8 - length : -8])
    footer[3] = (thrift.I64, 4)
    wrong = thrift.encode(footer)
    part.write_bytes(data[: -8 - length] + wrong + struct.pack("<I", len(wrong)) + b"PAR1")

    with pytest.raises(AnabranchError, match="rows"):
        joined([part])


VALUES = st.recursive(
    st.one_of(
        st.tuples(st.sampled_from([thrift.I16, thrift.I32, thrift.I64]), st.integers(-(1 << 63), (1 << 63) - 1)),
        st.tuples(st.just(thrift.BINARY), st.binary(max_size=200)),
        st.tuples(st.just(thrift.DOUBLE), st.binary(min_size=8, max_size=8)),
        st.tuples(st.sampled_from([thrift.TRUE, thrift.FALSE]), st.none()),
    ),
    lambda inner: st.one_of(
        st.tuples(st.just(thrift.STRUCT), st.dictionaries(st.integers(1, 1000), inner, max_size=6)),
        st.tuples(
            st.just(thrift.LIST),
            st.tuples(st.just(thrift.I64), st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=40)),
        ),
    ),
    max_leaves=20,
)


@given(fields=st.dictionaries(st.integers(1, 1000), VALUES, max_size=10))
def test_any_struct_is_read_as_it_was_written(fields):
    assert thrift.decode(thrift.encode(fields)) == fields


@given(data=st.binary(max_size=100))
def test_bytes_that_are_no_struct_are_a_value_error(data):
    try:
        thrift.decode(data)
    except ValueError:
        return


def test_a_footer_that_pyarrow_wrote_is_written_back_as_it_was(tmp_path):
    data = written(tmp_path / "part", table(0, 500), row_group_size=20).read_bytes()
    (length,) = struct.unpack("<I", data[-8:-4])
    footer = data[-8 - length : -8]

    assert thrift.encode(thrift.decode(footer)) == footer
