import json
import math
from contextlib import suppress
from decimal import Decimal
from itertools import islice
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.formats.json import examining as json_examining
from anabranch.formats.json import lines as json_lines
from anabranch.formats.json.lines import examine, look_json, parse
from anabranch.formats.json.types import type_of
from anabranch.formats.json.values import Integer, MalformedError, Number, decoded, text_of
from anabranch.formats.model import Look
from anabranch.formats.options import ReadOptions
from anabranch.schema.fit import RAW, MisfitError
from anabranch.schema.schema import load_schema
from tests.files.converting import convert

BIG = pa.decimal128(38, 0)
BAD_LINES = [
    b'{"a":', b"5", b"[1]", b"null", b'{"a":1,"a":2}', b'{"a":{"b":1,"b":2}}', b'{"a":nan}', b'{"a":-inf}',
    b'{"a":"\xff"}', b'{"\xff":1}', b'{"a":"\\ud800"}', b'{"a":1} {"a":2}', b'{"a":01}', b'{"a":"x\ty"}',
    b'{"a":' + b"[" * 1000 + b"]" * 1000 + b"}", b'{"a":1},', b"\xef\xbb\xbf{}", b'{"a":0e999}', b'{"a":1e400}',
    b'{"a":1}\r{"a":2}',
]  # fmt: skip

INTEGERS = st.one_of(
    st.integers(-5, 5),
    st.sampled_from([2**53 + 1, 2**63 - 1, -(2**63), 2**63, 10**20, 10**37, 10**50, 10**90, 9007199254740993]),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), INTEGERS, st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=4),
    st.sampled_from(["2024-01-01", "2024-01-01T00:00:00Z", "5", "", '\u2028\x7f\n"\\']),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xy"), inner), max_leaves=4
)
RECORDS = st.dictionaries(st.sampled_from(["a", "b", "é c"]), VALUES)
LINES = st.builds(
    lambda record, spaced, ascii_, end: (
        json.dumps(record, separators=None if spaced else (",", ":"), ensure_ascii=ascii_).encode() + end
    ),
    RECORDS, st.booleans(), st.booleans(), st.sampled_from([b"", b"\r", b" "]),
)  # fmt: skip
BLOCKS = st.lists(LINES | st.sampled_from([b"", b" \r", *BAD_LINES]), max_size=8)
OPTIONS = st.builds(
    ReadOptions,
    format=st.just("jsonl"),
    infer=st.sampled_from(["all", "none", "sample:2"]),
    on_conflict=st.sampled_from(["fail", "widen", "string"]),
)


def lines_of(block):
    return [line for line in block.split(b"\n") if line.strip()]


def without(block, bad):
    for row in reversed(bad):
        block = block[: row.offset] + block[row.offset + row.size :]
    return block


def expected(value, type_):  # noqa: PLR0911
    """The value as a table of this type gives it to Python."""
    if value is None:
        return None
    if pa.types.is_struct(type_):
        return {field.name: expected(value.get(field.name), field.type) for field in type_}
    if pa.types.is_list(type_):
        return [expected(item, type_.value_type) for item in value]
    if pa.types.is_string(type_):
        return text_of(value)
    if pa.types.is_decimal(type_):
        return Decimal(value)
    if pa.types.is_integer(type_):
        assert isinstance(value, Integer)
        return int(value)
    if pa.types.is_floating(type_):
        assert isinstance(value, Number)
        assert not isinstance(value, Integer) or int(float(value)) == int(value)
        return float(value)
    assert isinstance(value, bool)
    return value


def rows(table):
    return table.to_pylist() if table.num_columns else [{}] * table.num_rows


def look_and_parse(block, head=None, **options):
    options = ReadOptions(**options)
    look = look_json(block if head is None else head, whole=True, options=options)
    try:
        return parse(block, look, look.schema, options), ()
    except MisfitError:
        seen = examine(block, look, look.schema, options)
        return parse(without(block, seen.bad), look, seen.schema, options), seen.bad


