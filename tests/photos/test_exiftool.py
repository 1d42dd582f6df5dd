"""Every form of a position that we know of, against exiftool, in one call of it."""

import itertools
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from anabranch.photos import sample
from anabranch.photos.sample import ASCII, BYTE, RATIONAL, SHORT, Shot
from tests.photos.extracting import facts

SRATIONAL = 10
EAST = [(3, ASCII, "E"), (4, RATIONAL, [(11, 1), (53, 1), (6, 1)])]
LATITUDES = {
    "three parts": (RATIONAL, [(43, 1), (27, 1), (30, 1)]),
    "minutes with a fraction": (RATIONAL, [(43, 1), (2750, 100), (0, 1)]),
    "two parts": (RATIONAL, [(43, 1), (27, 1)]),
    "one part": (RATIONAL, [(4345, 100)]),
    "four parts": (RATIONAL, [(43, 1), (27, 1), (30, 1), (5, 1)]),
    "negative": (SRATIONAL, [(-43, 1), (10, 1), (0, 1)]),
    "ten digits": (RATIONAL, [(123_456_789, 3_000_017), (0, 1), (0, 1)]),
    "text": (ASCII, "43.5"),
    "whole numbers": (SHORT, [43, 27, 30]),
}
HEIGHTS = {
    "none": [],
    "above": [(5, BYTE, [0]), (6, RATIONAL, [(1205, 10)])],
    "below": [(5, BYTE, [1]), (6, RATIONAL, [(1205, 10)])],
    "without reference": [(6, RATIONAL, [(1205, 10)])],
    "0/0": [(5, BYTE, [0]), (6, RATIONAL, [(0, 0)])],
    "reference as text": [(5, ASCII, b"1\0"), (6, RATIONAL, [(1205, 10)])],
    "reference as a byte of text": [(5, BYTE, [49]), (6, RATIONAL, [(1205, 10)])],
    "signed": [(5, BYTE, [0]), (6, SRATIONAL, [(-1205, 10)])],
}
XMPS = (
    'exif:GPSLatitude="43,11.6S" exif:GPSLongitude="11,30,36.0E" exif:GPSAltitude="505/10" exif:GPSAltitudeRef="1"',
    'exif:GPSLatitude="43.5" exif:GPSLongitude="-11.5"',
    'exif:GPSLatitude="43,11,36N" exif:GPSLongitude="11,30,36W" exif:GPSAltitude="50"',
    'drone-dji:GpsLatitude="-33.5" drone-dji:GpsLongitude="151.25" drone-dji:RelativeAltitude="+3.5"',
)


def xmp(properties):
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/" '
        f'xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/" {properties}/></rdf:RDF></x:xmpmeta>'
    ).encode()


def photos():
    north = [(1, ASCII, "N"), (2, *LATITUDES["three parts"]), *EAST]
    for (name, latitude), ref in itertools.product(LATITUDES.items(), ("N", "S", "s", "South")):
        yield f"{name}, {ref}", [(1, ASCII, ref), (2, *latitude), *EAST], b""
    for name, height in HEIGHTS.items():
        yield f"height {name}", [*north, *height], b""
    for number, properties in enumerate(XMPS):
        yield f"XMP {number}", [], xmp(properties)
        yield f"XMP {number} beside Exif", [*north, (6, RATIONAL, [(8, 1)])], xmp(properties)


@pytest.mark.skipif(not shutil.which("exiftool"), reason="exiftool is not installed; .ci/run installs it")
def test_every_form_of_a_position_gives_exiftools_values(tmp_path):
    paths = {}
    for number, (name, gps, properties) in enumerate(photos()):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(sample.jpeg(sample.tiff(Shot(make="Some"), gps=gps), properties))
        paths[str(path)] = name
    names = ("GPSLatitude", "GPSLongitude", "GPSAltitude", "RelativeAltitude")
    command = ["exiftool", "-n", "-j", "-q", *(f"-{name}" for name in names), *paths]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert len(found) == len(paths)
    for theirs in found:
        ours = facts(Path(theirs["SourceFile"]).read_bytes())
        for value, key, near in zip((*ours[2:5], ours.rel_alt_m), names, (1e-7, 1e-7, 1e-3, 1e-3), strict=True):
            wanted = theirs.get(key)
            expected = None if wanted in (None, "", "undef") else pytest.approx(float(wanted), abs=near)
            assert value == expected, (paths[theirs["SourceFile"]], key)
