"""The formats for other programs, read back by readers that are not ours."""

import json
import re
import struct
from pathlib import PurePath
from xml.etree import ElementTree as ET

import fastkml
import geopandas
import gpxpy
import pyarrow.parquet as pq
import pytest
from fastkml.utils import find_all
from fastkml.validator import validate

from anabranch.photos.fetching import Photo
from anabranch.photos.layers import FORMATS, left_out_of_geo
from anabranch.photos.layers import write as write_output
from anabranch.photos.options import PhotoOptions
from anabranch.photos.outputs import COLUMNS, row
from anabranch.photos.positions import Facts
from anabranch.photos.sites import sites

GPX, KML = "{http://www.topografix.com/GPX/1/1}", "{http://www.opengis.net/kml/2.2}"
PLACES = {
    b"/a/one.jpg": Facts(
        "ok", lat=47.123456789, lon=-7.987654321, alt_msl_m=418.125, gps_time_utc="2025-06-14T08:09:10Z"
    ),
    b"/a/<two> & \xff\n.jpg": Facts("ok", lat=-0.5, lon=179.9999999),
    b"/a/deeper/x.jpg": Facts("ok", lat=5.0, lon=6.0, alt_msl_m=7.0),
    b"/a/z.jpg": Facts("ok", lat=8.0, lon=9.0, alt_msl_m=1.0),
    b"/b/one.jpg": Facts("ok", lat=10.0, lon=20.0, alt_msl_m=-3.25),
    b"/b/none.jpg": Facts("no_gps"),
    b"/b/only.jpg": Facts("ok", lat=1.0, lon=2.0, alt_msl_m=0.0),
}
EXPECTED = [(facts.lat, facts.lon, facts.alt_msl_m) for facts in PLACES.values() if facts.status == "ok"]


@pytest.fixture
def written(tmp_path):
    def write(name):
        rows = [row(Photo(path, 7, 0), facts, re.compile("x")) for path, facts in PLACES.items()]
        with (tmp_path / name).open("wb") as file:
            write_output(PurePath(name), file, rows, sites(rows, PhotoOptions()), PhotoOptions())
        return tmp_path / name

    return write


def rounded(places):
    return [tuple(None if number is None else round(number, 7) for number in place) for place in places]


def close(found):
    return rounded(found) == rounded(EXPECTED)


def test_gpx_has_a_waypoint_for_each_position(written):
    points = ET.parse(written("p.gpx")).getroot().findall(f"{GPX}wpt")

    heights = [point.findtext(f"{GPX}ele") for point in points]
    assert close(
        (float(point.get("lat")), float(point.get("lon")), height and float(height))
        for point, height in zip(points, heights, strict=True)
    )
    assert points[0].findtext(f"{GPX}time") == "2025-06-14T08:09:10Z"
    assert points[1].findtext(f"{GPX}name").startswith("<two> & ")


def test_kml_has_the_folders_of_the_source_and_puts_what_has_no_height_on_the_ground(written):
    def tree(folder):
        return [folder.findtext(f"{KML}name"), len(folder.findall(f"{KML}Placemark")),
                *map(tree, folder.findall(f"{KML}Folder"))]  # fmt: skip

    [top] = ET.parse(written("p.kml")).getroot().findall(f"{KML}Document/{KML}Folder")
    points = list(top.iter(f"{KML}Point"))

    assert tree(top) == ["/", 0, ["a", 3, ["deeper", 1]], ["b", 2]]
    found = [[float(number) for number in point.findtext(f"{KML}coordinates").split(",")] for point in points]
    found.insert(2, found.pop(3))  # which is between two of another folder in the table
    assert close((lat, lon, height[0] if height else None) for lon, lat, *height in found)
    modes = [point.findtext(f"{KML}altitudeMode") for point in points]
    assert modes == ["absolute", "clampToGround", "absolute", "absolute", "absolute", "absolute"]


def test_geoparquet_has_the_table_and_a_point_for_each_position(written):
    table = pq.read_table(written("p.parquet"))
    geo = json.loads(table.schema.metadata[b"geo"])
    points = [data for data in table.column("geometry").to_pylist() if data]

    assert table.column_names == [*COLUMNS, "geometry"]
    assert table.column("status").to_pylist() == [facts.status for facts in PLACES.values()]
    assert geo["columns"][geo["primary_column"]] == {"encoding": "WKB", "geometry_types": ["Point", "Point Z"]}
    found = [struct.unpack("<bI" + "d" * ((len(point) - 5) // 8), point)[2:] for point in points]
    assert close((lat, lon, height[0] if height else None) for lon, lat, *height in found)


def read_gpx(path):
    with path.open() as file:
        return [(point.latitude, point.longitude, point.elevation) for point in gpxpy.parse(file).waypoints]


def read_kml(path):
    assert validate(file_to_validate=path)
    points = [place.geometry for place in find_all(fastkml.KML.parse(path), of_type=fastkml.Placemark)]
    return [(point.y, point.x, point.z if point.has_z else None) for point in points]


def read_geo(path):
    frame = geopandas.read_parquet(path) if path.suffix == ".parquet" else geopandas.read_file(path)
    assert (frame.crs.is_geographic, "WGS 84" in frame.crs.name) == (True, True)
    return [(point.y, point.x, point.z if point.has_z else None) for point in frame.geometry if point]


@pytest.mark.parametrize(("name", "read"), [
    ("p.gpx", read_gpx), ("p.kml", read_kml), ("p.parquet", read_geo), ("p.geojson", read_geo)
])  # fmt: skip
def test_the_tools_of_users_read_each_position(written, name, read):
    assert sorted(rounded(read(written(name)))) == sorted(rounded(EXPECTED))


def test_geo_txt_has_the_photos_with_a_height_and_tells_equal_names_apart(written):
    assert written("geo.txt").read_text().splitlines() == [
        "EPSG:4326",
        "/a/one.jpg -7.987654321 47.123456789 418.125",
        "x.jpg 6 5 7",
        "z.jpg 9 8 1",
        "/b/one.jpg 20 10 -3.25",
        "only.jpg 2 1 0",
    ]


def test_photos_that_geo_txt_cannot_have_are_named_with_the_reason():
    facts = {b"/a/1.jpg": Facts("ok", lat=1.0, lon=2.0), b"/a/2 b.jpg": Facts("ok", lat=1.0, lon=2.0, alt_msl_m=3.0)}
    rows = [row(Photo(path, 7, 0), each, re.compile("x")) for path, each in facts.items()]

    assert list(left_out_of_geo(rows)) == [
        "/a/1.jpg is not in geo.txt: it has no height",
        "/a/2 b.jpg is not in geo.txt: OpenDroneMap ends a name at a blank",
    ]


@pytest.mark.parametrize("name", [f"p{ending}" if ending.startswith(".") else ending for ending in FORMATS])
def test_no_photos_make_a_whole_file(tmp_path, name):
    with (tmp_path / name).open("wb") as file:
        write_output(PurePath(name.upper()), file, [], [], PhotoOptions())

    assert (tmp_path / name).stat().st_size
