"""Cells become values exactly, or faults; what stands beside a cell never matters."""

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.tables.coerce import coerce
from anabranch.tables.notation import Notation
from anabranch.tables.target import Column, ColumnType

EPOCH = dt.datetime.fromtimestamp(0, dt.UTC).replace(tzinfo=None)
KINDS = [
    "text", "varchar(3)", "char(2)", "smallint", "integer", "bigint", "numeric(8,2)", "numeric(40,3)", "numeric",
    "real", "double", "boolean", "date", "time(3)", "timestamp", "timestamp(3)", "timestamptz", "uuid", "json",
    "jsonb",
]  # fmt: skip
CELLS = [
    "", " ", "7", "007", " 7 ", "+7", "-0", "7.0", "7.5", "0x7", "1_000", "1,007", "1e2", "1E400", "1e-400", "32768",
    "9223372036854775808", "-9223372036854775808",
    "1.555", "1.550", ".5", "5.", "NaN", "inf", "-0.00", "t", "YES", "no",
    "2024-02-29", "2023-02-29", "2024-1-1", "20240101", "0001-01-01", "0000-01-01", "10:30", "24:00", "10:30:15.1234",
    "2024-01-01T00:00:00Z", "2024-01-01 00:00:00", "2024-01-01 00:00:00+05:30", "2024-01-01 00:00:60", "2024-01-01T10",
    "2024-01-01T1030", "2024-01-01 00:00:00.1234567", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", '{"a": 1}', '"\\u0000"',
    "[1e999]", "{", "a\0b", "żół", "żółt", "1" * 40, "0" * 60 + "1", "9999-12-31T23:59:59-18:00", "2024-01-01T00:00-19",
]  # fmt: skip
NOTATIONS = [
    Notation(),
    Notation(",", ".", ("%d.%m.%Y", "%d.%m.%Y %H:%M"), "Europe/Berlin"),
    Notation(thousands=" ", date_formats=("%d %b %Y",), zone="UTC"),
]


def taken(kind, cells, notation=NOTATIONS[0], *, nullable=True):
    """Coerce the cells; give the values, with the code of the fault instead where there is one."""
    found = coerce(pa.array(cells, pa.string()), Column("c", ColumnType.parse(kind), nullable), notation)
    values = found.values.to_pylist()
    for row, code, _ in found.faults:
        values[row] = code
    assert found.values.type == ColumnType.parse(kind).arrow
    return values


@pytest.mark.parametrize(("kind", "cell", "value"), [
    ("bigint", " 007 ", 7),
    ("bigint", "7.00", 7),
    ("bigint", "4.91235E+11", "bad_integer"),
    ("bigint", "9223372036854775808", "out_of_range"),
    ("bigint", "", "bad_integer"),
    ("numeric(8,2)", "01.500", Decimal("1.50")),
    ("numeric(8,2)", "1e2", Decimal("100.00")),
    ("numeric(8,2)", "1.555", "precision_loss"),
    ("numeric(8,2)", "1234567.00", "out_of_range"),
    ("numeric(8,2)", "NaN", "bad_decimal"),
    ("numeric", "1e3", "1000"),
    ("real", "1e39", "out_of_range"),
    ("double", "1e-400", "out_of_range"),
    ("boolean", "Y", True),
    ("date", "2023-02-29", "bad_date"),
    ("time", "24:61", "bad_time"),
    ("timestamp", "2024-01-01T00:00:00Z", "bad_timestamp"),
    ("timestamp(3)", "2024-01-01 00:00:59.9996", "precision_loss"),
    ("timestamptz", "2024-01-01 00:00:00", "bad_timestamp"),
    ("uuid", "{6BA7B810-9DAD-11D1-80B4-00C04FD430C8}", bytes.fromhex("6ba7b8109dad11d180b400c04fd430c8")),
    ("varchar(4)", "żółt", "żółt"),
    ("varchar(3)", "żółt", "too_long"),
    ("text", "a\0b", "nul_character"),
    ("jsonb", '"\\u0000"', "nul_character"),
    ("jsonb", '"\\\\u0000"', '"\\\\u0000"'),
    ("json", "{", "bad_json"),
])  # fmt: skip
def test_a_cell_is_taken_exactly_or_rejected_with_its_reason(kind, cell, value):
    assert taken(kind, [cell]) == [value]


@pytest.mark.properties
@given(
    st.sampled_from(KINDS),
    st.lists(st.one_of(st.none(), st.sampled_from(CELLS), st.text(max_size=6)), min_size=1, max_size=4),
    st.sampled_from(NOTATIONS),
)
def test_a_cell_means_the_same_whatever_stands_beside_it(kind, cells, notation):
    alone = [taken(kind, [cell], notation)[0] for cell in cells]

    assert repr(taken(kind, cells, notation)) == repr(alone)


@pytest.mark.properties
@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9))
def test_decimals_keep_every_digit(number):
    assert taken("numeric(15,3)", [str(number), f"{number:f}"]) == [number, number]


@pytest.mark.properties
@given(st.datetimes(), st.integers(0, 17), st.integers(0, 59))
def test_instants_are_those_that_python_reads(moment, hours, minutes):
    zone = dt.timezone(dt.timedelta(hours=hours, minutes=minutes))
    text = moment.replace(tzinfo=zone).isoformat()

    found = coerce(pa.array([text], pa.string()), Column("c", ColumnType.parse("timestamptz")), Notation())

    wanted = (moment - EPOCH) // dt.timedelta(microseconds=1)
    assert found.values.cast(pa.int64()).to_pylist() == [wanted - (hours * 60 + minutes) * 60_000_000]


@pytest.mark.parametrize(("cell", "value"), [
    ("1.234,50", Decimal("1234.50")),
    ("1.234", Decimal("1234.00")),
    ("1,234.56", "bad_decimal"),
    ("1.23", "bad_decimal"),
    ("-1.000.000", Decimal("-1000000.00")),
])  # fmt: skip
def test_numbers_are_read_in_the_notation_that_is_declared(cell, value):
    assert taken("numeric(12,2)", [cell], Notation(",", ".")) == [value]


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u202f"])
def test_a_blank_between_thousands_stands_for_the_no_break_ones_too(blank):
    assert taken("integer", [f"1{blank}234{blank}567"], Notation(thousands=" ")) == [1_234_567]


def test_a_local_time_that_a_clock_change_skips_or_repeats_is_rejected():
    cells = ["2023-03-26 02:30:00", "2023-10-29 02:30:00", "2023-10-29 03:30:00"]

    found = taken("timestamptz", cells, Notation(zone="Europe/Berlin"))

    assert found[:2] == ["bad_timestamp", "bad_timestamp"]
    assert found[2].astimezone(dt.UTC) == dt.datetime(2023, 10, 29, 2, 30, tzinfo=dt.UTC)


def test_a_null_is_a_fault_only_where_the_column_or_the_key_needs_a_value():
    assert taken("text", [None]) == [None]
    assert taken("text", [None, ""], nullable=False) == ["null_not_allowed", ""]
    key = coerce(pa.array([None], pa.string()), Column("c", ColumnType("text")), Notation(), null_key=True)
    assert [fault.code for fault in key.faults] == ["null_key"]
