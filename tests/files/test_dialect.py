import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.core.errors import SourceError, UsageError
from anabranch.formats.delimited.dialect import _rows, look_delimited
from anabranch.formats.delimited.rows import Rows
from anabranch.formats.model import Dialect, Look
from anabranch.formats.options import ReadOptions


def look(text: bytes, kind: str = "csv", whole: bool = True, **options) -> Look:
    return look_delimited(text, whole, ReadOptions(**options), kind)


@pytest.mark.parametrize(
    ("text", "delimiter", "names"),
    [
        (b"a,b\n1,2\n", ",", ("a", "b")),
        (b"a;b\n1,5;2,5\n", ";", ("a", "b")),
        (b"a\tb\n1,5\t2,5\n", "\t", ("a", "b")),
        (b"a|b|c\n1|2|x,y\n", "|", ("a", "b", "c")),
        (b"a^b\n1^2\n", "^", ("a", "b")),
        (b'"a,x";"b,y"\n1;2\n', ";", ("a,x", "b,y")),
        (b"a,b,c\n1;2,3;4,5;6\n1;2,3;4,5;6\n", ",", ("a", "b", "c")),
        (b"a;b\n1;2\n3\n4;5;6\n7;8\n", ";", ("a", "b")),
        (b"only\n1\n2\n", ",", ("only",)),
        (b"only; one\nx\ny\n", ",", ("only; one",)),
        (b"a;b\n", ";", ("a", "b")),
        (b'a;b\n1,5;2\n\n3;"4\n5"\n', ";", ("a", "b")),
    ],
)  # fmt: skip
def test_the_delimiter_is_the_one_that_makes_rows_as_long_as_the_header(text, delimiter, names):
    found = look(text)

    assert (found.dialect.delimiter, found.names) == (delimiter, names)


@pytest.mark.parametrize(
    ("options", "kind", "names"),
    [
        ({}, "tsv", ("a;b,c",)),
        ({"delimiter": ","}, "tsv", ("a;b", "c")),
        ({"delimiter": ";"}, "csv", ("a", "b,c")),
        ({"header": False, "delimiter": ";"}, "csv", ("column1", "column2")),
    ],
)
def test_what_the_user_says_wins(options, kind, names):
    assert look(b"a;b,c\n", kind, **options).names == names


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        (b"1,5;2,5\n3,25;4,75\n", ";"),
        (b"1,5\t2,5\n3,25\t4,75\n", "\t"),
        (b"1,2\n3,4\n", ","),
        (b"1,2;3\n4,5\n6,7\n", ","),
        (b"1;5,2;5,x\n3;25,4;75,y\n", ","),
    ],
)
def test_a_comma_within_numbers_is_no_delimiter_where_another_fits_as_well(text, delimiter):
    assert look(text, header=False).dialect.delimiter == delimiter


def test_without_a_header_most_rows_tell_the_number_of_columns():
    found = look(b"1,2,3\n4,5\n6,7\n", header=False)

    assert (found.names, found.data_start) == (("column1", "column2"), 0)
    assert found.schema.types == [pa.int64(), pa.int64()]


@pytest.mark.parametrize(
    ("text", "newline", "data_start"),
    [
        (b"a,b\n1,2\n", "\n", 4),
        (b"a,b\r\n1,2\r\n", "\n", 5),
        (b"a,b\r\r\n1,2\r\r\n", "\n", 6),
        (b"a,b\r1,2\r", "\r", 4),
        (b'a,"b\nc"\r1,2\r', "\r", 8),
        (b"\n\r\na,b\n1,2\n", "\n", 7),
        (b"\xef\xbb\xbfa,b\n1,2\n", "\n", 7),
        (b'\xef\xbb\xbf"a",b\n1,2\n', "\n", 9),
        (b"a,b", "\n", 3),
    ],
)
def test_data_begins_behind_the_header_whatever_ends_a_line(text, newline, data_start):
    found = look(text)

    assert (found.dialect.newline, found.data_start) == (newline, data_start)
    assert found.names[0] == "a"


def test_the_first_rows_tell_the_types_and_broken_ones_do_not_count():
    text = b'i,f,s,n,q\n1,1,1,,"a"b\n2,2.5,x,,y\n3\n\xff,3,x,,y\n4,5,5,,y\n'
    types = [pa.int64(), pa.float64(), pa.string(), pa.null(), pa.string()]

    assert look(text).schema == pa.schema(list(zip("ifsnq", types, strict=True)))
    assert set(look(text, infer="none").schema.types) == {pa.string()}


def test_only_as_many_rows_as_asked_for_tell_the_types():
    text = b"a\n" + b"1\n" * 5 + b"x\n"

    assert look(text, infer="sample:5").schema.types == [pa.int64()]
    assert look(text, infer="sample:6").schema.types == [pa.string()]


