"""Real photos against what exiftool prints of them, for every recorded case."""

import re

import pytest

from tests import cases
from tests.photos.extracting import facts

FOLDER = cases.folder("photos")
CASES = cases.cases("photos")
POSITION, METRES = 1e-7, 1e-3


def near(value, tolerance):
    return None if value is None else pytest.approx(float(value), abs=tolerance)


def iso(text):
    """Write a time of exiftool's as our table does."""
    match = re.fullmatch(r"(\d{4}):(\d\d):(\d\d) (.*)", text or "")
    return f"{match[1]}-{match[2]}-{match[3]}T{match[4]}" if match else ""


@pytest.mark.cases
@pytest.mark.parametrize("case", CASES, ids=[case["file"] for case in CASES])
def test_a_real_photo_says_what_exiftool_says(case):
    data, expected = (FOLDER / case["file"]).read_bytes(), case["expected"]
    for thin in (False, True):
        found = facts(data, thin=thin)

        assert (found.lat, found.lon) == (near(expected["lat"], POSITION), near(expected["lon"], POSITION))
        assert found.alt_msl_m == near(expected["alt_m"], METRES)
        assert found.rel_alt_m == near(expected["relative_altitude_m"], METRES)
        assert (found.make, found.model) == (expected["make"] or "", expected["model"] or "")
        assert found.gps_time_utc == iso(expected["gps_datetime_utc"])
        if expected["lat"] is None:
            assert found.status == "no_gps"
        else:
            assert found.status == ("placeholder" if expected["lat"] == expected["lon"] == 0 else "ok")
        if "EXIF:DateTimeOriginal" in case["exif_raw"]:
            offset = case["exif_raw"].get("EXIF:OffsetTimeOriginal", "")
            assert found.taken == iso(case["exif_raw"]["EXIF:DateTimeOriginal"]) + offset