def test_records_become_a_table_of_the_least_types():
    block = b'{"id":1,"x":0.5,"n":"a","ok":true,"t":[1,null],"u":{"v":"2024-01-01"},"z":null}\n\r\n{"id":2}\r\n'

    table, bad = look_and_parse(block)

    assert not bad
    assert table.schema == pa.schema(
        [
            ("id", pa.int64()),
            ("x", pa.float64()),
            ("n", pa.string()),
            ("ok", pa.bool_()),
            ("t", pa.list_(pa.int64())),
            ("u", pa.struct([("v", pa.string())])),
            ("z", pa.null()),
        ]
    )
    assert table["id"].to_pylist() == [1, 2]
    assert table["x"].to_pylist() == [0.5, None]


@pytest.mark.parametrize(
    ("head", "later", "type_"),
    [
        (b"null", b"1", pa.int64()),
        (b"1", b"1.5", pa.float64()),
        (b"1", b"99999999999999999999", BIG),
        (b"1", b"1" * 50, pa.decimal256(76, 0)),
        (b"0.5", b"9007199254740992", pa.float64()),
        (b"[]", b'["x"]', pa.list_(pa.string())),
        (b'{"x":1}', b'{"y":2}', pa.struct([("x", pa.int64()), ("y", pa.int64())])),
        (b'"x"', b"5", pa.string()),
    ],
)
def test_types_grow_where_nothing_is_lost(head, later, type_):
    head, block = b'{"a":' + head + b"}\n", b'{"a":' + head + b'}\n{"a":' + later + b"}\n"

    table, bad = look_and_parse(block, head)

    assert not bad
    assert table.schema.field("a").type == type_
    assert rows(table) == [{"a": expected(decoded(line)["a"], type_)} for line in lines_of(block)]


@pytest.mark.parametrize(
    ("head", "later", "texts"),
    [
        (b"1", b'"x"', ["1", "x"]),
        (b"1.50", b"9007199254740993", ["1.50", "9007199254740993"]),
        (b'{"b": 1.50}', b"5", ['{"b":1.50}', "5"]),
        (b"true", b"[1]", ["true", "[1]"]),
        (b'"x"', b'{"b":"\\u00e9"}', ["x", '{"b":"é"}']),
    ],
)
def test_a_conflict_is_a_bad_row_or_becomes_text(head, later, texts):
    head, block = b'{"a":' + head + b"}\n", b'{"a":' + head + b'}\n{"a":' + later + b"}\n"

    table, (bad,) = look_and_parse(block, head)
    assert rows(table) == rows(look_and_parse(head)[0])
    assert (bad.row, bad.column, bad.value) == (1, "a", text_of(decoded(lines_of(block)[1])["a"]))
    assert bad.raw == lines_of(block)[1].decode()
    assert (bad.expected, bad.found) != ("", "")
    assert look_and_parse(block, head, on_conflict="string")[0]["a"].to_pylist() == texts


def test_a_column_whose_first_records_mix_scalars_is_text():
    assert look_and_parse(b'{"a":1}\n{"a":"x"}\n{"a":2.50}')[0]["a"].to_pylist() == ["1", "x", "2.50"]


def test_text_takes_scalars_of_its_own_key_only():
    head = b'{"a":"x","b":{"a":1},"c":"","a b":[1]}\n'
    block = head + b'{"a" : -1.50e3 , "b":{"a":2},"c":"\\"a\\":5,","a b":[2]}\n{"c":"{\\"a\\":1}","\\u0061":true}\n'

    table, bad = look_and_parse(block, head)

    assert not bad
    assert table["a"].to_pylist() == ["x", "-1.50e3", "true"]
    assert table["b"].to_pylist() == [{"a": 1}, {"a": 2}, None]
    assert table["c"].to_pylist() == ["", '"a":5,', '{"a":1}']


def test_text_takes_no_malformed_number():
    assert [row.row for row in look_and_parse(b'{"a":"x"}\n{"a":01}\n{"a":1.}\n{"a":2}', b'{"a":"x"}\n')[1]] == [1, 2]


def test_a_struct_and_a_scalar_are_a_conflict_even_at_the_head():
    table, (bad,) = look_and_parse(b'{"a":{"b":1}}\n{"a":5}\n')

    assert table.to_pylist() == [{"a": {"b": 1}}]
    assert bad.reason == "column 'a' is struct<b: int64>, but 5 is int64"


