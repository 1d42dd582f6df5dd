"""Chunks and shares: every row once, whatever the cut."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from anabranch.files.pipeline.shares import bounds, cut, shares_of

rows = st.integers(0, 5000)
sizes = st.integers(1, 1500)


@given(rows, sizes, st.booleans())
def test_chunks_follow_each_other_and_cover_all_rows(rows, size, batch):
    found = bounds(rows, size, batch=batch)

    assert [row for start, stop in found for row in range(start, stop)] == list(range(rows))
    assert all(0 < stop - start <= size for start, stop in found)


@given(rows, sizes, st.integers(1, 7), st.integers(1, 3), st.integers(0, 2))
def test_shares_and_what_was_skipped_are_all_chunks_once(rows, size, shares, taken, skip):
    every = bounds(rows, size, batch=False)

    runs = [(first, min(taken, shares - first)) for first in range(0, shares, taken)]
    found = [chunk for first, count in runs for chunk in shares_of(every, first, count, shares, skip)]

    assert [*every[:skip], *found] == every


@given(st.lists(st.integers(0, 40), max_size=8), sizes, st.booleans())
def test_pieces_of_any_length_are_cut_at_the_chunks(lengths, size, tables):
    numbers = iter(range(sum(lengths)))
    lists = [[next(numbers) for _ in range(length)] for length in lengths]
    pieces = [pa.table({"n": pa.array(one, pa.int64())}) for one in lists] if tables else lists
    wanted = bounds(sum(lengths), size, batch=True)[1:]

    found = list(cut(pieces, wanted))

    plain = [[n for piece in chunk for n in (piece["n"].to_pylist() if tables else piece)] for chunk in found]
    assert plain == [list(range(start, stop)) for start, stop in wanted]
