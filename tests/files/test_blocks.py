import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.core.errors import SourceError
from anabranch.formats import model
from anabranch.formats.delimited.blocks import blocks
from anabranch.formats.model import Dialect, Look
from tests.files.test_quotes import TEXTS, cuts_of, record_begins


class Trickle(io.RawIOBase):
    """A stream that gives less than was asked for."""

    def __init__(self, data):
        self._data = io.BytesIO(data)

    def read(self, size=-1):
        return self._data.read(min(size, 3))


@given(TEXTS, st.integers(1, 40), st.sampled_from(["\n", "\r"]), st.data())
def test_a_stream_is_cut_where_a_file_is(text, block, newline, data):
    dialect = Dialect(newline=newline)
    begins, _, unclosed = record_begins(text, dialect)
    start = data.draw(st.sampled_from([*begins, 0]))
    look = Look("csv", dialect=dialect, data_start=start)

    if unclosed:
        with pytest.raises(SourceError, match="unclosed-quote"):
            list(blocks(Trickle(text), look, block=block))
    else:
        cuts = cuts_of(text, block, dialect, start)
        expected = [text[begin:end] for begin, end in pairwise(cuts)]

        assert list(blocks(Trickle(text), look, block=block)) == expected
        assert b"".join(expected) == text[start:]


@given(st.lists(st.sampled_from([b'{"a": "', b"\n", b"\r", b'"}', b"}"])).map(b"".join), st.integers(1, 20))
def test_json_lines_are_cut_at_line_ends_alone(text, block):
    expected, place = [b""] * -(-len(text) // block), 0
    for line in io.BytesIO(text):
        expected[place // block] += line
        place += len(line)

    assert list(blocks(io.BytesIO(text), Look("jsonl"), block=block)) == expected


def test_a_quote_that_is_never_closed_is_an_error_that_names_its_row():
    look = Look("csv", dialect=Dialect(), data_start=4)

    with pytest.raises(SourceError, match="row 2, which starts at byte 8, a quote is never closed"):
        list(blocks(io.BytesIO(b'a,b\n1,2\n3,"4\n5,6\n7,8\n'), look))


@pytest.mark.parametrize("head", [b"", b"\xef\xbb\xbf", b"a,b\n"])
def test_the_row_is_counted_through_all_blocks_without_blank_lines(head):
    rows = b"".join(b'%d,"two\nlines ""%d"""\r\n\r\n' % (number, number) for number in range(100))
    look = Look("csv", dialect=Dialect(), data_start=len(head))

    with pytest.raises(SourceError, match=f"row 101, which starts at byte {len(head + rows)}, a quote"):
        list(blocks(io.BytesIO(head + rows + b'1,"2\n3,4\n'), look, block=64))


def test_an_odd_quote_in_a_long_stream_is_an_error_soon(monkeypatch):
    monkeypatch.setattr(model, "LONGEST", 1 << 16)
    stream = io.BytesIO(b'1,"' + b"22,33\n" * 100_000)

    with pytest.raises(SourceError, match="byte 0 is longer than"):
        list(blocks(stream, Look("csv", dialect=Dialect()), block=1 << 12))
    assert stream.tell() < 1 << 17