def test_what_a_sample_did_not_show_is_a_conflict():
    options = {"head": b'{"a":1}\n', "infer": "sample:1"}

    assert [row.column for row in look_and_parse(b'{"a":1}\n{"a":1.5}\n{"b":1}\n', **options)[1]] == ["a", "b"]
    widened, bad = look_and_parse(b'{"a":1}\n{"a":1.5}\n{"b":1}\n', on_conflict="widen", **options)
    assert not bad
    assert widened.schema == pa.schema([("a", pa.float64()), ("b", pa.int64())])
    assert look_and_parse(b'{"a":1}\n{"a":1.5}\n', on_conflict="string", **options)[0]["a"].to_pylist() == ["1", "1.5"]


def test_an_integer_that_a_double_does_not_hold_is_never_rounded():
    table, (bad,) = look_and_parse(b'{"a":1.5}\n{"a":9007199254740993}\n{"a":9007199254740994}', head=b'{"a":1.5}\n')

    assert table["a"].to_pylist() == [1.5, 9007199254740994.0]
    assert bad.value == "9007199254740993"


def test_nothing_is_inferred_where_all_is_text():
    table, bad = look_and_parse(b'{"a":1.50,"b":[1, 2],"c":null,"d":"x","e":true}\n{"f":1}\n', infer="none")

    assert not bad
    assert table.to_pylist()[0] == {"a": "1.50", "b": "[1,2]", "c": None, "d": "x", "e": "true", "f": None}


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_malformed_line_is_a_bad_row_of_its_own(line):
    block = (
        b'{"a":1}\n' + line + b'\n{"a":2}\n'
        if not line.startswith(b"\xef\xbb\xbf")
        else b'{"a":1}\n' + line + b'\n{"a":2}'
    )
    table, (bad,) = look_and_parse(block, b'{"a":1}\n')

    assert table["a"].to_pylist() == [1, 2]
    assert (bad.row, bad.offset, bad.size) == (1, 8, len(line) + 1)
    assert bad.reason


def test_lists_that_hold_nothing_but_null_are_whole_arrays():
    table, bad = look_and_parse(b'{"a":[null,null]}\n{"a":[]}\n{"b":null,"a":[null]}')

    table.validate(full=True)
    assert not bad
    assert table["a"].to_pylist() == [[None, None], [], [None]]
    assert table.schema == pa.schema([("a", pa.list_(pa.null())), ("b", pa.null())])


def test_a_cut_off_last_line_is_a_bad_row():
    table, (bad,) = look_and_parse(b'{"a":1}\n{"a":2}\n{"a":')

    assert table.num_rows == 2
    assert (bad.row, bad.raw) == (2, '{"a":')


def test_invalid_utf8_is_told_with_column_and_byte():
    (bad,) = look_and_parse(b'{"x":1,"a":"ab\xffc"}\n')[1]

    assert bad.column == "a"
    assert "0xff at byte 14" in bad.reason


def test_two_bad_lines_that_only_together_look_like_records_stay_bad():
    block = b'{"a":1} {"a":2}\n{"a":{"b":2}\n}\n'

    assert [row.row for row in look_and_parse(block, b'{"a":1}\n')[1]] == [0, 1, 2]


def test_brackets_by_the_hundred_thousand_do_no_harm():
    deep = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"
    table, (bad,) = look_and_parse(deep + b'{"b":{"c":"]"}}\n')

    assert table.to_pylist() == [{"b": {"c": "]"}}]
    assert "deeper" in bad.reason


def test_few_bad_rows_among_many_are_found_exactly():
    lines = [b'{"a":%d}' % number for number in range(5000)]
    lines[17], lines[4999] = b'{"a":"x"}', b'{"a":'

    table, bad = look_and_parse(b"\n".join(lines), head=lines[0] + b"\n")

    assert [row.row for row in bad] == [17, 4999]
    assert table.num_rows == 4998


def test_many_bad_rows_are_found_exactly():
    lines = [b'{"a":%d}' % number if number % 3 else b'{"a":"x"}' for number in range(1000)]

    table, bad = look_and_parse(b"\n".join(lines), head=lines[1] + b"\n")

    assert [row.row for row in bad] == list(range(0, 1000, 3))
    assert table["a"].to_pylist() == [number for number in range(1000) if number % 3]


