from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anabranch.schema.fit import MisfitError
from anabranch.schema.narrowing import cast, fits, least, natural, widened

KINDS = {
    pa.int64(): ("0", "7", "-7", "9223372036854775807", "-9223372036854775808"),
    pa.decimal128(38, 0): ("9223372036854775808", "-9223372036854775809", "9" * 38, "-" + "9" * 38),
    pa.decimal256(76, 0): ("1" + "0" * 38, "9" * 76),
    pa.float64(): ("0.5", "-0.5", "-0.0", "1e3", "1E-3", "1e+300", ".5", "5.", "-.5", "0.0", "0e0", "123.4500"),
    pa.bool_(): ("true", "True", "TRUE", "false", "False", "FALSE"),
    pa.date32(): ("2024-02-29", "0001-01-01", "9999-12-31"),
    pa.timestamp("us"): ("2024-02-29T12:30", "0001-01-01 00:00:00", "2024-01-01T00:00:00.123456"),
    pa.timestamp("ns"): ("2024-02-29 12:30:00.1234567", "2024-02-29T12:30:00.123456789"),
    pa.timestamp("us", "UTC"): ("2024-02-29T12:30Z", "2024-02-29 12:30:00+01:00", "2024-02-29T12:30:00.5-0530"),
    pa.timestamp("ns", "UTC"): ("2024-02-29T12:30:00.123456789Z",),
    pa.time64("us"): ("12:30", "00:00:00", "23:59:59.999999"),
    pa.string(): (
        "00123", "+5", "-0", "-00.5", "007.5", "+1.5", " 5", "5 ", "\t5", "0x1F", "0x9999999999", "1_000", "1,5",
        "9" * 77, "1" * 78, "1" * 80, "9" * 400, "1" + "0" * 400,
        "1e999", "nan", "NaN", "inf", "-Infinity", ".", "-", "e5", "1e", "tRuE", "yes", "t", "2024-02-30",
        "0000-01-01", "2024-1-1", " 2024-01-01", "2024-01-01T12", "2024-01-01T24:00:00", "2024-01-01T12:30:60",
        "2024-01-01T12:30:00,5", "2024-01-01t12:30", "2024-01-01T12:30:00.", "2024-01-01T12:30:00 Z", "2024-01-01Z",
        "1500-01-01T00:00:00.1234567", "24:00:00", "1:30", "12:30:00.1234567", "٣", "text", "NA", '"', "\0",
    ),
}  # fmt: skip
CELLS = st.sampled_from([None, "", *(cell for cells in KINDS.values() for cell in cells)])
COLUMNS = st.lists(CELLS, max_size=6).map(lambda cells: pa.array(cells, pa.string()))
TYPES = st.sampled_from([*KINDS, pa.null()])
MANNERS = st.sampled_from(["strict", "wide", "given"])


@pytest.mark.parametrize(("kind", "cell"), [(kind, cell) for kind, cells in KINDS.items() for cell in cells])
def test_a_cell_has_the_least_type_that_says_the_same(kind, cell):
    assert least(pa.array([cell, None])) == kind


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        (pa.int64(), "-7", -7),
        (pa.decimal128(38, 0), "9" * 38, Decimal("9" * 38)),
        (pa.float64(), "1E-3", 0.001),
        (pa.bool_(), "TRUE", True),
        (pa.date32(), "2024-02-29", date(2024, 2, 29)),
        (pa.timestamp("us"), "2024-02-29 12:30", datetime(2024, 2, 29, 12, 30)),  # noqa: DTZ001  it has no zone
        (pa.timestamp("us", "UTC"), "2024-02-29T12:30:00+01:00", datetime(2024, 2, 29, 11, 30, tzinfo=UTC)),
        (pa.time64("us"), "12:30", time(12, 30)),
        (pa.int64(), "", None),
        (pa.string(), "", ""),
    ],
)
def test_a_cell_becomes_the_value_that_it_says(kind, cell, value):
    assert cast(pa.array([cell, None]), kind, "strict").to_pylist() == [value, None]


@pytest.mark.parametrize(
    ("cells", "strict", "wide"),
    [
        ([None, None], pa.null(), pa.null()),
        ([], pa.null(), pa.null()),
        (["", None], pa.string(), pa.string()),
        (["", "5"], pa.int64(), pa.int64()),
        (["5", "0.5"], pa.float64(), pa.float64()),
        (["9007199254740992", "0.5"], pa.float64(), pa.float64()),
        (["9007199254740993", "0.5"], pa.string(), pa.string()),
        (["5", "9223372036854775808", "9" * 76], pa.decimal256(76, 0), pa.decimal256(76, 0)),
        (["2024-02-29T12:30:00.123456789", "2024-02-29T12:30"], pa.timestamp("ns"), pa.timestamp("ns")),
        (["2024-02-29", "2024-02-29T12:30"], pa.string(), pa.timestamp("us")),
        (["2024-02-29", "2024-02-29T12:30:00.123456789"], pa.string(), pa.timestamp("ns")),
        (["2024-02-29T12:30", "2024-02-29T12:30Z"], pa.string(), pa.string()),
        (["1", "true"], pa.string(), pa.string()),
        (["00123", "5"], pa.string(), pa.string()),
    ],
)
def test_a_column_has_the_least_type_that_holds_all_its_cells_in_any_order(cells, strict, wide):
    for column in (cells, cells[::-1]):
        assert least(pa.array(column, pa.string())) == strict
        assert least(pa.array(column, pa.string()), "wide") == wide


