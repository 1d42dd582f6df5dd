"""Files with typed columns, by their units."""

import datetime as dt
import io
import math
import random
import uuid
from dataclasses import replace
from decimal import Decimal
from functools import partial

import fastavro
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from anabranch.core.errors import SourceError
from anabranch.formats.columnar.excel import ExcelFile
from anabranch.formats.columnar.reading import look_columnar, read_units
from anabranch.formats.columnar.typed_files import BATCH_ROWS
from anabranch.formats.options import ReadOptions
from anabranch.sources.codecs import decoded
from tests.files.packing import PACK

TABLE = pa.table(
    {
        "id": pa.array(range(1000), pa.int32()),
        "text": [None if n % 3 == 0 else f"t{n}" for n in range(1000)],
        "part": [{"a": [n], "b": None} for n in range(1000)],
    },
    schema=pa.schema(
        [
            ("id", pa.int32()),
            ("text", pa.string()),
            ("part", pa.struct([("a", pa.list_(pa.int64())), ("b", pa.string())])),
        ]
    ),
)


def parquet(table, **options):
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def arrow(table, rows=None, new=pa.ipc.new_file):
    out = io.BytesIO()
    with new(out, table.schema) as writer:
        writer.write_table(table, rows)
    return out.getvalue()


def orc_file(table, **options):
    out = io.BytesIO()
    orc.write_table(table, out, **options)
    return out.getvalue()


def workbook(*sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets, 1):
        sheet = book.create_sheet(f"sheet {number}")
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def avro(fields, records):
    out = io.BytesIO()
    fastavro.writer(out, {"type": "record", "name": "row", "fields": fields}, records)
    return out.getvalue()


def look_at(data, kind, **options):
    return look_columnar(partial(io.BytesIO, data), kind, ReadOptions(**options))


def batches(data, look, units=None):
    first, stop = units or (0, max(len(look.units), 1))
    return [batch for _, batch in read_units(partial(io.BytesIO, data), look, range(first, stop))]


def read(data, kind, **options):
    look = look_at(data, kind, **options)
    return look, pa.Table.from_batches(batches(data, look), look.schema)


UNITS = {
    "parquet": (parquet(TABLE, row_group_size=300), "parquet", (1000,)),
    "arrow": (arrow(TABLE, 400), "arrow", (1000,)),  # small batches are read as one
    "arrow stream": (arrow(TABLE, 400, pa.ipc.new_stream), "arrow", ()),
    "orc": (orc_file(TABLE), "orc", (1000,)),
    "empty parquet": (parquet(TABLE[:0]), "parquet", (0,)),
    "empty arrow": (arrow(TABLE[:0]), "arrow", ()),
    "empty orc": (orc_file(TABLE[:0]), "orc", ()),
}


@pytest.mark.parametrize("name", UNITS)
def test_a_file_is_read_by_its_units(name):
    data, kind, units = UNITS[name]

    look, table = read(data, kind)

    assert look.units == units
    assert look.names == ("id", "text", "part")
    assert look.schema == TABLE.schema
    assert table.to_pylist() == TABLE[: table.num_rows].to_pylist()
    assert table.num_rows == (0 if name.startswith("empty") else 1000)


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_any_unit_is_read_alone(kind):
    table = pa.table({"id": range(250_000)})
    data = parquet(table, row_group_size=100_000) if kind == "parquet" else arrow(table, 100_000)

    look = look_at(data, kind)

    assert look.units == (100_000, 100_000, 50_000)
    for unit in range(3):
        rows = [row for batch in batches(data, look, (unit, unit + 1)) for row in batch.column("id").to_pylist()]

        assert rows == list(range(250_000))[unit * 100_000 : (unit + 1) * 100_000]


def test_small_row_groups_of_parquet_are_one_unit_and_one_batch():
    data = parquet(pa.table({"id": range(200_000)}), row_group_size=30_000)

    look = look_at(data, "parquet")

    assert look.units == (90_000, 90_000, 20_000)
    assert [batch.num_rows for batch in batches(data, look)] == [65_536, 24_464, 65_536, 24_464, 20_000]


def test_orc_is_cut_at_its_stripes():
    noise = random.Random(5)
    table = pa.table({"n": [noise.random() for _ in range(50_000)]})
    data = orc_file(table, stripe_size=1 << 16)

    look = look_at(data, "orc")

    assert len(look.units) > 3
    assert sum(look.units) == 50_000
    assert [batch.num_rows for batch in batches(data, look)] == list(look.units)


@pytest.mark.parametrize("kind", ["parquet", "arrow", "orc"])
def test_batches_have_a_bounded_number_of_rows(kind):
    table = pa.table({"n": range(150_000)})
    data = {"parquet": parquet, "arrow": arrow, "orc": orc_file}[kind](table)

    sizes = [batch.num_rows for batch in batches(data, look_at(data, kind))]

    assert sum(sizes) == 150_000
    assert max(sizes) == BATCH_ROWS


