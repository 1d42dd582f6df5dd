import json
import pickle
from itertools import permutations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.core.errors import UsageError
from anabranch.schema.schema import ConflictError, dump_schema, load_schema, shown_type, unify, wider, writable

MODES = ("fail", "widen", "string")
FLAT = [
    pa.null(), pa.bool_(), pa.int8(), pa.int32(), pa.int64(), pa.uint8(), pa.uint32(), pa.uint64(), pa.float16(),
    pa.float32(), pa.float64(), pa.decimal128(38, 0), pa.decimal256(76, 0), pa.decimal128(5, 2), pa.decimal256(9, 1),
    pa.decimal128(38, 37), pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(),
    pa.binary(4), pa.binary(5), pa.binary_view(), pa.date32(), pa.date64(), pa.time32("s"), pa.time64("us"),
    pa.time64("ns"), pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("ns"), pa.timestamp("us", "UTC"),
    pa.timestamp("ns", "Europe/Berlin"), pa.duration("ms"), pa.duration("ns"),
    pa.dictionary(pa.int32(), pa.string()), pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int8(), pa.int64()),
]  # fmt: skip


def structs(inner):
    return st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(
        lambda fields: pa.struct(list(fields.items()))
    )


def nested(inner):
    lists = st.sampled_from([pa.list_, pa.large_list, pa.list_view, lambda item: pa.list_(item, 2)])
    return st.one_of(
        structs(inner),
        st.builds(lambda make, item: make(item), lists, inner),
        st.builds(pa.map_, st.just(pa.string()), inner),
    )


TYPES = st.recursive(st.sampled_from(FLAT), nested, max_leaves=4)
SCHEMAS = st.dictionaries(st.sampled_from("abc"), TYPES, max_size=3).map(lambda fields: pa.schema(list(fields.items())))


def unified(schemas, mode):
    try:
        return unify(schemas, mode)
    except ConflictError:
        return None


def nested_unified(one, two, three, mode):
    first = unified([one, two], mode)
    return None if first is None else unified([first, three], mode)


def in_order_of_names(type_):
    if isinstance(type_, pa.StructType):
        return tuple(sorted((field.name, in_order_of_names(field.type)) for field in type_))
    return str(type_) if not pa.types.is_nested(type_) else (type(type_), [in_order_of_names(type_.field(0).type)])


def as_sets(schema):
    return schema and {field.name: (in_order_of_names(field.type), field.nullable) for field in schema}


@pytest.mark.parametrize(
    ("one", "two", "least"),
    [
        (pa.null(), pa.int64(), pa.int64()),
        (pa.int8(), pa.uint8(), pa.int16()),
        (pa.int64(), pa.float64(), pa.float64()),
        (pa.int64(), pa.decimal128(38, 0), pa.decimal128(38, 0)),
        (pa.decimal128(38, 0), pa.decimal256(76, 0), pa.decimal256(76, 0)),
        (pa.int64(), pa.uint64(), pa.decimal128(20, 0)),
        (pa.decimal128(5, 2), pa.decimal128(5, 0), pa.decimal128(7, 2)),
        (pa.timestamp("us"), pa.timestamp("ns"), pa.timestamp("ns")),
        (pa.timestamp("us", "Asia/Tokyo"), pa.timestamp("us", "UTC"), pa.timestamp("us", "UTC")),
        (pa.dictionary(pa.int32(), pa.string()), pa.string(), pa.string()),
        (pa.binary(2), pa.binary(3), pa.binary()),
        (pa.list_(pa.null()), pa.list_(pa.int64()), pa.list_(pa.int64())),
    ],
)
def test_types_that_lose_nothing_join_without_a_conflict(one, two, least):
    assert wider(one, two, "fail") == least
    assert wider(two, one, "fail") == least


@pytest.mark.parametrize(
    ("one", "two", "widened"),
    [
        (pa.date32(), pa.timestamp("us"), pa.timestamp("us")),
        (pa.date32(), pa.timestamp("us", "UTC"), pa.string()),
        (pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.string()),
        (pa.decimal128(38, 0), pa.float64(), pa.string()),
        (pa.int64(), pa.string(), pa.string()),
        (pa.bool_(), pa.large_string(), pa.large_string()),
    ],
)
def test_scalars_of_two_kinds_are_a_conflict_that_may_be_widened(one, two, widened):
    with pytest.raises(ConflictError):
        wider(one, two, "fail")
    assert wider(one, two, "widen") == widened


def test_a_nested_value_and_a_scalar_are_a_conflict_unless_text_is_asked_for():
    struct = pa.struct([("b", pa.int64())])
    for mode in ("fail", "widen"):
        with pytest.raises(ConflictError):
            wider(struct, pa.int64(), mode)
    assert wider(struct, pa.int64(), "string") == pa.string()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("other", [pa.string(), pa.int64(), pa.struct([("x", pa.binary())])])
def test_binary_never_becomes_text(mode, other):
    with pytest.raises(ConflictError):
        wider(pa.binary(), other, mode)