@given(COLUMNS, MANNERS)
def test_the_least_type_holds_the_column(cells, manner):
    values = cast(cells, least(cells, manner), manner)

    assert len(values) == len(cells)
    assert values.null_count == sum(
        not cell and (cell is None or values.type != "string") for cell in cells.to_pylist()
    )


@given(COLUMNS, TYPES, MANNERS)
@example(pa.array(["0x9999999999", "5"]), pa.int64(), "strict")
@example(pa.array(["0", " 2024-01-01"]), pa.date32(), "strict")
@example(pa.array(["-0", "0.5"]), pa.float64(), "strict")
@example(pa.array(["2024-02-29", None, "2024-02-29T12:30"]), pa.timestamp("us"), "strict")
def test_a_column_is_cast_exactly_if_each_of_its_cells_is(cells, kind, manner):
    alone = [list(fits(cells[place : place + 1], kind, manner)) == [True] for place in range(len(cells))]

    assert fits(cells, kind, manner).tolist() == alone
    for place, fit in enumerate(alone):
        if fit:
            cast(cells[place : place + 1], kind, manner)
        else:
            with pytest.raises(MisfitError):
                cast(cells[place : place + 1], kind, manner)
    if all(alone):
        assert len(cast(cells, kind, manner)) == len(cells)
    else:
        with pytest.raises(MisfitError):
            cast(cells, kind, manner)


@given(st.lists(st.integers(-(2**63), 2**63 - 1).map(str) | st.sampled_from(["-0", "00", "0x1f", "+1", " 1"])))
def test_integers_are_read_only_if_they_can_be_written_back(cells):
    canonical = all(cell == str(int(cell, 16 if "x" in cell else 10)) for cell in cells)

    assert fits(pa.array(cells, pa.string()), pa.int64(), "strict").all() == canonical
    if canonical:
        assert list(map(str, cast(pa.array(cells, pa.string()), pa.int64(), "strict").to_pylist())) == cells


@given(st.integers(-(2**70), 2**70))
def test_an_integer_is_a_double_only_where_the_double_is_the_integer(number):
    exact = int(float(number)) == number
    for manner in ("strict", "given"):
        assert fits(pa.array([str(number)]), pa.float64(), manner).tolist() == [exact]


@st.composite
def numerals(draw):
    digits = st.sampled_from("159").flatmap(lambda digit: st.integers(0, 90).map(lambda count: digit * count))
    exponent = draw(st.just("") | st.integers(-90, 90).map("e{}".format))
    return f"{draw(st.sampled_from(['', '-']))}{draw(digits) or 0}.{draw(digits) or 0}{exponent}"


@given(
    numerals(),
    st.sampled_from([pa.decimal128(38, 2), pa.decimal128(38, 38), pa.decimal256(76, 10), pa.decimal256(76, 40)]),
)
@example("1e-77", pa.decimal128(38, 2))
@example("1" * 72, pa.decimal256(76, 40))
def test_a_decimal_is_the_number_that_is_written_or_none(numeral, kind):
    fit = fits(pa.array([numeral]), kind, "given").tolist() == [True]

    values = cast(pa.array([numeral]), kind, "given").to_pylist() if fit else []
    assert [Decimal(numeral)] * fit == values


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (pa.int64(), ("00123", " 5", "-0", "0x1F"), ("1.0", "9223372036854775808", "x")),
        (pa.float64(), ("-0", "007", "inf", "+1.5"), ("1e999", "9007199254740993")),
        (pa.uint8(), ("255",), ("256", "-1")),
        (pa.float32(), ("0.1", "16777216", "nan"), ("16777217", "1e39", "x")),
        (pa.decimal128(5, 2), ("1.5", "1.250", "-999.99"), ("1.255", "1000", "9" * 39)),
        (pa.bool_(), ("1", "0", "TRUE", " false"), ("2", "yes")),
        (pa.date32(), ("2024-02-29",), ("2024-02-30", "2024-02-29T12:30:00")),
        (pa.timestamp("ms"), ("2024-02-29", "2024-02-29T12:30:00.123"), ("2024-02-29T12:30:00.1234",)),
        (pa.timestamp("ns"), ("2024-02-29",), ("1500-01-01",)),
        (pa.time32("s"), ("12:30:01",), ("12:30:00.5", "25:00")),
        (pa.string(), ("", "x"), ()),
        (pa.large_string(), ("x",), ()),
        (pa.duration("s"), (), ("5",)),
    ],
)
def test_a_type_that_the_user_named_takes_all_that_it_holds_exactly(kind, good, bad):
    assert fits(pa.array([*good, *bad, None]), kind, "given").tolist() == [True] * len(good) + [False] * len(bad) + [
        True
    ]


def test_columns_grow_naturally_only_where_nothing_is_lost():
    assert natural(pa.int64()) == (pa.int64(), pa.decimal128(38, 0), pa.decimal256(76, 0), pa.float64())
    assert natural(pa.date32()) == (pa.date32(),)
    assert widened(pa.date32()) == (pa.date32(), pa.timestamp("us"), pa.timestamp("ns"))
    assert widened(pa.timestamp("us")) == natural(pa.timestamp("us")) == (pa.timestamp("us"), pa.timestamp("ns"))
