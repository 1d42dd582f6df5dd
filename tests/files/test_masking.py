"""Comments, escaped characters and blanks before quotes: a file is cut, and its rows are read, as one reader would."""

import csv
import io
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anabranch.core.errors import SourceError, UsageError
from anabranch.formats.delimited import quotes
from anabranch.formats.delimited.blocks import blocks
from anabranch.formats.delimited.dialect import look_delimited
from anabranch.formats.delimited.parsing import examine, parse
from anabranch.formats.delimited.quotes import Quotes, boundaries, scan, scan_range
from anabranch.formats.delimited.rows import Rows
from anabranch.formats.model import Dialect, Look
from anabranch.formats.options import ReadOptions

TEXTS = st.lists(
    st.sampled_from([b'"', b'""', b",", b"\n", b"\r", b"\r\n", b"\\", b"\\\\", b"#", b"\n#", b" ", b"a", b"\xc3\xa9"])
).map(b"".join)
DIALECTS = st.builds(
    Dialect,
    quote=st.sampled_from(['"', ""]),
    newline=st.sampled_from(["\n", "\r"]),
    escape=st.sampled_from(["\\", ""]),
    comment=st.sampled_from(["#", ""]),
    spaced=st.booleans(),
)


class Reader:
    """Read byte by byte: where records begin, which quotes close a cell that goes on, and which bytes are comments."""

    def __init__(self, text: bytes, dialect: Dialect) -> None:
        self.begins, self.strays, self.comments = [0], [], []
        self.quoted = self.closed = self.escaped = self.comment = False
        self.cell = self.line = True  # whether one may begin
        for place in range(len(text)):
            self.take(place, text[place : place + 1].decode("latin-1"), dialect)

    def take(self, place: int, byte: str, dialect: Dialect) -> None:
        ends = byte in "\r\n"
        if self.comment and not ends:
            self.comments.append(place)
        elif self.escaped:
            self.escaped = False
        elif self.quoted and not self.closed:
            self.escaped, self.closed = byte == dialect.escape, byte == dialect.quote
        elif self.closed and byte == dialect.quote:
            self.closed = False
        else:
            if self.closed and not (ends or byte == dialect.delimiter):
                self.strays.append(place - 1)
            self.quoted = self.closed = False
            self.comment = self.line and byte == dialect.comment
            self.comments += [place] * self.comment
            self.escaped = byte == dialect.escape
            self.quoted = self.cell and byte == dialect.quote
            self.cell = ends or byte == dialect.delimiter or (dialect.spaced and byte == " " and self.cell)
            self.line = ends
            self.begins += [place + 1] * (byte == dialect.newline)


def cuts_of(text, block, dialect):
    look = Look("csv", dialect=dialect)
    raw = io.BytesIO(text)
    return boundaries(
        [scan_range(raw, start, len(text), look, block) for start in range(0, len(text), block)], look, len(text), block
    )


@given(TEXTS, st.integers(1, 40), DIALECTS)
@example(b'#"\n"a\n#"', 3, Dialect(comment="#"))
@example(b"#\\\n#\n,\\\n#", 1, Dialect(comment="#", escape="\\"))
@example(b',  "a\n",\\\n"', 2, Dialect(escape="\\", spaced=True))
def test_blocks_begin_where_a_reader_that_reads_byte_by_byte_finds_a_record(text, block, dialect):
    read = Reader(text, dialect)
    begins = [begin for begin in read.begins if begin < len(text)]
    if read.quoted and not read.closed:
        with pytest.raises(SourceError, match="unclosed-quote"):
            cuts_of(text, block, dialect)
        return
    cuts = cuts_of(text, block, dialect)

    starts = range(0, len(text), block)
    assert cuts == (*(next((begin for begin in begins if begin >= start), len(text)) for start in starts), len(text))
    pieces = list(blocks(io.BytesIO(text), Look("csv", dialect=dialect), block=block))
    assert pieces == [text[first:stop] for first, stop in pairwise(cuts)]


@given(TEXTS, DIALECTS)
def test_what_a_block_hides_is_what_the_reader_skips(text, dialect):
    read = Reader(text, dialect)
    rows = Rows(text, dialect)
    left = bytes(byte if place not in read.comments else 10 for place, byte in enumerate(text))

    assert rows.without([]).replace(b"\r", b"\n") == left.replace(b"\r", b"\n")
    assert Quotes(rows.without([]), dialect).strays().tolist() == read.strays
    assert rows.unclosed == (read.quoted and not read.closed)


