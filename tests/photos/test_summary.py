"""The summary of sites: which positions are outliers or left out, bounds, heights and times of each folder."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from anabranch.photos import sample
from anabranch.photos.options import PhotoOptions
from anabranch.photos.sites import below, sites, unwrapped
from anabranch.photos.summary import write_summary
from tests.photos.extracting import extract


def photo(lat, lon, folder="/in", *, taken="", **more):
    row = {
        "path": f"{folder}/a.jpg", "folder": folder, "name": "a.jpg", "size": 7, "status": "ok", "lat": lat, "lon": lon,
        "alt_msl_m": None, "rel_alt_m": None, "taken": taken, "site": "", "date": "", "pilot": "",
    }  # fmt: skip
    return row | more


def marks(rows, **options):
    return [one.mark for site in sites(rows, PhotoOptions(**options)) for one in site.photos]


def summed(rows, **options):
    file = io.BytesIO()
    write_summary(file, sites(rows, PhotoOptions(**options)), PhotoOptions(**options))
    return json.loads(file.getvalue())


def line(count, lat=47.0, lon=7.0):
    return [photo(lat, lon + number / 1e5) for number in range(count)]


def test_a_position_far_from_a_line_is_an_outlier_and_those_on_the_line_are_not():
    assert marks([*line(40), photo(47.01, 7.0)]) == ["counts"] * 40 + ["outlier"]


def test_of_photos_all_at_one_place_only_one_that_is_far_away_is_an_outlier():
    assert marks([photo(47.0, 7.0)] * 40 + [photo(47.001, 7.0), photo(47.01, 7.0)]) == ["counts"] * 41 + ["outlier"]
    assert marks([photo(47.0, 7.0)] * 40 + [photo(47.001, 7.0)], outlier_metres=10)[-1] == "outlier"
    assert marks([photo(47.0, 7.0)] * 40 + [photo(47.01, 7.0)], outlier_factor=40)[-1] == "counts"


def test_the_date_line_makes_no_outlier_and_the_bounds_go_over_it():
    rows = [photo(-17.0, lon) for lon in (179.9990, 179.9995, -179.9995, -179.9990) for _ in range(5)]
    found = summed([*rows, photo(-17.0, 0.001)])

    assert found["outliers"] == 1
    assert found["bounds"] == {"west": 179.999, "south": -17.0, "east": -179.999, "north": -17.0}


def test_each_site_is_judged_by_itself():
    there = [photo(10.0, 20.0, "/b", site="2") for _ in range(9)]
    found = summed([*[photo(47.0, 7.0, "/a", site="1") for _ in range(90)], *there, photo(47.0, 7.0, "/b", site="2")])

    assert [(site["site"], site["photos"], site["outliers"]) for site in found["sites"]] == [("1", 90, 0), ("2", 10, 1)]
    assert [site["outlier_photos"] for site in found["sites"]] == [[], ["/b/a.jpg"]]


def test_folders_of_civil_works_and_roads_are_left_out_with_those_below_them():
    rows = [photo(47.0, 7.0, f"/road_works/7/{name}") for name in ("orbit", "Civil", "road/100MEDIA") for _ in range(3)]

    assert marks(rows) == ["counts"] * 3 + ["left_out"] * 6
    assert marks(rows, left_out="orbit") == ["left_out"] * 3 + ["counts"] * 6
    assert marks(rows, left_out="") == ["counts"] * 9


@pytest.mark.parametrize("folders", [("/7/road",), ("/7/road", "/7/road/1"), ("/7/road/1", "/7/road/2")])
def test_nothing_is_left_out_where_that_would_be_all(folders):
    assert marks([photo(47.0, 7.0, folder) for folder in folders]) == ["counts"] * len(folders)


def test_a_folder_has_its_counts_bytes_heights_and_times():
    found = summed([
        photo(47.0, 7.0, alt_msl_m=400.0, taken="2025-06-14T12:00:00+02:00"),
        photo(47.5, 7.5, alt_msl_m=-3.25, rel_alt_m=30.5, taken="2025-06-14T10:00:01Z"),
        photo(None, None, status="no_gps", taken="2020-01-01T00:00:00Z"),
        photo(9.0, 9.0, "/in/road", alt_msl_m=9000.0, taken="2025-06-14T23:59:60"),
    ])  # fmt: skip
    [first, second] = found["sites"][0]["folders"]

    assert first == {
        "folder": "/in", "colour": "#6b4226", "photos": 3, "bytes": 21, "with_position": 2, "outliers": 0,
        "left_out": 0, "bounds": {"west": 7.0, "south": 47.0, "east": 7.5, "north": 47.5},
        "height_above_sea": [-3.25, 400.0],
        "height_above_takeoff": [30.5, 30.5], "first": "2025-06-14T12:00:00+02:00", "last": "2025-06-14T10:00:01Z",
        "seconds": 1.0,
    }  # fmt: skip
    assert (second["left_out"], second["bounds"]["north"], second["colour"]) == (1, 9.0, "#39cccc")
    assert (second["first"], found["photos"], found["bounds"]["south"]) == (None, 4, 47.0)


def test_times_with_and_without_an_offset_are_compared_by_the_clocks_of_the_cameras():
    found = summed([photo(1, 1, taken="2025-06-14T12:00:00+09:00"), photo(1, 1, taken="2025-06-14T11:00:00.5")])

    assert (found["first"], found["seconds"]) == ("2025-06-14T11:00:00.5", 3599.5)


@given(st.lists(st.floats(-180, 180), min_size=1, max_size=20))
def test_longitudes_are_unwrapped_into_the_shortest_arc_that_holds_them(longitudes):
    beside = unwrapped(longitudes)

    assert all(one in (longitude, longitude + 360) for one, longitude in zip(beside, longitudes, strict=True))
    arcs = (
        max(turned) - min(turned) for turned in ([(one - start) % 360 for one in longitudes] for start in longitudes)
    )
    assert max(beside) - min(beside) <= min(arcs) + 1e-9


@given(st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180), st.sampled_from(["/a", "/a/road", "/b"]))))
def test_every_position_is_counted_once_and_the_bounds_hold_those_that_count(places):
    found = summed([photo(*place) for place in places])
    counted = marks([photo(*place) for place in places])

    assert found["photos"] == len(places) == len(counted)
    assert found["outliers"] == counted.count("outlier")
    assert found["left_out"] == counted.count("left_out")
    assert (found["bounds"] is None) == (not places)


def test_the_folders_below_the_one_that_holds_them_all_give_the_words():
    assert below(["/homes/road/orbit", "/homes/road/scan/1"]) == {
        "/homes/road/orbit": "orbit", "/homes/road/scan/1": "scan/1",
    }  # fmt: skip
    assert below(["/road"]) == {"/road": "road"}


@pytest.mark.parametrize("colours", ["road", "road=red", "=#123456", "road=#12345g", {"road": "#123456;"}])
def test_what_is_not_a_colour_is_refused(colours):
    with pytest.raises(ValidationError, match="WORD=#RRGGBB"):
        PhotoOptions(colours=colours)


def test_the_summary_is_an_output_with_the_same_bytes_for_any_workers_and_each_folder_is_in_the_page(tmp_path):
    from anabranch.run.summary import summary

    shots = sample.write_photos(tmp_path / "in", 60, without=2)
    for threads in (1, 3):
        target = tmp_path / f"{threads}.summary.json"
        report = extract(tmp_path / "in", target, tmp_path / f"work{threads}", threads=threads)

    assert (tmp_path / "1.summary.json").read_bytes() == (tmp_path / "3.summary.json").read_bytes()
    found = json.loads(target.read_text())
    good = [shot for shot in shots.values() if shot.lat is not None]
    assert (found["photos"], found["with_position"], found["outliers"]) == (60, 58, 0)
    assert found["bytes"] == sum(path.stat().st_size for path in (tmp_path / "in").rglob("*") if path.is_file())
    assert found["bounds"]["north"] == pytest.approx(max(shot.lat for shot in good), abs=1e-7)
    assert found["bounds"]["west"] == pytest.approx(min(shot.lon for shot in good), abs=1e-7)
    page = summary(report)
    assert "| bounds | height above sea | height above takeoff | first | last | time |" in page
    for folder in found["sites"][0]["folders"]:
        assert f"| {folder['photos']} |" in page
