import csv
import io
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anabranch.formats.delimited.blocks import blocks
from anabranch.formats.delimited.dialect import look_delimited
from anabranch.formats.delimited.parsing import examine, parse
from anabranch.formats.model import Dialect, Look
from anabranch.formats.options import ReadOptions
from anabranch.schema import narrowing
from anabranch.schema.fit import MisfitError

CELLS = st.sampled_from(
    ["", "1", "-7", "00123", "2.5", "9007199254740993", "9223372036854775808", "true", "2024-02-29", "2024-02-29T12:30",
     "2024-02-29T12:30:00.123456789", "text", "é", '5" pipe', '"hi"', "a,b", "two\nlines", "two\r\nlines", "\r", "\0"]
)  # fmt: skip
RAGGED = st.lists(
    st.sampled_from([b"1", b".5", b"00", b"x", b'"', b'""', b",", b",", b"\n", b"\n", b"\r\n", b"\r", b"\xc3", b"\xa9"])
).map(b"".join)  # fmt: skip
POLICIES = st.sampled_from(["fail", "widen", "string"])
INFER = st.sampled_from(["all", "sample:1", "sample:1000", "none"])
STRINGS = pa.schema([("a", pa.string()), ("b", pa.string())])


def look(*names: str, **dialect) -> Look:
    return Look("csv", dialect=Dialect(**dialect), names=names or ("a", "b"))


def cut(block: bytes, bad) -> bytes:
    kept, begin = b"", 0
    for row in bad:
        kept += block[begin : row.offset]
        begin = row.offset + row.size
    return kept + block[begin:]


def written(rows, delimiter: str, newline: str, every: bool) -> str:
    """Write rows as everybody does: quotes where need be, or around every cell."""
    return "".join(
        delimiter.join(
            '"{}"'.format(cell.replace('"', '""')) if every or set(cell) & {'"', "\r", "\n", delimiter} else cell
            for cell in row
        )
        + newline
        for row in rows
    )


@given(
    st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=8),
    st.tuples(st.sampled_from(",;\t|"), st.sampled_from(["\n", "\r\n", "\r", "\r\r\n"]), st.booleans()),
    st.booleans(),
    st.integers(1, 64),
)
def test_any_blocks_give_the_rows_that_were_written(rows, style, mark, block):
    text = b"\xef\xbb\xbf" * mark + written([("a", "b", "c"), *rows], *style).encode()
    options = ReadOptions(infer="none", delimiter=style[0])
    found = look_delimited(text, True, options, "csv")
    tables = [parse(piece, found, found.schema, options) for piece in blocks(io.BytesIO(text), found, block=block)]
    cells = [tuple(row.values()) for table in tables for row in table.to_pylist()]

    assert found.names == ("a", "b", "c")
    assert cells == [tuple(cell or ("" if style[2] else None) for cell in row) for row in rows]


@given(RAGGED, st.lists(CELLS, min_size=2, max_size=2), POLICIES, INFER)
@example(b'1,"a"b\n2,c', ["1", "text"], "fail", "all")
@example(b"1,x\r\r\n\n2\n", ["1", "text"], "fail", "all")
def test_what_is_left_without_the_bad_rows_can_be_parsed(text, head, policy, infer):
    options = ReadOptions(on_conflict=policy, infer=infer)
    header = io.StringIO()
    csv.writer(header, lineterminator="\n").writerows([("a", "b"), head])
    found = look_delimited(header.getvalue().encode(), True, options, "csv")
    seen = examine(text, found, found.schema, options)
    left = cut(text, seen.bad)
    table = parse(left, found, seen.schema, options)

    assert table.num_rows == seen.rows - len(seen.bad)
    assert table.schema == seen.schema
    assert not examine(left, found, seen.schema, options).bad
    assert [row.row for row in seen.bad] == sorted({row.row for row in seen.bad})
    for row in seen.bad:
        assert text[row.offset : row.offset + row.size].decode(errors="backslashreplace").startswith(row.raw)


@given(RAGGED)
def test_rows_are_numbered_as_the_csv_module_reads_them(text):
    text = text.replace(b"\xc3", b"").replace(b"\xa9", b"")
    rows = list(filter(None, csv.reader(io.StringIO(text.decode(), newline=""))))
    seen = examine(text, look(), STRINGS, ReadOptions())
    bad = {row.row: row.reason for row in seen.bad}
    kept = [[cell or None for cell in row] for number, row in enumerate(rows) if number not in bad]
    table = parse(cut(text, seen.bad), look(), STRINGS, ReadOptions())

    assert seen.rows == len(rows)
    assert {number for number, row in enumerate(rows) if len(row) != 2} <= set(bad)
    assert all(len(rows[number]) != 2 for number, reason in bad.items() if reason.startswith("expected"))
    assert [[cell or None for cell in row.values()] for row in table.to_pylist()] == kept