@given(TEXTS, DIALECTS, st.integers(1, 8))
def test_looking_at_the_ends_of_a_range_first_changes_nothing(text, dialect, window):
    slow = scan(text * 5, b"\n", dialect)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quotes, "WINDOW", window)

        assert scan(text * 5, b"\n", dialect) == slow


CELLS = st.text(st.sampled_from('ab,"\\#\n \té'), max_size=6)
COMMENTS = st.lists(st.text(st.sampled_from('a,"\\# '), max_size=6).map("#{}\n".format), max_size=2)


@given(
    st.lists(st.tuples(CELLS, CELLS), max_size=6),
    st.lists(COMMENTS, min_size=8, max_size=8),
    st.booleans(),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONE]),
    st.integers(1, 40),
)
def test_any_blocks_give_the_rows_that_the_csv_module_reads(rows, comments, doubled, quoting, block):
    lines = []
    for row in [("one", "two"), *rows]:
        out = io.StringIO()
        csv.writer(out, lineterminator="\n", escapechar="\\", doublequote=doubled, quoting=quoting).writerow(row)
        lines.append(out.getvalue().replace("#", "\\#"))  # which begins no comment
    read = list(csv.reader(io.StringIO("".join(lines), newline=""), escapechar="\\"))[1:]
    text = "".join("".join(some) + line for some, line in zip(comments, lines, strict=False)).encode() + b"#the end"

    options = ReadOptions(infer="none", escape="\\", comment="#", delimiter=",")
    found = look_delimited(text, True, options, "csv")
    tables = [parse(piece, found, found.schema, options) for piece in blocks(io.BytesIO(text), found, block=block)]

    assert [[cell or "" for cell in row.values()] for table in tables for row in table.to_pylist()] == read
    seen = examine(text[found.data_start :], found, found.schema, options)
    assert (seen.rows, seen.bad) == (len(read), [])


@given(st.lists(st.tuples(CELLS, CELLS), max_size=6), st.integers(0, 3), st.integers(0, 2), st.integers(1, 40))
def test_blanks_before_quotes_are_passed_over_as_the_csv_module_does(rows, before, after, block):
    text = "".join(
        " " * before + f",{' ' * after}".join('"{}"'.format(cell.replace('"', '""')) for cell in row) + "\n"
        for row in [("one", "two,"), *rows]
    )
    options = ReadOptions(infer="none", delimiter=",")
    found = look_delimited(text.encode(), True, options, "csv")
    tables = [parse(one, found, found.schema, options) for one in blocks(io.BytesIO(text.encode()), found, block=block)]

    assert found.names == ("one", "two,")
    read = list(csv.reader(io.StringIO(text, newline=""), skipinitialspace=True))[1:]
    assert [[cell or "" for cell in row.values()] for table in tables for row in table.to_pylist()] == read


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("a, b\n1, x\n", [" x"]),  # a blank that precedes no quote is part of its cell
        ('a,b\n1, "x"\n2,"y, ""z"\n', ["x", 'y, "z']),
        ('a,b\n1, 5" disc\n', [' 5" disc']),
        ('a,b\n1, "x" y\n', [' "x" y']),  # quotes that surround no cell keep no blank from it
        ('a,b\n1, "\n2,x\n', [' "', "x"]),
        ('a b\n1 "x y"\n', ["x y"]),
    ],
)
def test_blanks_mean_nothing_only_before_the_quotes_of_a_cell(text, cells):
    delimiter = " " if text.startswith("a b") else ","
    options = ReadOptions(infer="none", delimiter=delimiter)
    found = look_delimited(text.encode(), True, options, "csv")
    table = parse(text[found.data_start :].encode(), found, found.schema, options)

    assert [row[found.names[1]] for row in table.to_pylist()] == cells


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"escape": '"'}, "bad-delimiter"),
        ({"comment": ",", "delimiter": ","}, "bad-delimiter"),
        ({"comment": "\n"}, "bad-delimiter"),
        ({"escape": "é"}, "bad-delimiter"),
    ],
)
def test_a_character_with_two_meanings_is_refused(options, reason):
    with pytest.raises(UsageError, match=reason):
        look_delimited(b"a,b\n1,2\n", True, ReadOptions(**options), "csv")


def test_an_escape_character_at_the_end_is_a_bad_row():
    options = ReadOptions(infer="none", escape="\\")
    found = look_delimited(b"a,b\n1,2\n", True, options, "csv")

    seen = examine(b"1,x\\\\\n2,y\\", found, found.schema, options)

    assert [(row.row, row.reason) for row in seen.bad] == [(1, "nothing follows the escape character at the end")]