def given_schema(tmp_path, block, **columns):
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(columns))
    options = ReadOptions(schema=str(path))
    look, schema = look_json(block, whole=True, options=options), load_schema(path)
    seen = examine(block, look, schema, options)
    assert seen.schema == schema
    return parse(without(block, seen.bad), look, schema, options), seen.bad


def test_values_are_cast_to_a_given_schema_where_that_is_exact(tmp_path):
    block = b'{"n":"00123","d":"2024-02-29","t":"2024-01-01T00:00:00Z","m":1.50,"s":5,"l":[1]}\n'
    types = {"n": "int64", "d": "date32", "t": "timestamp[us, UTC]", "m": "decimal(5, 2)", "s": "string"}

    table, bad = given_schema(tmp_path, block, **types, l="large_list<int32>", absent="double")

    assert not bad
    record = json.loads(json.dumps(table.to_pylist()[0], default=str))
    assert record == {
        "n": 123, "d": "2024-02-29", "t": "2024-01-01 00:00:00+00:00", "m": "1.50", "s": "5", "l": [1], "absent": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "type_", [pa.decimal128(38, 2), pa.decimal128(38, 10), pa.decimal256(76, 10), pa.decimal256(76, 40)], ids=str
)
@pytest.mark.parametrize("options", [ReadOptions(), ReadOptions(schema="any.json")], ids=["grown", "given"])
def test_a_decimal_is_the_number_that_is_written_or_none(type_, options):
    digits = ["1" * count for count in (1, 28, 29, 35, 36, 37, 40, 66, 67, 70, 73, 76, 80)]
    numerals = [f"{number}{end}" for number in digits for end in ("", ".5", ".0000000", "e5", "e-5", "e-77", "e-320")]
    schema, taken = pa.schema({"a": pa.list_(type_)}), []

    for numeral in numerals:
        with suppress(MisfitError):
            (row,) = parse(b'{"a":[%b]}' % numeral.encode(), Look("jsonl", schema=schema), schema, options).to_pylist()
            taken.append(numeral)
            assert row == {"a": [Decimal(numeral)]}

    assert {"1", "1.5", "1" * 28 + ".0000000"} <= {*taken}
    assert not {"1" * 76 + ".5", "1e-77"} & {*taken}


@pytest.mark.parametrize(
    ("type_", "value", "column"),
    [
        ("int64", b'"1.5"', "a"),
        ("int8", b"300", "a"),
        ("date32", b'"2023-02-29"', "a"),
        ("decimal(5, 2)", b"1.555", "a"),
        ("double", b'"9007199254740993"', "a"),
        ("double", b"9007199254740993", "a"),
        ("double", b'"nan"', "a"),
        ("float", b"16777217", "a"),
        ("timestamp[us]", b'"2024-01-01T00:00:00.1234567"', "a"),
        ("timestamp[us]", b'"2024-01-01T00:00:00Z"', "a"),
        ("int64", b'1,"b":2', "b"),
    ],
)
def test_what_does_not_fit_a_given_schema_is_a_bad_row(tmp_path, type_, value, column):
    table, (bad,) = given_schema(tmp_path, b'{}\n{"a":' + value + b"}\n", a=type_)

    assert table.num_rows == 1
    assert (bad.row, bad.column) == (1, column)


def test_all_rows_that_do_not_fit_a_given_schema_are_found_at_once(tmp_path):
    values = [b"1", b'"x"', b'"2"', b"1.5", b"[1]", b"null", b'""', b"{}", b"true"]
    block = b"".join(
        b'{"a":%b,"l":[%b]}\n' % (value, b"1" if number % 2 else b'"x"') for number, value in enumerate(values * 40)
    )

    table, bad = given_schema(tmp_path, block, a="int64", l="list<string>")
    assert table["a"].to_pylist() == [1, 2, None] * 40
    assert [row.row % 9 for row in bad] == [1, 3, 4, 6, 7, 8] * 40
    assert {row.column for row in bad} == {"a"}
    table, bad = given_schema(tmp_path, block, a="string", l="list<int8>")
    assert table["l"].to_pylist() == [[1]] * (len(table))
    assert {row.column for row in bad} == {"a", "l"}