@given(RAGGED)
@example(b',"')
def test_a_block_is_parsed_if_and_only_if_no_row_is_bad(text):
    options = ReadOptions(infer="none")
    if examine(text, look(), STRINGS, options).bad:
        with pytest.raises(MisfitError):
            parse(text, look(), STRINGS, options)
    else:
        parse(text, look(), STRINGS, options)


@pytest.mark.parametrize(
    ("block", "row", "offset", "raw", "reason"),
    [
        (b"1,2\n3\n", 1, 4, "3", "expected 2 cells, found 1"),
        (b"1,2\r\n\r\n3,4,5\r\n6,7\r\n", 1, 7, "3,4,5", "expected 2 cells, found 3"),
        (b'1,"a"b\n', 0, 0, '1,"a"b', "column 'b': text follows the quote that closes the cell"),
        (b'1,2\n3,"4\n', 1, 4, '3,"4\n', "a quote is never closed"),
        (b"1,2\n3,\xff\n", 1, 4, "3,\\xff", "column 'b': invalid UTF-8: byte 0xff, the row's byte 2"),
        (b"1,2\n3,\xc3\n", 1, 4, "3,\\xc3", "column 'b': invalid UTF-8: byte 0xc3, the row's byte 2"),
    ],
)
def test_a_row_that_no_parser_should_read_is_told_exactly(block, row, offset, raw, reason):
    (bad,) = examine(block, look(), STRINGS, ReadOptions()).bad

    assert (bad.row, bad.offset, bad.raw, bad.reason) == (row, offset, raw, reason)


def test_a_value_of_another_type_is_a_bad_row_that_names_both_types():
    schema = pa.schema([("a", pa.int64()), ("b", pa.bool_())])
    block = b"1,true\nx,true\n3,1\n4,\n"
    seen = examine(block, look(), schema, ReadOptions())

    assert (seen.rows, seen.schema) == (4, schema)
    assert [(bad.row, bad.column, bad.value, bad.expected, bad.found) for bad in seen.bad] == [
        (1, "a", "x", "int64", "string"),
        (2, "b", "1", "bool", "int64"),
    ]
    assert seen.bad[0].reason == "column 'a': 'x' is string, where int64 is expected"


@pytest.mark.parametrize(
    ("options", "cells", "kind", "bad"),
    [
        ({}, b"1\n0.5", pa.float64(), 0),
        ({}, b"1\n9223372036854775808", pa.decimal128(38, 0), 0),
        ({}, b"1\n9007199254740993\n0.5", pa.int64(), 1),
        ({}, b"1\n0.5\n0.25\n9007199254740993", pa.float64(), 1),
        ({}, b"00123\n1", pa.int64(), 1),
        ({"on_conflict": "string"}, b"00123\n1", pa.string(), 0),
        ({"on_conflict": "widen"}, b"00123\n1", pa.string(), 0),
        ({"infer": "sample:5"}, b"1\n0.5", pa.int64(), 1),
        ({"infer": "sample:5", "on_conflict": "widen"}, b"1\n0.5", pa.float64(), 0),
        ({"infer": "sample:5", "on_conflict": "string"}, b"1\n0.5", pa.string(), 0),
        ({"schema_file": "types.json"}, b"00123\n 5", pa.int64(), 0),
        ({"schema_file": "types.json", "on_conflict": "string"}, b"1\n0.5", pa.int64(), 1),
        ({"null_values": ["NA"]}, b'1\nNA\n""', pa.int64(), 0),
    ],
)  # fmt: skip
def test_a_column_of_integers_becomes_what_the_policy_allows(options, cells, kind, bad):
    seen = examine(cells, look("a"), pa.schema([("a", pa.int64())]), ReadOptions(**options))

    assert (seen.schema.field("a").type, len(seen.bad)) == (kind, bad)


def test_only_columns_whose_types_the_user_named_are_read_leniently():
    schema, options = pa.schema([("a", pa.int64()), ("b", pa.int64())]), ReadOptions(schema_file="types.json")
    named = replace(look(), given=("a",))

    assert parse(b"001,1\n", named, schema, options).to_pylist() == [{"a": 1, "b": 1}]
    with pytest.raises(MisfitError):
        parse(b"1,001\n", named, schema, options)
    assert examine(b"1,0.5\n", named, schema, options).schema.field("b").type == pa.float64()
    assert look_delimited(b"a\n1\n001\n", True, options, "csv").schema.types == [pa.string()]


