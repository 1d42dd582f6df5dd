"""Rows that have types already fit into another schema exactly, or not at all."""

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest

from anabranch.formats.options import ReadOptions
from anabranch.schema.exact import cast_column, misfits
from anabranch.schema.fit import MisfitError
from anabranch.schema.plain import retyped
from anabranch.schema.tables import cast, examine, fitted

STAMP = dt.datetime(2024, 1, 1, 5)  # noqa: DTZ001  of no zone
INT, DOUBLE, TEXT = pa.int64(), pa.float64(), pa.string()


def fit(values, type_, *, nullable=True, **options):
    """Cast a column, as one whose type is given where a schema is; examined, the rows that are bad."""
    table, wanted = pa.table({"a": values}), pa.schema([pa.field("a", type_, nullable)])
    chosen = ReadOptions(**options)
    given = ("a",) if chosen.schema_file else ()
    bad = [row.row for row in examine(table, wanted, chosen.rules, given).bad]
    try:
        return cast(table, wanted, chosen.rules, given).column("a").to_pylist(), bad
    except MisfitError:
        return None, bad


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        (["007", None, "008"], INT), ([True, None, False], INT), ([STAMP, None, STAMP], INT),
        ([dt.time(1), None, dt.time(2)], INT), ([5, None, 6], pa.bool_()), ([5, None, 6], pa.timestamp("us")),
        ([STAMP, None, STAMP], pa.date32()), ([STAMP, None, STAMP], pa.time64("us")),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_a_conflict_though_arrow_casts_it(values, type_):
    assert fit(values, type_) == (None, [0, 2])


def test_of_texts_among_numbers_only_those_that_are_none_are_bad():
    """A block of numbers and one text is all text."""
    assert fit(["1", "abc", None, "007", ""], INT) == (None, [1, 3, 4])


def test_a_type_that_holds_all_of_another_takes_it():
    assert fit([1, None], DOUBLE) == ([1.0, None], [])
    assert fit([None, None], pa.date32()) == ([None, None], [])
    assert fit([dt.date(2024, 1, 1)], pa.timestamp("us"), on_conflict="widen") == ([dt.datetime(2024, 1, 1)], [])  # noqa: DTZ001
    assert fit([True, False], TEXT, on_conflict="string") == (["true", "false"], [])


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([5, 1], pa.bool_()), ([STAMP, dt.datetime(2024, 1, 1)], pa.date32()),  # noqa: DTZ001
        ([Decimal("0.1234567890123456789"), Decimal(1)], DOUBLE), ([1.5, 1.0], INT),
        (["9007199254740993", "1"], DOUBLE),
    ],
)  # fmt: skip
def test_a_type_that_is_given_takes_only_what_it_holds_exactly(values, type_):
    assert fit(values, type_, schema="any.json") == (None, [0])
    assert fit(values[1:], type_, schema="any.json")[0] is not None


def test_a_time_in_a_zone_becomes_the_same_moment_as_text():
    """In 1700 Tokyo was 9 h 18 min 59 s before Greenwich, which no offset says."""
    moment = dt.datetime(1700, 1, 1, tzinfo=dt.UTC)
    zoned = pa.array([moment, None], pa.timestamp("s", "Asia/Tokyo"))

    assert fit(zoned, TEXT, on_conflict="string") == (["1700-01-01 00:00:00Z", None], [])
    combined = fitted(pa.table({"a": zoned, "in": [[moment], None]}), pa.schema({"a": TEXT, "in": pa.list_(TEXT)}))
    assert combined.to_pylist()[0] == {"a": "1700-01-01 00:00:00Z", "in": ["1700-01-01 00:00:00.000000Z"]}


@pytest.mark.parametrize(
    ("type_", "wanted"),
    [
        (pa.timestamp("s"), pa.timestamp("ns")), (pa.timestamp("s", "Asia/Tokyo"), pa.timestamp("ns", "UTC")),
        (pa.timestamp("s"), TEXT), (pa.duration("s"), pa.duration("ns")),
    ],
    ids=str,
)  # fmt: skip
def test_a_time_that_python_has_no_value_for_is_a_conflict_like_any_other(type_, wanted):
    """The year 292277026596, and as many seconds."""
    last = pa.array([0, 2**63 - 1], pa.int64()).cast(type_)
    nested = pa.FixedSizeListArray.from_arrays(last, 1)

    assert fit(last, wanted, on_conflict="string") == (None, [1])
    if wanted != TEXT:
        assert fit(nested, pa.list_(wanted, 1)) == (None, [1])


def test_a_column_that_must_not_be_null_is_neither_null_nor_absent():
    assert fit([1, None], INT, nullable=False, schema="any.json") == (None, [1])

    wanted = pa.schema([pa.field("a", INT, nullable=False), pa.field("b", INT)])
    assert [row.column for row in examine(pa.table({"b": [1]}), wanted, ReadOptions().rules).bad] == ["a"]
    with pytest.raises(MisfitError):
        cast(pa.table({"b": [1]}), wanted, ReadOptions().rules)


def test_sampled_types_do_not_grow_but_where_the_sample_had_no_value():
    assert fit([1.5, None], INT, infer="sample:5") == (None, [0])
    assert fit([1.5, None], INT) == (None, [])

    wanted, seen = pa.schema([("a", pa.null())]), pa.table({"a": [1.5]})
    assert examine(seen, wanted, ReadOptions(infer="sample:5").rules).schema == seen.schema


def test_a_slice_is_cast_whatever_lies_beside_it():
    column = pa.chunked_array([pa.array([["1"], ["x"], ["2"]])])
    wanted = pa.large_list(pa.int64())

    assert cast_column(column.slice(0, 1), wanted).to_pylist() == [[1]]
    assert misfits(column, wanted).tolist() == [False, True, False]


@pytest.mark.parametrize("lists", [pa.list_(pa.null()), pa.list_(pa.string())], ids=str)
def test_lists_of_nulls_beside_times_in_a_zone_keep_their_length(lists):
    """Arrow's own cast of the list to itself makes an invalid array, which may end the process."""
    zoned = pa.struct([("t", pa.timestamp("us", "Asia/Tokyo")), ("l", pa.list_(pa.null()))])
    rows = [{"t": dt.datetime(2020, 1, 1, tzinfo=dt.UTC), "l": [None, None]}, None]

    found = retyped(
        pa.chunked_array([pa.array(rows, zoned)]), pa.struct([("t", pa.timestamp("us", "UTC")), ("l", lists)])
    )

    found.validate(full=True)
    assert found.to_pylist() == rows