@pytest.mark.parametrize(
    ("text", "format_"),
    [
        (b'{"a":1}', "jsonl"),
        (b'{"a":1}\n{"a":2}', "jsonl"),
        (b' [{"a":1}]', "json"),
        (b'\xef\xbb\xbf[{"a":1}]', "json"),
        (b'{\n "a": 1,\n "b": [2]\n}\n', "json"),
        (b'{"a":1,\n{"a":2}\n', "jsonl"),
        (b'{"a"\n{"a":2}\n{"a":3}\n', "jsonl"),
        (b"", "jsonl"),
    ],
)
def test_the_content_tells_an_array_from_lines(text, format_):
    look = look_json(text, whole=True, options=ReadOptions())

    assert look.format == format_
    assert look.names == (tuple("ab"[: 1 + text.count(b'"b"')]) if text else ())


def test_a_cut_off_head_is_looked_at_without_its_last_record():
    look = look_json(b'{"a":1}\n{"a":"cut', whole=False, options=ReadOptions())
    array = look_json(b'[{"a":1},{"a":"cut', whole=False, options=ReadOptions())

    assert look.schema == array.schema == pa.schema([("a", pa.int64())])


@given(BLOCKS, st.integers(0, 3), OPTIONS)
def test_each_row_is_kept_exactly_or_bad_with_a_reason(lines, known, options):
    block = b"\n".join(lines)
    look = look_json(b"\n".join(lines[:known]), whole=True, options=options)
    seen = examine(block, look, look.schema, options)
    table = parse(without(block, seen.bad), look, seen.schema, options)

    bad = {row.row for row in seen.bad}
    good = [line for number, line in enumerate(lines_of(block)) if number not in bad]
    assert seen.rows == len(lines_of(block)) == table.num_rows + len(bad)
    assert rows(table) == [expected(decoded(line), pa.struct(list(seen.schema))) for line in good]
    for row in seen.bad:
        line = block[row.offset : row.offset + row.size]
        assert row.reason
        assert line.rstrip(b"\r\n").decode(errors="replace")[:RAW] == row.raw
        with pytest.raises(MisfitError):
            parse(line, look, seen.schema, options)


GIVEN = [
    "int64", "uint8", "double", "float", "bool", "string", "date32", "time64[us]", "timestamp[us]", "decimal(9, 2)",
    "list<int64>", "list<string>", "struct<x: int64, y: string>", "large_list<double>", "dictionary<string, int32>",
]  # fmt: skip


@given(
    st.lists(LINES | st.sampled_from(BAD_LINES), max_size=5), st.sampled_from(GIVEN), st.sampled_from(GIVEN), OPTIONS
)
def test_with_any_given_schema_each_row_is_read_or_bad(tmp_path_factory, lines, one, two, options):
    path = tmp_path_factory.getbasetemp() / "given.json"
    path.write_text(json.dumps({"a": one, "b": two}))
    options = options.model_copy(update={"schema_file": str(path)})
    block, schema = b"\n".join(lines), load_schema(path)
    look = look_json(block, whole=True, options=options)
    seen = examine(block, look, schema, options)
    table = parse(without(block, seen.bad), look, schema, options)

    table.validate(full=True)
    assert seen.schema == table.schema == schema
    assert seen.rows == table.num_rows + len(seen.bad)
    for row in seen.bad:
        with pytest.raises(MisfitError):
            parse(block[row.offset : row.offset + row.size], look, schema, options)


@given(st.lists(LINES, max_size=6), st.integers(0, 2))
def test_inference_by_arrow_finds_what_looking_at_each_row_finds(lines, known):
    options, block = ReadOptions(), b"\n".join(lines)
    look = look_json(b"\n".join(lines[:known]), whole=True, options=options)
    quick = json_examining._by_inference(block, look, look.schema, options)

    if quick:
        slow = json_examining._Examination(block, look, look.schema, options).result()
        assert quick.schema.equals(slow.schema)
        assert (quick.rows, slow.bad) == (slow.rows, [])