@given(
    st.lists(
        st.sampled_from(["1", "007", " 5", "-0", "0x1f", '""', "", "2.5", "nan", "1e999", "128", "9007199254740993"])
    ),
    st.sampled_from([pa.int8(), pa.int64(), pa.float64()]),
)  # fmt: skip
@example(["9007199254740993", "nan"], pa.float64())
def test_numbers_that_are_read_at_once_are_those_that_are_read_from_text(cells, kind):
    schema, options = pa.schema([("a", kind), ("b", pa.string())]), ReadOptions(schema_file="types.json")
    block = "".join(f"{cell},x\n" for cell in cells).encode()
    text = pa.array([cell.strip('"') or None for cell in cells], pa.string())
    if narrowing.holds(text, kind, "given"):
        values = parse(block, look(), schema, options)["a"].to_pylist()
        assert list(map(str, values)) == list(map(str, narrowing.cast(text, kind, "given").to_pylist()))
    else:
        with pytest.raises(MisfitError):
            parse(block, look(), schema, options)


def test_dates_among_timestamps_are_a_conflict_unless_types_may_widen():
    schema, block = pa.schema([("a", pa.timestamp("us"))]), b"2024-02-29T12:30\n2024-02-29\n"
    with pytest.raises(MisfitError):
        parse(block, look("a"), schema, ReadOptions())

    assert len(examine(block, look("a"), schema, ReadOptions()).bad) == 1
    assert parse(block, look("a"), schema, ReadOptions(on_conflict="widen")).num_rows == 2
    dates = pa.schema([("a", pa.date32())])
    assert examine(block, look("a"), dates, ReadOptions(on_conflict="widen")).schema == schema


def test_an_empty_column_becomes_what_comes_later():
    seen = examine(b",1\nx,2\n", look(), pa.schema([("a", pa.null()), ("b", pa.null())]), ReadOptions())

    assert seen.schema == pa.schema([("a", pa.string()), ("b", pa.int64())])
    assert not seen.bad


def test_only_text_tells_an_empty_cell_from_a_missing_one():
    schema = pa.schema([("a", pa.string()), ("b", pa.int64())])
    table = parse(b'"",""\n,\nNA,NA\n"NA",1\n', look(), schema, ReadOptions(null_values=["NA"]))

    assert table["a"].to_pylist() == ["", None, None, "NA"]
    assert table["b"].to_pylist() == [None, None, None, 1]


def test_a_column_that_must_not_be_null_makes_bad_rows():
    schema = pa.schema([pa.field("a", pa.int64(), nullable=False), pa.field("b", pa.string(), nullable=False)])
    options = ReadOptions(schema_file="types.json")
    seen = examine(b'1,""\n,x\n3,\n', look(), schema, options)

    assert [(bad.row, bad.column, bad.found) for bad in seen.bad] == [(1, "a", "null"), (2, "b", "null")]
    with pytest.raises(MisfitError):
        parse(b"3,\n", look(), schema, options)


@pytest.mark.parametrize("block", [b"", b"\n", b"\r\n\r\n"])
def test_a_block_of_no_rows_is_an_empty_table(block):
    schema = pa.schema([("a", pa.int64()), ("b", pa.null())])

    assert parse(block, look(), schema, ReadOptions()) == schema.empty_table()
    assert examine(block, look(), schema, ReadOptions()).rows == 0


def test_a_table_has_exactly_the_columns_of_the_schema():
    schema = pa.schema([("c", pa.int64()), ("b", pa.int64()), ("a", pa.int64())])
    table = parse(b"1,2\n", look(), schema, ReadOptions())

    assert table.to_pylist() == [{"c": None, "b": 2, "a": 1}]
    assert examine(b"1,2\n", look(), schema, ReadOptions()).schema == schema


def test_rows_may_be_wide():
    names = [f"c{place}" for place in range(10_000)]
    block = (",".join("1" for _ in names) + "\n").encode() * 3
    schema = pa.schema([(name, pa.int64()) for name in names])

    assert parse(block, look(*names), schema, ReadOptions()).num_rows == 3
    (bad,) = examine(block + b"1,2\n", look(*names), schema, ReadOptions()).bad
    assert bad.reason == "expected 10000 cells, found 2"


def test_the_quote_may_be_another_or_none():
    assert parse(b"'a,b',\"c\n", look(quote="'"), STRINGS, ReadOptions()).to_pylist() == [{"a": "a,b", "b": '"c'}]
    assert parse(b'"a,b"\n', look(quote=""), STRINGS, ReadOptions()).to_pylist() == [{"a": '"a', "b": 'b"'}]
