"""Names and types are read as SQL writes them."""

import pyarrow as pa
import pytest

from anabranch.core.errors import UsageError
from anabranch.tables.target import Column, ColumnType, TableName, Target, row_schema


@pytest.mark.parametrize(("written", "kind", "numbers", "arrow"), [
    ("text", "text", (None, None, None), pa.string()),
    ("CHARACTER VARYING (20)", "varchar", (20, None, None), pa.string()),
    ("char", "char", (1, None, None), pa.string()),
    ("int", "integer", (None, None, None), pa.int32()),
    ("numeric(8,2)", "numeric", (None, 8, 2), pa.decimal128(8, 2)),
    ("decimal(20)", "numeric", (None, 20, 0), pa.decimal128(20, 0)),
    ("numeric", "numeric", (None, None, None), pa.string()),
    ("numeric(40,2)", "numeric", (None, 40, 2), pa.string()),
    ("double precision", "double", (None, None, None), pa.float64()),
    ("timestamp(3) without time zone", "timestamp", (None, 3, None), pa.timestamp("us")),
    ("timestamp(0) with time zone", "timestamptz", (None, 0, None), pa.timestamp("us", "UTC")),
    ("uuid", "uuid", (None, None, None), pa.binary(16)),
])  # fmt: skip
def test_a_type_is_read_as_sql_writes_it(written, kind, numbers, arrow):
    found = ColumnType.parse(written)

    assert (found.kind, (found.length, found.precision, found.scale), found.arrow) == (kind, numbers, arrow)
    assert ColumnType.parse(str(found)) == found


@pytest.mark.parametrize("written", ["", "point", "text(3)", "integer(4)", "numeric(8,2,1)", "time with time zone"])
def test_a_type_that_takes_no_records_is_a_usage_error(written):
    with pytest.raises(UsageError, match="column-type"):
        ColumnType.parse(written)


@pytest.mark.parametrize(("written", "schema", "name"), [
    ("orders", None, "orders"),
    ("Sales.Orders", "sales", "orders"),
    ('"Sales Dep"."Order.Items"', "Sales Dep", "Order.Items"),
    ('"a""b" . c', 'a"b', "c"),
    ('"100%{}"', None, "100%{}"),
])  # fmt: skip
def test_a_name_is_read_as_sql_writes_it(written, schema, name):
    found = TableName.parse(written)

    assert found == TableName(schema, name)
    assert TableName.parse(str(found)) == found


@pytest.mark.parametrize("written", ["", ".", "a.", "a b", "1a", "a.b.c", 'a"b"', '"a', '""', "a;drop table b"])
def test_what_is_not_a_name_is_a_usage_error(written):
    with pytest.raises(UsageError, match="table-name"):
        TableName.parse(written)


def test_a_file_of_rows_has_the_number_and_the_columns_of_the_file():
    target = Target(TableName(None, "t"), (Column("a", ColumnType("text")), Column("b", ColumnType("bigint"))))

    assert row_schema(target, ["b"]).names == ["record", "b"]


def test_a_column_of_a_foreign_type_cannot_be_filled():
    target = Target(TableName(None, "t"), (Column("p", None, declared="point"),))

    with pytest.raises(UsageError, match="column p is of type point"):
        row_schema(target, ["p"])