@given(st.lists(LINES, max_size=6), OPTIONS, st.integers(0, 6))
def test_blocks_cut_anywhere_give_the_rows_of_the_whole(lines, options, cut):
    block = b"\n".join(lines)
    look = look_json(block, whole=True, options=options)
    seen = examine(block, look, look.schema, options)
    good = lines_of(without(block, seen.bad))
    pieces = [parse(b"\n".join(piece), look, seen.schema, options) for piece in (good[:cut], good[cut:])]

    assert [row for piece in pieces for row in rows(piece)] == rows(parse(b"\n".join(good), look, seen.schema, options))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_are_read_as_python_reads_them(number):
    table, _ = look_and_parse(f'{{"a":0.5}}\n{{"a":{number!r}}}'.encode())

    read = table["a"][1].as_py()
    assert read == number
    assert math.copysign(1, read) == math.copysign(1, number)


@given(st.binary(max_size=12))
def test_no_line_is_accepted_that_is_malformed(noise):
    line = b'{"a":' + noise.replace(b"\n", b"") + b"}"
    table, bad = look_and_parse(b'{"b":1}\n' + line, head=b'{"b":1}\n')

    try:
        decoded(line)
    except MalformedError:
        assert len(bad) == 1
    else:
        assert table.num_rows + len(bad) == 2


def test_without_types_a_column_that_the_head_does_not_have_is_text_whatever_its_first_value():
    options = ReadOptions(format="jsonl", infer="none")
    block = b'{"a":[false,0]}\n{"a":{"b":1}}\n{"a":7}\n'
    look = look_json(b"{}\n", whole=False, options=options)
    seen = examine(block, look, look.schema, options)

    assert not seen.bad
    assert rows(parse(block, look, seen.schema, options)) == [{"a": "[false,0]"}, {"a": '{"b":1}'}, {"a": "7"}]


@given(BLOCKS, st.integers(0, 4), OPTIONS)
def test_the_first_records_have_the_types_that_they_get_one_by_one(lines, few, options):
    with mock.patch.object(json_lines, "_FEW", few):  # as if the lines were those of a long file
        quick = json_lines._least(b"\n".join(lines), True, options)
    slow = json_lines._fitted(islice(json_lines._records(lines_of(b"\n".join(lines))), options.head), options)

    assert pa.schema(type_of(quick)) == pa.schema(type_of(slow))


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_paths_take_values_out_of_records_as_columns(name, tmp_path):
    records = ['{"user": {"id": 1, "at": {"x": "a"}}, "n": 5}', '{"user": {"id": 2}}', '{"user": 7, "n": 1.5}']
    text = "\n".join(records) if name == "a.jsonl" else f"[{','.join(records)}]"
    (tmp_path / name).write_text(text)

    report = convert(
        tmp_path / name, tmp_path / "out", work_dir=tmp_path / "work", paths={"id": "user.id", "x": "user.at.x"}
    )

    rows = pq.read_table(report.outputs[0]).to_pylist()
    assert rows == [{"id": 1, "x": "a"}, {"id": 2, "x": None}, {"id": None, "x": None}]


@pytest.mark.parametrize(
    ("text", "values", "bad"),
    [
        (b'{"x":NaN}\n{"x":-Infinity}\n', [math.nan, -math.inf], []),
        (b'{"x":"1.5"}\n{"x":NaN}\n', [1.5, math.nan], []),  # which texts are taken for, where the user names a type
        (b'{"x":"1.5","y":"NaN"}\n{"x":Infinity}\n', [1.5, math.inf], []),
        (b'{"x":"1.5"}\n{"x":NaN}\n{"x":"NaN"}\n', [1.5, math.nan], [2]),
        (b'{"x":"1.5"}\n{"x":NaN}\n{"x":1e999}\n', [1.5, math.nan], [2]),
    ],
)
def test_nan_is_a_number_where_the_user_names_a_type_and_no_text_becomes_one(text, values, bad, tmp_path):
    (tmp_path / "schema").write_text('{"x": "double", "y": "string"}')
    options = ReadOptions(schema_file=str(tmp_path / "schema"))
    schema = pa.schema([("x", pa.float64()), ("y", pa.string())])
    look = Look("jsonl", schema=schema)
    seen = examine(text, look, schema, options)
    table = parse(without(text, seen.bad), look, schema, options)

    assert [row.row for row in seen.bad] == bad
    assert str(table["x"].to_pylist()) == str(values)