def test_batches_of_wide_rows_have_fewer(monkeypatch):
    monkeypatch.setattr("anabranch.formats.columnar.typed_files.BATCH_BYTES", 1 << 20)
    data = parquet(pa.table({"t": [str(n) * 2000 for n in range(1000)]}), use_dictionary=False)

    sizes = [batch.num_rows for batch in batches(data, look_at(data, "parquet"))]

    assert sum(sizes) == 1000
    assert max(sizes) < 200


def unpacked(packed, codec):
    return decoded(io.BytesIO(packed), codec)


@pytest.mark.parametrize("codec", PACK)
@pytest.mark.parametrize("name", ["parquet", "arrow", "arrow stream", "orc"])
def test_compressed_files_are_cut_like_others(codec, name):
    data, kind, units = UNITS[name]
    opened = partial(unpacked, PACK[codec](data), codec)

    look = replace(look_columnar(opened, kind, ReadOptions()), codec=codec)
    last = [batch for _, batch in read_units(opened, look, range(max(len(units) - 1, 0), max(len(units), 1)))]

    assert look.units == units
    assert last[-1].column("id").to_pylist()[-1] == 999


def test_ways_to_store_values_are_read_as_the_values():
    text = pa.array(["a", "b", "a"])
    table = pa.table(
        {
            "dictionary": text.dictionary_encode(),
            "view": text.cast(pa.string_view()),
            "inside": pa.StructArray.from_arrays([text.dictionary_encode()], ["x"]),
            "half": pa.array([1.5, None, 2], pa.float16()),
        }
    )

    look, back = read(arrow(table), "arrow")

    assert look.schema.types == [pa.string(), pa.string(), pa.struct([("x", pa.string())]), pa.float32()]
    assert back.to_pylist() == table.to_pylist()


@pytest.mark.parametrize("kind", ["parquet", "arrow", "orc"])
def test_columns_of_one_name_are_refused_or_renamed(kind):
    table = pa.table([[1], [2], [3]], names=["a", "a", "a_1"])
    data = {"parquet": parquet, "arrow": arrow, "orc": orc_file}[kind](table)

    with pytest.raises(SourceError, match="'a'") as caught:
        look_at(data, kind)
    look, back = read(data, kind, duplicate_columns="rename")

    assert caught.value.code == "duplicate-columns"
    assert look.names == ("a", "a_2", "a_1")
    assert back.to_pylist() == [{"a": 1, "a_2": 2, "a_1": 3}]