def test_a_conflict_names_column_and_both_types():
    one = pa.schema([("a", pa.struct([("b", pa.list_(pa.int64()))]))])
    two = pa.schema([("a", pa.struct([("b", pa.list_(pa.bool_()))]))])
    with pytest.raises(ConflictError) as caught:
        unify([one, two], "fail")

    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.code, error.item) == ("type-conflict", "a.b[]")
    assert "int64" in error.reason
    assert "bool" in error.reason


def test_structs_merge_their_fields_in_the_order_first_seen():
    one = pa.schema([("a", pa.struct([("x", pa.int64())])), ("b", pa.null())])
    two = pa.schema([("c", pa.bool_()), ("a", pa.struct([("y", pa.string()), ("x", pa.float64())]))])

    merged = unify([one, two], "fail")

    assert merged.names == ["a", "b", "c"]
    assert merged.field("a").type == pa.struct([("x", pa.float64()), ("y", pa.string())])


def test_a_column_that_one_schema_lacks_may_be_null():
    required = pa.schema([pa.field("a", pa.int64(), nullable=False)])

    assert not unify([required, required], "fail").field("a").nullable
    assert unify([required, pa.schema([])], "fail").field("a").nullable


@given(SCHEMAS, SCHEMAS, SCHEMAS, st.sampled_from(MODES))
def test_unification_is_associative_and_but_for_the_order_commutative(one, two, three, mode):
    together = unified([one, two, three], mode)

    assert nested_unified(one, two, three, mode) == together
    right = unified([two, three], mode)
    assert (unified([one, right], mode) if right is not None else None) == together
    for order in permutations([one, two, three]):
        assert as_sets(unified(order, mode)) == as_sets(together)


@given(SCHEMAS, st.sampled_from(MODES))
def test_a_schema_unified_with_itself_is_itself(schema, mode):
    assert unify([schema, schema], mode).equals(schema)


def test_columns_without_a_value_are_settled_as_text():
    schema = pa.schema([("a", pa.null()), ("b", pa.list_(pa.null())), ("c", pa.struct([("d", pa.struct([]))]))])

    settled = writable(schema)

    assert settled.types == [pa.string(), pa.list_(pa.string()), pa.struct([("d", pa.string())])]
    assert writable(settled) == settled


@given(st.dictionaries(st.text(min_size=1, max_size=5), TYPES, min_size=1, max_size=3), st.booleans())
def test_a_dumped_schema_is_read_again(tmp_path_factory, fields, nullable):
    schema = pa.schema([pa.field(name, type_, nullable or type_ == pa.null()) for name, type_ in fields.items()])
    path = tmp_path_factory.getbasetemp() / "schema.json"
    path.write_text(json.dumps({"columns": dump_schema(schema)}))

    assert load_schema(path) == schema


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("int64", pa.int64()),
        ("decimal(38, 0)", pa.decimal128(38, 0)),
        ("timestamp[us]", pa.timestamp("us")),
        ("timestamp[us, UTC]", pa.timestamp("us", "UTC")),
        ("list<string>", pa.list_(pa.string())),
        ('struct<a: int64, "b c": list<double>>', pa.struct([("a", pa.int64()), ("b c", pa.list_(pa.float64()))])),
        ("map<string, int64>", pa.map_(pa.string(), pa.int64())),
        ("time64[us]", pa.time64("us")),
    ],
)
def test_types_are_shown_by_the_names_that_people_write(tmp_path, name, type_):
    path = tmp_path / "schema.json"
    path.write_text(json.dumps({"x": name}))

    assert shown_type(type_) == name
    assert load_schema(path).field("x").type == type_


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{", "line 1"),
        ("[]", "no columns"),
        ("5", "no columns"),
        ('{"a": "int65"}', "column 1 ('a')"),
        ('{"a": 5}', "column 1 ('a')"),
        ('{"a": "int64", "a": "string"}', "'a' occurs twice"),
        ('[{"name": "a", "type": "int64"}, {"type": "int64"}]', "column 2"),
        ('[{"name": "a", "type": "int64"}, {"name": "a", "type": "int64"}]', "'a' occurs twice"),
        ('[{"name": "a", "type": "int64", "nulable": true}]', "'nulable'"),
        ('{"a": "decimal(99, 0)"}', "column 1"),
        ('{"a": "decimal(x)"}', "column 1"),
        ('{"a": "struct<b>"}', "column 1"),
        ('{"a": "list<>"}', "column 1"),
        ('{"a": "timestamp[xs]"}', "column 1"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_a_bad_schema_file_is_refused_with_the_place(tmp_path, text, place):
    path = tmp_path / "schema.json"
    path.write_text(text)

    with pytest.raises(UsageError) as caught:
        load_schema(path)
    assert caught.value.code == "bad-schema"
    assert place in caught.value.reason


def test_a_schema_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"absent\.json: No such file or directory\. Name a file"):
        load_schema(tmp_path / "absent.json")
