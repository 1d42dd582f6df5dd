import warnings
from datetime import UTC, datetime, timedelta

import dateutil.parser
import pytest
import pytz
from hypothesis import given
from hypothesis import strategies as st

from anabranch.logs.timestamps import Clock, parse_bound
from anabranch.logs.zones import zone_of

ZONES = ["UTC", "US/Eastern", "Asia/Kolkata", "Australia/Sydney", "Australia/Lord_Howe", "Europe/London"]
ZONE = st.sampled_from(ZONES)
TIME = st.datetimes(datetime(1975, 1, 1), datetime(2035, 12, 31))  # noqa: DTZ001  local times
OFFSET = st.sampled_from(["Z", "+00:00", "-04:00", "+05:30", "+0530", "-11", "", " UTC", "+14:00"])
FORM = st.sampled_from(["%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S", "%Y%m%dT%H%M%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"])


def read(line, zone="UTC", **bounds):
    stamp = Clock(zone, **bounds).read(line)
    return stamp and stamp.time


def original(token, zone):
    """Read a token as the original does on a host whose zone is UTC."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parsed = dateutil.parser.parse(token)
        parsed = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        return str(parsed.astimezone(pytz.timezone(zone)))
    except (ValueError, OverflowError):
        return None


@given(TIME, FORM, OFFSET, ZONE)
def test_reads_what_dateutil_and_pytz_read(time, form, offset, zone):
    token = (time.strftime(form) + offset).split()[0]

    assert read(f"{token} text", zone) == original(token, zone)


@given(
    st.from_regex(
        r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.,][0-9]{6}[+-][0-9]{2}:[0-9]{2}", fullmatch=True
    ),
    ZONE,
)
def test_the_fast_path_refuses_what_dateutil_refuses(token, zone):
    assert read(token, zone) == original(token, zone)


@pytest.mark.parametrize(
    "token",
    ["", "Mon", "10", "12:30", "\ufeff2025-09-26T10:00:00Z", "9" * 23, "2025-02-30T00:00:00Z", "2025-09-26T25:00:00Z",
     "0001-01-01T00:00:00+14:00", "999"],
)  # fmt: skip
def test_what_is_no_timestamp(token):
    assert read(f"{token} text", "Asia/Kolkata") is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("  2025-09-26T10:00:00Z x", "2025-09-26 10:00:00+00:00"),
        ("\u00a02025-09-26T10:00:00Z\u2003x", "2025-09-26 10:00:00+00:00"),
        ("2025-09-26T10:00:00.000000+00:00 x", "2025-09-26 10:00:00+00:00"),
        ("2025-09-26T10:00:00.120000+00:00\tx", "2025-09-26 10:00:00.120000+00:00"),
        ("2025-09-26T10:00:00.120000+00:00", "2025-09-26 10:00:00.120000+00:00"),
        ("2025-09-26T10:00:00,5Z x", "2025-09-26 10:00:00.500000+00:00"),
        ("2025-09-26T10:00:00EST x", "2025-09-26 10:00:00+00:00"),
        ("2025 x", "2025-01-01 00:00:00+00:00"),
    ],
)
def test_the_first_token_is_the_time(line, expected):
    assert read(line) == expected


def test_the_hour_that_comes_twice_keeps_its_own_offset():
    times = [read(f"2025-11-02T0{hour}:30:00.000000+00:00 x", "US/Eastern") for hour in (5, 6)]

    assert times == ["2025-11-02 01:30:00-04:00", "2025-11-02 01:30:00-05:00"]


@given(TIME, ZONE)
def test_bounds_without_a_zone_are_local_and_standard_time_where_in_doubt(time, zone):
    found = parse_bound(time.isoformat(), zone_of(zone))

    assert found == pytz.timezone(zone).localize(time, is_dst=False)


@pytest.mark.parametrize("zone", [
    "Europe/Dublin", "Africa/Casablanca", "Africa/El_Aaiun", "Europe/Prague", "Africa/Windhoek", "Australia/Lord_Howe",
    "US/Eastern", "Europe/London", "Asia/Pyongyang", "America/Caracas", "Europe/Istanbul",
])  # fmt: skip
def test_bounds_around_every_change_of_clocks_are_those_of_pytz(zone):
    reference = pytz.timezone(zone)
    changes = [moment for moment in reference._utc_transition_times if 1945 < moment.year < 2037]
    assert changes
    for moment in changes:
        offset = moment.replace(tzinfo=UTC).astimezone(reference).utcoffset()
        for minutes in range(-150, 151, 15):
            local = moment + offset + minutes * timedelta(minutes=1)
            assert parse_bound(local.isoformat(), zone_of(zone)) == reference.localize(local, is_dst=False), local


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        ("2025-03-09 02:30:00", "2025-03-09T07:30:00+00:00"),  # an hour that is skipped
        ("2025-11-02 01:15:00", "2025-11-02T06:15:00+00:00"),  # an hour that comes twice
        ("2025-09-26", "2025-09-26T04:00:00+00:00"),
        ("2025-09-26T10:00:00.000001Z", "2025-09-26T10:00:00.000001+00:00"),
    ],
)
def test_bounds_in_new_york(bound, expected):
    assert parse_bound(bound, zone_of("US/Eastern")) == datetime.fromisoformat(expected)


@pytest.mark.parametrize("text", ["garbage", "", "9" * 30])
def test_a_bound_that_is_no_time_is_an_error(text):
    with pytest.raises(ValueError, match=r"."):
        parse_bound(text, zone_of("UTC"))


@given(st.integers(-2, 2), st.integers(-2, 2), ZONE)
def test_both_ends_of_the_range_belong_to_it(before, after, zone):
    time = datetime(2025, 11, 2, 6, 0, 0, 5, tzinfo=UTC)
    microsecond = timedelta(microseconds=1)
    clock = Clock(zone, time + before * microsecond, time + after * microsecond)

    assert clock.covers(clock.read(time.isoformat())) == (before <= 0 <= after)
