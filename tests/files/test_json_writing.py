import base64
import datetime as dt
import json
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.core.errors import SourceError
from anabranch.formats.delimited.writing import csv_rows
from anabranch.formats.json.writing import json_lines

DAYS = st.dates()
MOMENTS = st.datetimes(dt.datetime.fromisoformat("1700-01-01"), dt.datetime.fromisoformat("2200-01-01"))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
FLAT = {
    pa.null(): st.none(),
    pa.bool_(): st.booleans(),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float64(): NUMBERS,
    pa.float32(): st.floats(width=32, allow_nan=False, allow_infinity=False),
    pa.decimal128(38, 10): st.decimals(-(10**20), 10**20, places=10),
    pa.decimal256(76, 0): st.integers(-(10**75), 10**75).map(Decimal),
    pa.string(): st.text(),
    pa.large_string(): st.text(max_size=3),
    pa.binary(): st.binary(max_size=5),
    pa.date32(): DAYS,
    pa.time64("us"): st.times(),
    pa.timestamp("us"): MOMENTS,
    pa.timestamp("ms", "Asia/Tokyo"): MOMENTS.map(lambda m: m.replace(microsecond=m.microsecond // 1000 * 1000)),
    pa.dictionary(pa.int32(), pa.string()): st.sampled_from(["a", 'b"']),
}


def flat():
    return st.sampled_from([(type_, st.none() | values) for type_, values in FLAT.items()])


def lists(inner):
    type_, values = inner
    return st.sampled_from([pa.list_, pa.large_list]).map(
        lambda make: (make(type_), st.none() | st.lists(values, max_size=3))
    )


def structs(one, two):
    fields = {"x": one, 'y"\n': two}
    type_ = pa.struct([(name, inner[0]) for name, inner in fields.items()])
    return type_, st.none() | st.fixed_dictionaries({name: inner[1] for name, inner in fields.items()})


def maps(inner):
    type_, values = inner
    entries = st.dictionaries(st.text(max_size=2), values, max_size=2).map(lambda found: list(found.items()))
    return pa.map_(pa.string(), type_), st.none() | entries


COLUMNS = st.recursive(
    flat(), lambda inner: inner.flatmap(lists) | st.builds(structs, inner, inner) | inner.map(maps), max_leaves=3
)


def expected(value, type_):  # noqa: PLR0911
    """What json.loads must give for a value, its numbers as Decimal."""
    if value is None:
        return None
    if pa.types.is_dictionary(type_):
        return value
    if pa.types.is_map(type_):
        return {key: expected(item, type_.item_type) for key, item in value}
    if pa.types.is_struct(type_):
        return {field.name: expected(value[field.name], field.type) for field in type_}
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return [expected(item, type_.value_type) for item in value]
    if pa.types.is_binary(type_):
        return base64.b64encode(value).decode()
    if pa.types.is_timestamp(type_):
        return value.replace(tzinfo=type_.tz and dt.UTC)
    return value


def read(value, type_):  # noqa: PLR0911
    """Read what json.loads gave as a value of the type."""
    if value is None or pa.types.is_binary(type_) or pa.types.is_dictionary(type_):
        return value
    if pa.types.is_map(type_):
        return {key: read(item, type_.item_type) for key, item in value.items()}
    if pa.types.is_struct(type_):
        return {field.name: read(value[field.name], field.type) for field in type_}
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return [read(item, type_.value_type) for item in value]
    if pa.types.is_temporal(type_):
        kinds = {pa.types.is_date: dt.date, pa.types.is_time: dt.time, pa.types.is_timestamp: dt.datetime}
        return next(kind for check, kind in kinds.items() if check(type_)).fromisoformat(value)
    if pa.types.is_decimal(type_):
        return Decimal(value)
    if pa.types.is_floating(type_):
        assert any(mark in value for mark in ".e")
        return pa.scalar(float(value), type_).as_py()
    return int(value) if pa.types.is_integer(type_) else value


def loads(line):
    return json.loads(line, parse_int=str, parse_float=str)


def written(table):
    lines = json_lines(table).decode().split("\n")
    assert lines.pop() == ""
    return lines


def one(value, type_):
    return written(pa.table({"a": pa.array([value], type_)}))[0][len('{"a":') : -1]


def test_a_map_of_lists_without_values():
    entries = [[("", [None, None])], None, [("a", [None]), ("b", [])], [], [("z", None)]]
    table = pa.table({"m": pa.array(entries, pa.map_(pa.string(), pa.list_(pa.null())))})
    expected = [{"": [None, None]}, None, {"a": [None], "b": []}, {}, {"z": None}]

    assert [json.loads(line)["m"] for line in written(table)] == expected
    assert [json.loads(line)["m"] for line in written(table.slice(2, 2))] == expected[2:4]
    assert written(table.slice(1, 1)) == ['{"m":null}']


@pytest.mark.parametrize("type_", [pa.float64(), pa.float32()], ids=str)
def test_whole_numbers_of_any_size_are_written_as_floating_ones(type_):
    powers = [float(factor * 10**place) for place in range(38) for factor in (1, -1, 2, 9, 1.5)]
    values = pa.array([*powers, *(power - 1 for power in powers), *(2.0**place for place in range(127))], pa.float64())
    values = values.cast(type_, safe=False)

    lines = written(pa.table({"a": values}))

    found = [json.loads(line, parse_int=int, parse_float=float)["a"] for line in lines]
    assert {type(value) for value in found} == {float}
    assert pa.array(found, pa.float64()).cast(type_, safe=False).equals(values)


@given(st.data())
def test_what_is_written_is_read_again_as_the_same_values(data):
    type_, values = data.draw(COLUMNS)
    other, others = data.draw(COLUMNS)
    size = data.draw(st.integers(0, 4))
    rows = (
        data.draw(st.lists(values, min_size=size, max_size=size)),
        data.draw(st.lists(others, min_size=size, max_size=size)),
    )
    table = pa.Table.from_arrays([pa.array(rows[0], type_), pa.array(rows[1], other)], ["a", "é\\"])
    start = data.draw(st.integers(0, size))

    for part, first in ((table, 0), (table.slice(start), start), (pa.concat_tables([table, table]), 0)):
        lines = written(part)
        assert len(lines) == part.num_rows
        for line, one_value, two_value in zip(lines, rows[0][first:], rows[1][first:], strict=False):
            found = loads(line)
            assert list(found) == ["a", "é\\"]
            assert read(found["a"], type_) == expected(one_value, type_)
            assert read(found["é\\"], other) == expected(two_value, other)


@pytest.mark.parametrize(
    ("value", "type_", "text"),
    [
        (1.0, pa.float64(), "1.0"),
        (-0.0, pa.float64(), "-0.0"),
        (0.1, pa.float32(), "0.1"),
        (1e15, pa.float64(), "1e+15"),
        (5e-324, pa.float64(), "5e-324"),
        (2**63 - 1, pa.int64(), "9223372036854775807"),
        (Decimal("99999999999999999999.50"), pa.decimal128(38, 2), "99999999999999999999.50"),
        (True, pa.bool_(), "true"),
        (dt.date(2024, 2, 29), pa.date32(), '"2024-02-29"'),
        (dt.datetime.fromisoformat("2024-01-02T03:04:05"), pa.timestamp("us"), '"2024-01-02T03:04:05"'),
        (dt.datetime.fromisoformat("2024-01-02T03:04:05.007"), pa.timestamp("ns"), '"2024-01-02T03:04:05.007"'),
        (dt.datetime(2024, 1, 2, 3, tzinfo=dt.UTC), pa.timestamp("us", "Asia/Tokyo"), '"2024-01-02T03:00:00Z"'),
        (dt.timedelta(seconds=2), pa.duration("ms"), '"00:00:02"'),
        (b"\xff\x00", pa.binary(), '"/wA="'),
        ("é\u2028/", pa.string(), '"é\u2028/"'),
        ('\\"\n\t\x00\x1f\x7f', pa.string(), '"\\\\\\"\\n\\t\\u0000\\u001f\x7f"'),
        ([[("k", 1)]], pa.list_(pa.map_(pa.string(), pa.int64())), '[{"k":1}]'),
        ([(1, None)], pa.map_(pa.int64(), pa.int64()), '{"1":null}'),
        ([(dt.date(2024, 2, 29), 1)], pa.map_(pa.date32(), pa.int64()), '{"2024-02-29":1}'),
        ([(b"\xff", 1)], pa.map_(pa.binary(), pa.int64()), '{"/w==":1}'),
        ([([1], 1)], pa.map_(pa.list_(pa.int64()), pa.int64()), '{"[1]":1}'),
        ([(["a"], 1)], pa.map_(pa.list_(pa.string()), pa.int64()), '{"[\\"a\\"]":1}'),
        ({}, pa.struct([]), "{}"),
        ([1, 2], pa.list_(pa.int8(), 2), "[1,2]"),
        ([], pa.list_view(pa.int8()), "[]"),
    ],
)
def test_values_have_one_way_to_be_written(value, type_, text):
    assert one(value, type_) == text
    assert one(None, type_) == "null"


def test_an_encoded_column_is_written_by_its_values():
    table = pa.table({"a": pa.RunEndEncodedArray.from_arrays([2, 3], ["x", None])})

    assert written(table) == ['{"a":"x"}', '{"a":"x"}', '{"a":null}']


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_json_does_not_know_is_refused_with_its_column(value):
    with pytest.raises(SourceError) as caught:
        json_lines(pa.table({"a": [{"b": [0.5, value]}]}))
    assert (caught.value.code, caught.value.item) == ("not-a-number", "a.b[]")


def test_a_number_hidden_by_a_null_parent_harms_nothing():
    hidden = pa.StructArray.from_arrays([pa.array([float("nan")])], ["b"], mask=pa.array([True]))

    assert written(pa.table({"a": hidden})) == ['{"a":null}']


def test_rows_without_columns_are_empty_objects():
    table = pa.Table.from_batches([pa.RecordBatch.from_struct_array(pa.array([{}, {}], pa.struct([])))])

    assert written(table) == ["{}", "{}"]


def test_a_batch_is_written_like_a_table_and_a_long_one_like_its_pieces():
    table = pa.table({"a": range(150_000), "b": ["x"] * 150_000})

    assert json_lines(table) == b"".join(json_lines(batch) for batch in table.to_batches(max_chunksize=1000))


@pytest.mark.parametrize(
    ("type_", "per_day"),
    [
        (pa.date32(), 1), (pa.date64(), 86_400_000), (pa.timestamp("s"), 86_400), (pa.timestamp("us"), 86_400_000_000),
        (pa.timestamp("ms", "Asia/Tokyo"), 86_400_000),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("write", [json_lines, lambda table: csv_rows(table, ",")], ids=["json", "csv"])
def test_a_date_has_a_text_or_is_refused_with_its_column(type_, per_day, write):
    first, last = -12_687_428, 11_248_737  # days of the years -32767 and 32767
    whole = pa.int32() if type_ == pa.date32() else pa.int64()

    def text(day):
        dates = pa.array([None, day * per_day], whole).cast(type_)
        return bytes(write(pa.table({"id": [1, 2], "nested": [{"d": None}, {"d": None}], "d": dates}))).decode()

    assert "-32767-01-01" in text(first)
    assert "32767-12-31" in text(last)
    for day in (first - 1, last + 1):
        with pytest.raises(SourceError) as caught:
            text(day)
        assert (caught.value.code, caught.value.item) == ("type-not-written", "d")


def test_what_a_nested_column_cannot_say_in_csv_is_refused_with_its_name():
    with pytest.raises(SourceError) as caught:
        csv_rows(pa.table({"a": [[1.5], [float("nan")]]}), ",")
    assert caught.value.item == "a[]"
