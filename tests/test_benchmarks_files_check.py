"""The check of a benchmark's outputs compares every value, in any order of the rows, and notices what is not equal."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from benchmarks.files_check import Outline, contained, content_of, outline
from benchmarks.files_data import orders, write
from benchmarks.files_kinds import NESTED, ORDERS, SCHEMAS

ROWS = 500
NESTED_ROWS = [
    {
        "id": number,
        "user": {"name": f"n{number}", "city": None if number == 3 else "Köln"},
        "tags": None if number == 4 else ["a", "bb"][: number % 3],
        "items": [{"sku": "S", "count": number}, {"sku": "T", "count": None}][: number % 3],
        "amount": None if number == 5 else number / 3,
        "at": "2026-01-01",
    }
    for number in range(9)
]


def nested(rows=NESTED_ROWS):
    return pa.Table.from_pylist(rows, schema=NESTED)


def column(table, name, change):
    """The table with another column of that name, made from a list of the values of the old one."""
    values = table[name].to_pylist()
    change(values)
    field = table.schema.field(name)
    return table.set_column(table.schema.get_field_index(name), field, pa.array(values, field.type))


def changed(place, value):
    return lambda values: values.__setitem__(place, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", 7_000_000),
        ("customer", "customer-1x"),
        ("city", ""),
        ("comment", None),
        ("amount", 0.125),
        ("quantity", 1001),
        ("at", 0),
    ],
)
def test_one_changed_value_is_noticed_in_a_column_of_any_type(name, value):
    rows = orders(0, ROWS, 0)

    assert content_of(column(rows, name, changed(321, value)), ORDERS) != content_of(rows, ORDERS)


def test_one_flag_the_other_way_is_noticed():
    rows = orders(0, ROWS, 0)
    other = column(rows, "paid", changed(321, not rows["paid"][321].as_py()))

    assert content_of(other, ORDERS) != content_of(rows, ORDERS)


@pytest.mark.parametrize(("name", "empty"), [("amount", 0.0), ("id", 0), ("customer", ""), ("paid", False), ("at", 0)])
def test_null_is_neither_zero_nor_false_nor_an_empty_text(name, empty):
    one, other = (pa.table({name: pa.array([value], ORDERS.field(name).type)}) for value in (empty, None))

    assert content_of(one, one.schema) != content_of(other, one.schema)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda rows: rows.slice(1), id="a row lost"),
        pytest.param(lambda rows: pa.concat_tables([rows, rows.slice(7, 1)]), id="a row doubled"),
        pytest.param(lambda rows: pa.concat_tables([rows.slice(1), rows.slice(7, 1)]), id="one lost, another doubled"),
        pytest.param(lambda rows: pa.concat_tables([rows.slice(2), *[rows.slice(7, 1)] * 2]), id="one there thrice"),
    ],
)
@pytest.mark.parametrize("rows", [orders(0, ROWS, 0), nested()], ids=["flat", "nested"])
def test_rows_that_are_lost_or_doubled_are_noticed(rows, change):
    assert content_of(change(rows), rows.schema) != content_of(rows, rows.schema)


@pytest.mark.parametrize(("one", "other"), [("customer", "city"), ("id", "quantity")])
def test_values_under_the_name_of_another_column_are_noticed(one, other):
    rows = orders(0, ROWS, 0)
    names = {one: other, other: one}
    swapped = rows.rename_columns([names.get(name, name) for name in rows.column_names]).select(rows.column_names)

    assert content_of(swapped, ORDERS) != content_of(rows, ORDERS)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda rows: rows.select([1, 0, *range(2, 8)]), id="other order"),
        pytest.param(lambda rows: rows.drop_columns(["paid"]), id="one less"),
        pytest.param(lambda rows: rows.set_column(0, "id", rows["id"].cast(pa.string())), id="other type"),
        pytest.param(
            lambda rows: rows.set_column(7, "at", rows["at"].cast(pa.timestamp("us", "UTC"))), id="other zone"
        ),
    ],
)
def test_other_columns_are_refused(change):
    with pytest.raises(ValueError, match=r"columns .* instead of"):
        content_of(change(orders(0, 5, 0)), ORDERS)


def test_values_that_changed_rows_are_noticed():
    rows = orders(0, ROWS, 0)

    assert content_of(column(rows, "id", list.reverse), ORDERS) != content_of(rows, ORDERS)


@pytest.mark.parametrize("rows", [orders(0, ROWS, 0), nested()], ids=["flat", "nested"])
def test_the_order_of_the_rows_and_how_they_are_cut_do_not_matter(rows):
    backwards = rows.take(list(range(len(rows)))[::-1])
    pieces = pa.concat_tables([backwards.slice(0, 3), backwards.slice(3, 2), backwards.slice(5)])

    assert content_of(pieces, rows.schema) == content_of(rows, rows.schema)


@pytest.mark.parametrize("unit", ["s", "ms", "ns"])
def test_timestamps_of_any_unit_are_equal(unit):
    rows = orders(0, ROWS, 0)
    other = rows.set_column(7, "at", rows["at"].cast(pa.timestamp(unit)))

    assert content_of(other, ORDERS) == content_of(rows, ORDERS)


def test_texts_are_equal_however_they_are_laid_out():
    rows = orders(0, ROWS, 0)
    large = rows.set_column(1, "customer", rows["customer"].cast(pa.large_string()))

    assert content_of(large, ORDERS) == content_of(rows, ORDERS)


def test_both_zeros_are_equal():
    one, other = (pa.table({"amount": [value]}) for value in (0.0, -0.0))

    assert content_of(one, one.schema) == content_of(other, one.schema)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user", {"name": "n1", "city": "Lyon"}),
        ("user", {"name": "Köln", "city": "n1"}),
        ("user", None),
        ("tags", ["b"]),
        ("tags", ["a", None]),
        ("tags", []),
        ("tags", None),
        ("items", [{"sku": "S", "count": 2}]),
        ("items", [{"sku": "S", "count": None}]),
        ("items", [{"sku": "S", "count": 1}] * 2),
    ],
)
def test_one_changed_value_is_noticed_within_nested_ones(name, value):
    assert content_of(column(nested(), name, changed(1, value)), NESTED) != content_of(nested(), NESTED)


@pytest.mark.parametrize("lists", [[["a", "b"]], [["b", "a"]], [["ab"]], [["ab", ""]], [["a"], ["b"]]])
def test_the_elements_of_a_list_count_by_their_place_and_their_list(lists):
    type_ = pa.list_(pa.string())
    usual = pa.table({"tags": pa.array([["", "ab"]], type_)})

    assert content_of(pa.table({"tags": pa.array(lists, type_)}), usual.schema) != content_of(usual, usual.schema)


@pytest.mark.parametrize(("one", "other"), [("ab", "ba"), ("a", "a\0"), ("", "\0"), ("x" * 5000, "x" * 5001)])
def test_texts_of_equal_letters_are_told_apart(one, other):
    first, second = (pa.table({"a": [text]}) for text in (one, other))

    assert content_of(first, first.schema) != content_of(second, first.schema)


@pytest.mark.parametrize("kind", ["csv", "flat", "nested"])
def test_a_changed_letter_of_a_file_is_noticed(kind, tmp_path):
    source = tmp_path / f"a.{'csv' if kind == 'csv' else 'jsonl'}"
    write(kind, source, 0.02)
    before = contained(tmp_path, SCHEMAS[kind])

    text = source.read_text()
    assert "Porto" in text
    source.write_text(text.replace("Porto", "Parto", 1))

    assert contained(tmp_path, SCHEMAS[kind]) != before
    assert contained(tmp_path, None).rows == before.rows


def test_what_is_in_several_files_is_added_up(tmp_path):
    rows = orders(0, ROWS, 0)
    pq.write_table(rows.slice(100), tmp_path / "a.parquet", row_group_size=150)
    (tmp_path / "more").mkdir()
    csv.write_csv(rows.slice(0, 100), tmp_path / "more" / "b.csv")

    assert contained(tmp_path, ORDERS) == content_of(rows, ORDERS)


def test_an_outline_counts_rows_of_parquet_and_lines_of_text(tmp_path):
    rows = orders(0, ROWS, 0)
    quoted = pc.sum(pc.count_substring(rows["comment"], "\n")).as_py()
    pq.write_table(rows, tmp_path / "a.parquet")
    csv.write_csv(rows, tmp_path / "b.csv")

    size = sum(path.stat().st_size for path in tmp_path.iterdir())

    assert quoted > 0
    assert outline(tmp_path) == Outline(ROWS + 1 + ROWS + quoted, size)
