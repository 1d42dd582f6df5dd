"""Which first rows look like data, and how durations are written."""

import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.formats.headers import header_warnings
from anabranch.schema.durations import spelled

DAYS = dt.timedelta(days=10**6)


@pytest.mark.parametrize(
    ("cells", "is_data"),
    [
        (["id", "name"], False),
        (["country", "2019", "2020"], False),
        (["", "0", "1", "2"], False),
        (["0", "1", "2"], False),
        (["id", "name", "5"], False),
        (["", ""], False),
        (["399.19", "74.3"], True),
        (["Ann", "3.5"], True),
        (["Ann", "2024-01-31"], True),
        (["5", "5"], True),
        (["1", "Ann"], True),
        (["00123", "Ann"], False),
    ],
)
def test_a_first_row_that_looks_like_data_gets_a_warning(cells, is_data):
    assert bool(header_warnings(cells)) is is_data


@given(st.lists(st.none() | st.timedeltas(-DAYS, DAYS), max_size=5), st.sampled_from(["us", "s", "ms"]))
def test_a_duration_is_read_back_from_its_text(values, unit):
    step = {"us": 1, "ms": 1000, "s": 1_000_000}[unit]
    exact = [value and value // dt.timedelta(microseconds=step) * dt.timedelta(microseconds=step) for value in values]

    texts = spelled(pa.array(exact, pa.duration(unit))).to_pylist()

    assert [text and read(text) for text in texts] == exact


def read(text):
    hours, minutes, seconds = text.removeprefix("-").split(":")
    whole, _, fraction = seconds.partition(".")
    found = dt.timedelta(hours=int(hours), minutes=int(minutes), seconds=int(whole))
    found += dt.timedelta(microseconds=int(fraction.ljust(6, "0")))
    return -found if text.startswith("-") else found
