import io
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.core.errors import TemporaryError
from anabranch.sources.spans import Span, SpanFile, within

DATA = bytes(range(256))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    file = tmp_path_factory.mktemp("spans") / "data"
    file.write_bytes(DATA)
    return str(file)


RANGES = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 56)), max_size=6)


def joined(ranges):
    return b"".join(DATA[start : start + size] for start, size in ranges)


@given(RANGES, st.integers(0, 300), st.integers(0, 300))
def test_reads_as_one_file_from_any_place(path, ranges, place, size):
    with SpanFile([Span(path, *each) for each in ranges]) as raw, io.BufferedReader(raw, 16) as file:
        assert raw.size == len(joined(ranges))
        file.seek(place)
        assert file.read(size) == joined(ranges)[place : place + size]


@given(RANGES, st.integers(0, 300), st.integers(0, 300))
def test_a_range_of_spans_is_a_range_of_their_bytes(path, ranges, start, size):
    chosen = within([Span(path, *each) for each in ranges], start, size)

    assert joined([(span.start, span.size) for span in chosen]) == joined(ranges)[start : start + size]


def open_files():
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            yield str(link.readlink())


def test_closing_leaves_no_file_open(path):
    with SpanFile([Span(path, 0, 10), Span(path, 5, 10)]) as file:
        file.read(15)
        assert str(path) in open_files()

    assert str(path) not in open_files()


def test_a_place_before_the_begin_is_an_error(path):
    with SpanFile([Span(path, 0, 10)]) as file, pytest.raises(ValueError, match="before the start"):
        file.seek(-11, os.SEEK_END)


def test_a_file_that_became_shorter_is_no_end_of_file(tmp_path):
    (tmp_path / "data").write_bytes(DATA)
    with SpanFile([Span(str(tmp_path / "data"), 10, 100)]) as raw, io.BufferedReader(raw) as file:
        os.truncate(tmp_path / "data", 50)

        with pytest.raises(TemporaryError, match="shorter"):
            file.read()