@pytest.mark.parametrize("kind", ["parquet", "arrow", "orc", "avro", "excel"])
def test_a_damaged_file_is_an_error_of_the_source(kind):
    whole = {
        "parquet": parquet(TABLE), "arrow": arrow(TABLE), "orc": orc_file(TABLE), "avro": b"Obj\x01" + b"x" * 50,
        "excel": workbook([["a"], [1]]),
    }[kind]  # fmt: skip

    for data in (whole[: len(whole) // 2], b"PAR1 this is something else", b"PK\x03\x04"):
        with pytest.raises(SourceError) as caught:
            look_at(data, kind)

        assert caught.value.code == "source-damaged"


def test_damage_in_a_unit_is_found_when_it_is_read():
    data = bytearray(parquet(TABLE, compression="zstd", row_group_size=500))
    look = look_at(bytes(data), "parquet")
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)

    with pytest.raises(SourceError) as caught:
        batches(bytes(data), look)

    assert caught.value.code == "source-damaged"


def test_an_error_of_the_system_stays_what_it_is():
    def refused():
        raise PermissionError(13, "no")

    with pytest.raises(PermissionError):
        look_columnar(refused, "parquet", ReadOptions())


def test_avro_gives_the_types_of_its_schema():
    moment = dt.datetime(2024, 5, 6, 7, 8, 9, 123000, tzinfo=dt.UTC)
    name = uuid.UUID(int=5)
    fields = [
        {"name": "n", "type": ["null", "long"]},
        {"name": "i", "type": "int"},
        {"name": "u", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "d", "type": {"type": "int", "logicalType": "date"}},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
        {"name": "m", "type": {"type": "map", "values": "int"}},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
        {"name": "again", "type": "Kind"},
        {"name": "mixed", "type": ["int", "string", {"type": "array", "items": "int"}]},
        {"name": "number", "type": ["null", "int", "long"]},
        {"name": "part", "type": {"type": "record", "name": "Part", "fields": [{"name": "f", "type": "float"}]}},
        {"name": "raw", "type": {"type": "fixed", "name": "Two", "size": 2}},
    ]
    record = {
        "n": None, "i": 1, "u": name, "at": moment, "d": dt.date(2024, 1, 2), "price": Decimal("1.50"), "m": {"x": 1},
        "kind": "A", "again": "B", "mixed": [1], "number": 2**40, "part": {"f": 0.5}, "raw": b"ab",
    }  # fmt: skip

    look, table = read(avro(fields, [record] * 3), "avro")

    assert table.num_rows == 3
    assert table.to_pylist()[0] == {**record, "u": str(name), "m": [("x", 1)], "mixed": "[1]"}
    assert look.schema.field("price").type == pa.decimal128(10, 2)
    assert look.schema.field("i").type == pa.int32()
    assert look.schema.field("number").type == pa.int64()


def test_an_avro_type_that_holds_itself_is_refused():
    fields = [{"name": "next", "type": ["null", "row"]}]

    with pytest.raises(SourceError, match="row") as caught:
        look_at(avro(fields, []), "avro")

    assert caught.value.code == "type-not-read"


def test_excel_cells_get_the_least_types():
    day, noon = dt.date(2024, 1, 2), dt.datetime(2024, 1, 2, 12)  # noqa: DTZ001  a cell has no time zone
    data = workbook(
        [
            ["whole", "real", "day", "time", "code", "ok", "mixed", None],
            [1, 1.5, day, dt.time(1, 2), "00123", True, 1, 0],
            [None, None, None, None, None, None, None, None],
            [2**53, 2, noon, None, None, False, "x", None],
        ]
    )

    look, table = read(data, "excel")

    assert look.names == ("whole", "real", "day", "time", "code", "ok", "mixed", "column8")
    assert look.warnings == ("column 8 has no name; it is called 'column8'",)
    assert look.schema.types[:3] == [pa.int64(), pa.float64(), pa.timestamp("us")]
    assert table.to_pylist() == [
        dict(zip(look.names, [1, 1.5, dt.datetime(2024, 1, 2), dt.time(1, 2), "00123", True, "1", 0], strict=True)),  # noqa: DTZ001
        dict(zip(look.names, [2**53, 2.0, noon, None, None, False, "x", None], strict=True)),
    ]


def test_of_a_workbook_the_first_sheet_that_holds_anything_is_read():
    look, table = read(workbook([], [["a"], [1]], [["b"], [2]]), "excel")

    assert table.to_pylist() == [{"a": 1}]
    assert look.warnings == ("only the sheet 'sheet 2' was read, not 'sheet 1', 'sheet 3'",)


def test_a_workbook_on_disk_is_not_read_into_memory_beside_its_cells(tmp_path):
    class Unread(io.FileIO):
        def read(self, size=-1):
            raise AssertionError("the bytes need not come here")

        readall = read

    (tmp_path / "some.xlsx").write_bytes(workbook([["a"], [1]]))
    with Unread(tmp_path / "some.xlsx") as file:
        sheet = ExcelFile(file, ReadOptions())

        assert [batch.to_pylist() for batch in sheet.batches(0, sheet.schema)] == [[{"a": 1}]]


def test_an_excel_sheet_without_a_header_names_columns_by_place():
    look, table = read(workbook([["a", 1], ["b", 2]]), "excel", header=False)

    assert look.names == ("column1", "column2")
    assert table.num_rows == 2


def test_an_excel_sheet_is_all_text_where_no_types_are_to_be_found():
    day = dt.datetime(2024, 1, 2, 3)  # noqa: DTZ001  a cell has no time zone

    _, table = read(workbook([["n", "x", "ok", "day"], [5, 1.5, True, day]]), "excel", infer="none")

    assert table.to_pylist() == [{"n": "5", "x": "1.5", "ok": "true", "day": "2024-01-02 03:00:00"}]


def test_an_empty_workbook_is_an_empty_source():
    with pytest.raises(SourceError) as caught:
        look_at(workbook([]), "excel")

    assert caught.value.code == "empty-source"


def test_behind_the_head_of_a_sheet_a_batch_has_the_types_that_it_needs():
    data = workbook([["n", "mixed"], [1, "x"], [2, 5], *[[None, 7]] * 3, ["late", 8.5]])

    look = look_at(data, "excel", infer="sample:2")
    [batch] = batches(data, look)

    assert look.schema.types == [pa.int64(), pa.string()]
    assert batch.schema.types == [pa.string(), pa.string()]
    assert batch.column("n").to_pylist() == ["1", "2", None, None, None, "late"]
    assert batch.column("mixed").to_pylist() == ["x", "5", "7", "7", "7", "8.5"]


def test_a_number_beyond_what_a_cell_holds_exactly_is_no_integer():
    _, table = read(workbook([["n"], [1e300], [math.pi]]), "excel")

    assert table.schema.types == [pa.float64()]


def test_an_orc_file_of_times_that_cannot_be_read_is_not_called_damaged():
    out = io.BytesIO()
    orc.write_table(pa.table({"t": pa.array([dt.datetime(9999, 12, 31)], pa.timestamp("us"))}), out)  # noqa: DTZ001

    with pytest.raises(SourceError, match=r"out of range.*\[type-not-read\]"):
        read(out.getvalue(), "orc")
