"""Records become tables that hold their values exactly."""

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.core.errors import SourceError
from anabranch.schema import records
from tests.examples import examples

SCALARS = {
    "int": st.integers(-(10**30), 10**30),
    "double": st.floats(allow_nan=False),
    "text": st.text(),
    "bool": st.booleans(),
    "bytes": st.binary(),
    "date": st.dates(),
    "time": st.times(),
    "timestamp": st.datetimes(),
    "utc": st.datetimes(timezones=st.just(dt.UTC)),
    "decimal": st.decimals(-(10**20), 10**20, places=4),
}
NESTED = {name: st.lists(values, max_size=3) for name, values in SCALARS.items() if name != "bytes"}
STRUCT = st.fixed_dictionaries({}, optional={**SCALARS, **{f"{name}s": values for name, values in NESTED.items()}})
RECORD = st.fixed_dictionaries({}, optional={**SCALARS, "struct": STRUCT, "list": st.lists(STRUCT, max_size=2)})


def like(value, type_):
    """Return a value as a column of this type holds it: fields that are missing are null there."""
    if value is None:
        return None
    if pa.types.is_struct(type_):
        return {field.name: like(value.get(field.name), field.type) for field in type_}
    if pa.types.is_list(type_):
        return [like(item, type_.value_type) for item in value]
    return value


@examples(60)
@given(st.lists(RECORD, max_size=6))
def test_a_table_holds_every_value_exactly(rows):
    table = records.table(rows)

    assert table.to_pylist() == ([like(row, pa.struct(table.schema)) for row in rows] if table.num_columns else [])


@examples(60)
@given(st.lists(st.one_of(*(values for name, values in SCALARS.items() if name != "bytes")), min_size=1))
def test_a_column_of_several_kinds_holds_texts_and_json(values):
    column = records.table([{"a": value} for value in values]).column(0)

    if column.type == pa.string():
        assert column.to_pylist() == [records.as_text(value) for value in values]
    else:
        assert column.to_pylist() == values


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1, "00123"], ["1", "00123"]),
        ([True, 2, None], ["true", "2", None]),
        ([2**53 + 1, 0.5], ["9007199254740993", "0.5"]),
        ([{"a": 1}, [dt.date(2020, 1, 1), "é"]], ['{"a": 1}', '["2020-01-01", "é"]']),
        ([Decimal("1.10"), "x"], ["1.10", "x"]),
        ([10**80, 1], [str(10**80), "1"]),
    ],
)
def test_what_no_type_holds_becomes_text(values, texts):
    column = records.table([{"a": value} for value in values]).column(0)

    assert column.type == pa.string()
    assert column.to_pylist() == texts


@pytest.mark.parametrize("values", [[b"x", "y"], [object()], [float("nan"), {1}], [Decimal("NaN")]])
def test_what_is_no_value_of_a_table_is_an_error(values):
    with pytest.raises(SourceError, match="value-unknown"):
        records.table([{"a": value} for value in values])


def test_tables_are_small_where_rows_are_large():
    rows = [{"a": "x" * (6 << 20)}] * 7

    assert [table.num_rows for table in records.tables(rows, 1)] == [3, 3, 1]
    assert [table.num_rows for table in records.tables([{"a": 1}] * 2500, 1)] == [1024, 1024, 452]
    assert list(records.tables([], 1)) == []


@pytest.mark.parametrize(("head", "types"), [(1, ["string", "list<item: int64>"]), (2, ["string", "string"])])
def test_a_column_that_begins_with_several_kinds_is_text_throughout(head, types):
    rows = [{"a": "x"}, {"a": [1]}, *[{}] * 1022, *[{"a": [2]}] * 10]

    assert [str(table.schema.field("a").type) for table in records.tables(rows, head)] == types
