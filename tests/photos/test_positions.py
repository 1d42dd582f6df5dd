"""What a photo says becomes its row: every form of a position that real cameras write."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.photos import sample
from anabranch.photos.sample import ASCII, BYTE, RATIONAL, Shot
from tests.photos.extracting import facts

NORTH = [(1, ASCII, "N"), (2, RATIONAL, [(43, 1), (27, 1), (30, 1)])]
EAST = [(3, ASCII, "E"), (4, RATIONAL, [(11, 1), (53, 1), (6, 1)])]
LAT, LON = 43 + 27 / 60 + 30 / 3600, 11 + 53 / 60 + 6 / 3600
SRATIONAL = 10


def photo(gps, xmp=b"", **how):
    return sample.jpeg(sample.tiff(Shot(make="Some"), gps=gps, **how), xmp)


def xmp(text):
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description {text}/></x:xmpmeta>'.encode()


@pytest.mark.parametrize(("ref", "sign"), [("N", 1), ("S", -1), ("s", -1), ("n", 1), ("North", 1), ("S\0x", -1)])
def test_the_letter_gives_the_sign(ref, sign):
    found = facts(photo([(1, ASCII, ref), NORTH[1], *EAST]))

    assert (found.status, found.lat) == ("ok", pytest.approx(sign * LAT, abs=1e-9))


@pytest.mark.parametrize("ref", [None, (1, ASCII, ""), (1, ASCII, "x"), (1, BYTE, [0, 0]), (1, ASCII, b"\0\0")])
def test_a_latitude_without_north_or_south_is_invalid_and_its_numbers_are_in_the_reason(ref):
    found = facts(photo([*([ref] if ref else []), NORTH[1], *EAST]))

    assert (found.status, found.lat, found.lon) == ("invalid", None, None)
    assert "no N or S" in found.reason
    assert "43 27 30" in found.reason


def test_assumed_letters_count_where_the_photo_has_none():
    found = facts(photo([NORTH[1], EAST[1]]), assume="SW")

    assert (found.lat, found.lon) == (pytest.approx(-LAT), pytest.approx(-LON))
    assert facts(photo([*NORTH, *EAST]), assume="SW").lat == pytest.approx(LAT)


@pytest.mark.parametrize(("parts", "degrees"), [
    ([(43, 1), (2750, 100), (0, 1)], 43 + 27.5 / 60),
    ([(43, 1), (27, 1)], 43.45),
    ([(4345, 100)], 43.45),
    ([(43, 1), (27, 1), (30_123_456, 1_000_000)], 43 + 27 / 60 + 30.123456 / 3600),
    ([(0, 1), (0, 1), (36, 1)], 0.01),
])  # fmt: skip
def test_degrees_minutes_and_seconds_come_in_several_forms(parts, degrees):
    assert facts(photo([NORTH[0], (2, RATIONAL, parts), *EAST])).lat == pytest.approx(degrees, abs=1e-9)


def test_signed_rationals_count_by_their_size_since_the_letter_has_the_sign():
    found = facts(photo([(1, ASCII, "S"), (2, SRATIONAL, [(-43, 1), (0, 1), (0, 1)]), *EAST]))

    assert found.lat == -43


def test_zero_divided_by_zero_is_a_placeholder():
    empty = [(0, 0)] * 3
    found = facts(photo([NORTH[0], (2, RATIONAL, empty), EAST[0], (4, RATIONAL, empty)]))

    assert (found.status, found.lat) == ("placeholder", None)


def test_null_island_is_a_placeholder_with_its_numbers():
    zero = [(0, 1)] * 3
    found = facts(photo([NORTH[0], (2, RATIONAL, zero), EAST[0], (4, RATIONAL, zero)]))

    assert (found.status, found.lat, found.lon) == ("placeholder", 0, 0)


@pytest.mark.parametrize("degrees", [[(91, 1), (0, 1), (0, 1)], [(1, 0), (0, 1), (0, 1)], [(43, 1), (9, 0), (0, 1)]])
def test_what_no_place_can_be_is_invalid(degrees):
    found = facts(photo([NORTH[0], (2, RATIONAL, degrees), *EAST]))

    assert (found.status, found.lat) == ("invalid", None)
    assert found.reason


def test_a_latitude_alone_is_invalid():
    assert facts(photo(NORTH)).status == "invalid"
    assert "no longitude" in facts(photo(NORTH)).reason


@pytest.mark.parametrize(("entries", "height"), [
    ([(5, BYTE, [0]), (6, RATIONAL, [(1205, 10)])], 120.5),
    ([(5, BYTE, [1]), (6, RATIONAL, [(8, 1)])], -8),
    ([(5, ASCII, b"1\0"), (6, RATIONAL, [(8, 1)])], -8),
    ([(5, BYTE, [2]), (6, RATIONAL, [(8, 1)])], 8),
    ([(6, RATIONAL, [(8, 1)])], 8),
    ([(5, BYTE, [0])], None),
    ([(5, BYTE, [0]), (6, RATIONAL, [(0, 0)])], None),
    ([], None),
])  # fmt: skip
def test_a_height_is_negative_below_the_sea_and_missing_where_it_is_not_given(entries, height):
    assert facts(photo([*NORTH, *EAST, *entries])).alt_msl_m == height


def test_a_position_in_the_xmp_counts_where_the_exif_block_has_none():
    text = xmp(
        'exif:GPSLatitude="43,11.6S" exif:GPSLongitude="11,30,36.0E" exif:GPSAltitude="505/10" exif:GPSAltitudeRef="1"'
    )
    found = facts(photo([], text))

    assert (found.status, found.lat) == ("ok", pytest.approx(-(43 + 11.6 / 60)))
    assert (found.lon, found.alt_msl_m) == (pytest.approx(11.51), -50.5)


def test_the_position_of_the_exif_block_counts_before_that_of_the_xmp():
    text = xmp('exif:GPSLatitude="1,0N" exif:GPSLongitude="2,0E"')

    assert facts(photo([*NORTH, *EAST], text)).lat == pytest.approx(LAT)


def test_a_drones_own_names_of_the_position_are_read_its_misspelt_one_too():
    text = xmp('drone-dji:GpsLatitude="-33.5" drone-dji:GpsLongtitude="+151.25"')

    assert facts(photo([], text))[2:4] == (-33.5, 151.25)


@pytest.mark.parametrize("text", [
    'd:RelativeAltitude="+39.80"', "d:RelativeAltitude='39.8'", 'd:RelativeAltitude = "39.800000"',
    "/><d:RelativeAltitude>+39.80</d:RelativeAltitude",
])  # fmt: skip
def test_the_height_above_takeoff_is_read_as_attribute_and_as_element(text):
    assert facts(photo([*NORTH, *EAST], xmp(text))).rel_alt_m == 39.8


def test_xmp_in_utf_16_is_read():
    text = xmp('exif:GPSLatitude="43,12N" exif:GPSLongitude="11,30E"').decode().encode("utf-16")

    assert facts(photo([], text)).lat == pytest.approx(43.2)


@pytest.mark.parametrize(("entries", "time"), [
    ([(7, RATIONAL, [(14, 1), (27, 1), (724, 100)]), (29, ASCII, "2008:10:23")], "2008-10-23T14:27:07.24Z"),
    ([(7, RATIONAL, [(5, 1), (53, 1), (57, 1)]), (29, ASCII, "2017-09-03")], "2017-09-03T05:53:57Z"),
    ([(7, RATIONAL, [(14, 1), (27, 1), (7, 1)])], ""),
    ([(29, ASCII, "2008:10:23")], ""),
    ([(7, RATIONAL, [(0, 0), (0, 0), (0, 0)]), (29, ASCII, "0000:00:00")], ""),
])  # fmt: skip
def test_the_satellites_time_needs_date_and_time(entries, time):
    assert facts(photo([*NORTH, *EAST, *entries])).gps_time_utc == time


@pytest.mark.parametrize(("taken", "seen"), [
    ("2008:10:22 16:28:39", "2008-10-22T16:28:39"), ("0000:00:00 00:00:00", ""), ("    :  :     :  :  ", ""), ("", ""),
])  # fmt: skip
def test_the_cameras_time_is_written_by_iso_8601_or_left_out(taken, seen):
    assert facts(sample.jpeg(sample.tiff(Shot(taken=taken)))).taken == seen


degrees = st.fractions(0, 60, max_denominator=10_000).map(lambda part: (part.numerator, part.denominator))


@given(
    st.integers(0, 89),
    degrees,
    degrees,
    st.sampled_from("NS"),
    st.sampled_from([("<", 4), (">", 4), ("<", 13), (">", 13)]),
)
def test_any_position_is_read_back_to_a_ten_millionth_degree(whole, minutes, seconds, ref, form):
    order, pointer = form
    gps = [(1, ASCII, ref), (2, RATIONAL, [(whole, 1), minutes, seconds]), *EAST]
    expected = whole + minutes[0] / minutes[1] / 60 + seconds[0] / seconds[1] / 3600
    found = facts(sample.jpeg(sample.tiff(Shot(), gps=gps, order=order, pointer=pointer)))

    assert found.status == "invalid" or math.isclose(abs(found.lat), expected, abs_tol=1e-7)
    assert (found.status == "invalid") == (expected > 90)
    assert found.lat is None or expected == 0 or (found.lat < 0) == (ref == "S")