def test_a_head_that_ends_in_the_middle_of_a_row_is_read_up_to_there():
    assert look(b"a,b\n1,2\n3,4x", whole=True).schema.types == [pa.int64(), pa.string()]
    assert look(b"a,b\n1,2\n3,4x", whole=False).schema.types == [pa.int64(), pa.int64()]
    assert look(b'a,b\n1,2\n3,"4\n5', whole=False).schema.types == [pa.int64(), pa.int64()]
    assert look(b"a,b\n1,2\n3,\xc3", whole=False).schema.types == [pa.int64(), pa.int64()]


def test_a_file_of_a_header_alone_has_columns_of_text():
    assert set(look(b"a,b\n").schema.types) == {pa.string()}
    assert set(look(b"a,b\n\n\n").schema.types) == {pa.string()}
    assert set(look(b"a,b\n1", whole=False).schema.types) == {pa.null()}


@pytest.mark.parametrize("text", [b"", b"\n\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_a_file_of_no_row_is_empty(text):
    with pytest.raises(SourceError, match="empty-source"):
        look(text)


@pytest.mark.parametrize("text", [b"id,id,name\n1,2,a\n", b'id,"id"\n'])
def test_columns_of_one_name_are_an_error(text):
    with pytest.raises(SourceError, match="two columns are called 'id'"):
        look(text)


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (b"id,id,id_2,id", ("id", "id_3", "id_2", "id_4")),
        (b"a,,b,", ("a", "column2", "b", "column4")),
        (b",column1,", ("column1_2", "column1", "column3")),
        (b'"","a b"', ("column1", "a b")),
    ],
)
def test_columns_can_be_numbered(header, names):
    found = look(header + b"\n", duplicate_columns="rename")

    assert found.names == names
    assert len(found.warnings) == header.decode().replace('""', "").split(",").count("")


@given(st.lists(st.sampled_from(["", "a", "a_2", "a_2_2", "column1", "column2"]), min_size=2))
def test_renamed_columns_never_share_a_name(names):
    found = look(",".join(names).encode() + b"\n", duplicate_columns="rename").names

    assert len(set(found)) == len(found) == len(names)
    assert all(new == old for new, old in zip(found, names, strict=True) if names.count(old) == 1 and old)


@pytest.mark.parametrize(
    ("text", "whole", "code"),
    [
        (b"\xe9t\xe9,b\n1,2\n", True, "header-encoding"),
        (b"a,b,c", False, "header-incomplete"),
        (b'a,"b\n1,2\n', True, "header-incomplete"),
    ],
)
def test_a_header_that_cannot_be_read_is_an_error(text, whole, code):
    with pytest.raises(SourceError, match=code):
        look(text, whole=whole)


@pytest.mark.parametrize("options", [{"delimiter": "\n"}, {"delimiter": "§"}, {"delimiter": '"'}, {"quote": "«"}])
def test_a_delimiter_that_cannot_be_one_is_refused(options):
    with pytest.raises(UsageError, match="bad-delimiter"):
        look(b"a,b\n", **options)


def test_nul_is_kept_with_a_warning():
    found = look(b"a,b\nx\0y,2\n")

    assert found.warnings == ("it holds NUL characters",)
    assert found.schema.types == [pa.string(), pa.int64()]


def test_a_header_may_be_wide():
    names = [f"c{place}" for place in range(10_000)]
    found = look(f"{','.join(names)}\n{','.join('1' for _ in names)}\n".encode())

    assert found.names == tuple(names)
    assert set(found.schema.types) == {pa.int64()}


@given(st.binary(max_size=40), st.booleans())
def test_any_bytes_give_a_look_or_an_error_of_ours(text, header):
    try:
        found = look(text, header=header, duplicate_columns="rename")
    except SourceError:
        return

    assert 0 <= found.data_start <= len(text)
    assert found.schema.names == list(found.names)


@given(
    st.lists(st.sampled_from([b"a", b",", b'"', b"\n", b"\r", b"\r\n"]), max_size=40), st.booleans(), st.integers(0, 3)
)
def test_the_first_lines_tell_the_first_rows_as_the_whole_text_does(pieces, header, head):
    text, dialect, wanted = b"".join(pieces), Dialect(header=header), head + header
    few, every = _rows(text, dialect, head), Rows(text, dialect)

    def told(rows):
        complete = len(rows.start) - (not rows.complete)
        return min(complete, wanted), rows.newline, [part[:wanted].tolist() for part in (rows.start, rows.cells)]

    assert told(few) == told(every)
    assert [few.end(row) for row in range(told(few)[0])] == [every.end(row) for row in range(told(few)[0])]
    assert (len(few.start) > 1) == (len(every.start) > 1)
