import io
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anabranch.core.errors import SourceError
from anabranch.formats.delimited import quotes
from anabranch.formats.delimited.quotes import Quotes, boundaries, is_regular, scan, scan_range
from anabranch.formats.model import Dialect, Look

COMMA = Dialect()
TEXTS = st.lists(st.sampled_from([b'"', b'""', b",", b"\n", b"\r", b"\r\n", b"a", b"\xc3\xa9", b"x"])).map(b"".join)


def record_begins(text: bytes, dialect: Dialect = COMMA) -> tuple[list[int], list[int], bool]:
    """Read byte by byte: where records begin, which quotes close a cell that goes on, and whether one stays open."""
    quoted = closed = False
    begins, strays, cell = [0], [], True
    for place in range(3 if text.startswith(b"\xef\xbb\xbf") else 0, len(text)):
        byte = text[place : place + 1].decode("latin-1")
        if quoted:
            if closed and byte == '"':
                closed = False
                continue
            if not closed:
                closed = byte == '"'
                continue
            if byte not in ("\r", "\n", dialect.delimiter):
                strays.append(place - 1)
            quoted = closed = False
        if byte == '"' and cell and dialect.quote:
            quoted = True
        if byte == dialect.newline:
            begins.append(place + 1)
        cell = byte in ("\r", "\n", dialect.delimiter)
    return [begin for begin in begins if begin < len(text)], strays, quoted and not closed


def cuts_of(text, block, dialect=COMMA, data_start=0):
    look = Look("csv", dialect=dialect, data_start=data_start)
    raw = io.BytesIO(text)
    scans = [scan_range(raw, start, len(text), look, block) for start in range(0, len(text), block)]
    return boundaries(scans, look, len(text), block)


def expected_cuts(text, block, dialect=COMMA, data_start=0):
    begins, _, unclosed = record_begins(text, dialect)
    if unclosed:
        return None
    starts = range(0, len(text), block)
    firsts = [next((begin for begin in begins if begin >= start), len(text)) for start in starts]
    return (
        *(data_start if start <= data_start else first for start, first in zip(starts, firsts, strict=True)),
        len(text),
    )


@given(TEXTS, st.integers(1, 40), st.sampled_from(["\n", "\r"]), st.sampled_from(['"', ""]), st.data())
@example(b'a,"b"\n"c', 1, "\n", '"', None)
def test_blocks_begin_where_a_reader_that_reads_byte_by_byte_finds_a_record(text, block, newline, quote, data):
    dialect = Dialect(newline=newline, quote=quote)
    begins, _, _ = record_begins(text, dialect)
    data_start = data.draw(st.sampled_from([*begins, 0])) if data else 0
    expected = expected_cuts(text, block, dialect, data_start)

    if expected is None:
        with pytest.raises(SourceError, match="unclosed-quote"):
            cuts_of(text, block, dialect, data_start)
    else:
        assert cuts_of(text, block, dialect, data_start) == expected


@given(TEXTS, st.lists(st.integers(0, 60), max_size=6))
def test_every_split_into_ranges_says_the_same(text, places):
    whole = scan(text, b"", COMMA).passages[quotes.State.PLAIN]
    cuts = sorted({0, len(text), *(place for place in places if place < len(text))})
    state, begins = quotes.State.PLAIN, []
    for start, stop in pairwise(cuts):
        passage = scan(text[start:stop], text[max(start - 1, 0) : start], COMMA).passages[state]
        begins += [start + place for place in (passage.first, passage.last) if place >= 0]
        state = passage.state

    assert state == whole.state
    assert (begins[:1], begins[-1:]) == ([whole.first], [whole.last]) if whole.first >= 0 else not begins


@given(TEXTS)
def test_closing_quotes_behind_which_a_cell_goes_on_are_found(text):
    _, strays, _ = record_begins(text)

    assert Quotes(text, COMMA).strays().tolist() == strays
    assert not (strays and is_regular(text, COMMA))


@given(TEXTS, st.integers(1, 8))
def test_looking_at_the_ends_of_a_range_first_changes_nothing(text, window):
    text = text * 5
    slow = scan(text, b"\n", COMMA)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quotes, "WINDOW", window)

        assert scan(text, b"\n", COMMA) == slow


def test_quotes_in_the_middle_of_cells_have_no_meaning():
    text = b'size\n5" pipe\n6"\n7,"a\nb"\n'

    assert cuts_of(text, 12) == (0, 13, 24)
    assert is_regular(b'"a","b ""c"""\n', COMMA)
    assert not is_regular(text, COMMA)


def test_a_byte_order_mark_does_not_hide_a_quote():
    assert cuts_of(b'\xef\xbb\xbf"a\nb",c\nd,e\n', 6) == (0, 11, 15, 15)


def test_a_record_that_is_too_long_is_an_error_before_the_text_ends():
    look = Look("csv", dialect=COMMA)
    record = scan(b"x" * (1 << 20), b"x", COMMA)

    with pytest.raises(SourceError, match="record-too-long"):
        boundaries([record] * 65, look, 65 << 20, 1 << 20)
    assert boundaries([record] * 64, look, 64 << 20, 1 << 20)[-1] == 64 << 20
