"""Records as text: nothing inferred, every record counted, those that cannot be read returned with their reason."""

import csv
import io
import json
from decimal import Decimal

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.formats import reading
from anabranch.formats.cells import Field
from anabranch.formats.options import ReadOptions, keeping
from anabranch.sources.finding import find

OPTIONS = keeping(ReadOptions())


def cells_of(path, fields=(), options=OPTIONS):
    """Read a file as cells: one entry for each chunk."""
    source = find([str(path)]).sources[0]
    look = reading.look_at(source, options)
    units = range(max(len(look.units), 1))
    return [(chunk, chunk.cells(fields)) for chunk in reading.chunks(source, look, options, units)]


def written(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def rows(cells):
    return [tuple(row.values()) for row in cells.table.to_pylist()]


def test_an_unquoted_empty_cell_is_null_and_a_quoted_one_is_empty_text(tmp_path):
    ((_, cells),) = cells_of(written(tmp_path / "a.csv", 'id,t\n007,\n1e5,""\nNA,null\n'))

    assert rows(cells) == [("007", None), ("1e5", ""), ("NA", "null")]


def test_records_that_cannot_be_read_are_returned_with_their_place(tmp_path):
    text = b'id,t\n1,a\n2\n\n3,"x\ny"\n4,\xff\n5,"a"b\n6,"open\nend'

    ((_, cells),) = cells_of(written(tmp_path / "a.csv", text))

    assert rows(cells) == [("1", "a"), ("3", "x\ny")]
    assert cells.numbers.tolist() == [0, 2]
    assert [(fault.record, fault.code, fault.column) for fault in cells.faults] == [
        (1, "field_count", ""), (3, "bad_encoding", "t"), (4, "stray_quote", "t"), (5, "unterminated_quote", "")
    ]  # fmt: skip
    assert cells.locate([1, 2, 5]) == [(1, 9, b"2"), (3, 12, b'3,"x\ny"'), (7, 31, b'6,"open\nend')]


def test_comments_and_escapes_change_no_place(tmp_path):
    text = b'# a, "b\nid,t\n# ,"c\n1,a\\,b\n2\n#\n3,"x\\"\ny"\n'
    options = keeping(ReadOptions(comment="#", escape="\\"))

    ((_, cells),) = cells_of(written(tmp_path / "a.csv", text), options=options)

    assert rows(cells) == [("1", "a,b"), ("3", 'x"\ny')]
    assert [(fault.record, fault.code) for fault in cells.faults] == [(1, "field_count")]
    assert cells.locate([0, 1, 2]) == [(1, 19, b"1,a\\,b"), (2, 26, b"2"), (4, 30, b'3,"x\\"\ny"')]


TEXTS = st.one_of(st.none(), st.text(alphabet='a", \nż7', max_size=4))


@pytest.mark.properties
@given(st.lists(st.tuples(st.text("ab1", min_size=1, max_size=3), TEXTS, TEXTS), min_size=1, max_size=20))
def test_delimited_cells_are_what_was_written_and_lie_where_they_are_said_to(tmp_path_factory, records):
    folder = tmp_path_factory.mktemp("cells")
    out = io.StringIO()
    starts, lines = [], []
    out.write("k,a,b\n")
    for record in records:
        starts.append(len(out.getvalue().encode()))
        lines.append(out.getvalue().count("\n") - 1)
        out.write(",".join("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in record) + "\n")
    text = out.getvalue().encode()

    ((_, cells),) = cells_of(written(folder / "a.csv", text), options=keeping(ReadOptions(delimiter=",")))

    assert (rows(cells), cells.records) == (records, len(records))
    found = cells.locate(range(len(records)))
    assert [(place.line, place.byte) for place in found] == list(zip(lines, starts, strict=True))
    again = [next(csv.reader(io.StringIO(place.raw.decode()))) for place in found]
    assert again == [["" if cell is None else cell for cell in record] for record in records]


def test_json_numbers_keep_their_digits_and_paths_lead_into_records(tmp_path):
    lines = ['{"a": 1.10, "b": {"c": 12345678901234567890123}}', "", "[1]", "{", '{"a": "x", "b": 7}', '{"d": true}']
    fields = [Field("a", ("a",)), Field("c", ("b", "c")), Field("b", ("b",), as_json=True)]

    ((_, cells),) = cells_of(written(tmp_path / "a.jsonl", "\n".join(lines)), fields)

    big = "12345678901234567890123"
    assert rows(cells) == [("1.10", big, f'{{"c":{big}}}'), ("x", None, "7"), (None, None, None)]
    assert [(fault.record, fault.code) for fault in cells.faults] == [(1, "not_an_object"), (2, "bad_json")]
    assert cells.unknown == {"d"}
    assert cells.locate([1]) == [(2, len(lines[0]) + 2, b"[1]")]


JSON = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False, places=2),
    st.text(max_size=3),
)


@pytest.mark.properties
@given(st.lists(st.fixed_dictionaries({"a": JSON, "b": JSON}), min_size=1, max_size=10))
def test_the_quick_way_through_json_gives_what_the_slow_one_gives(tmp_path_factory, records):
    folder = tmp_path_factory.mktemp("json")
    lines = "\n".join(
        json.dumps({key: float(value) if hasattr(value, "as_tuple") else value for key, value in record.items()})
        for record in records
    )
    path = written(folder / "a.jsonl", lines)
    fields = [Field("a", ("a",)), Field("b", ("b",))]

    ((_, quick),) = cells_of(path, fields)
    ((_, slow),) = cells_of(path, [*fields, Field("c", ("a", "none"))])

    assert quick.table.to_pylist() == slow.table.select(["a", "b"]).to_pylist()


def test_typed_values_become_text_that_reads_back_the_same(tmp_path):
    table = pa.table({
        "i": pa.array([9007199254740993, None]),
        "d": pa.array([Decimal("0.1250"), None], pa.decimal128(12, 4)),
        "t": pa.array([1_704_164_645_000_006, None], pa.timestamp("us", "Europe/Paris")),
        "s": pa.array(["x", None]).dictionary_encode(),
        "l": pa.array([[1, 2], None]),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "a.parquet")

    ((_, cells),) = cells_of(tmp_path / "a.parquet")

    stamp = "2024-01-02 03:04:05.000006Z"
    assert rows(cells) == [("9007199254740993", "0.1250", stamp, "x", "[1,2]"), (None,) * 5]
    assert cells.locate([0])[0].raw == f'"9007199254740993","0.1250","{stamp}","x","[1,2]"'.encode()


def test_a_sheet_is_chosen_by_name_and_its_error_cells_are_text(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["not", "data"])
    sheet = book.create_sheet("Stock")
    for row in ([], ["", "sku", "n"], ["", "007", 12.0], ["", 12, "#N/A"], ["", "x", 2.5]):
        sheet.append(row)
    book.save(tmp_path / "a.xlsx")
    options = keeping(ReadOptions(sheet="Stock", infer="none"))

    ((_, cells),) = cells_of(tmp_path / "a.xlsx", options=options)

    assert [row[-2:] for row in rows(cells)] == [("007", "12"), ("12", "#N/A"), ("x", "2.5")]
    with pytest.raises(reading.SourceError, match="no sheet 'stock'"):
        cells_of(tmp_path / "a.xlsx", options=keeping(ReadOptions(sheet="stock")))


def test_a_line_that_names_the_delimiter_is_no_header(tmp_path):
    ((_, cells),) = cells_of(written(tmp_path / "a.csv", "sep=;\r\na;b\r\n1,5;x\r\n"))

    assert (cells.table.column_names, rows(cells)) == (["a", "b"], [("1,5", "x")])
