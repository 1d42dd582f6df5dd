"""Take a few properties from XMP by their local names, since only they are fixed; text and entities stay as they are.

XMP is XML, but what is read here may be cut off, and must expand no entities: so it is searched, not parsed.
"""

import re
from collections.abc import Mapping
from html import unescape

from anabranch.photos.view import Block

POSITION = ("GPSLatitude", "GPSLongitude", "GpsLatitude", "GpsLongitude", "GpsLongtitude", "GPSLongtitude")
DRONE = (
    "RelativeAltitude", "GimbalYawDegree", "GimbalPitchDegree", "GimbalRollDegree", "FlightYawDegree",
    "FlightPitchDegree", "FlightRollDegree",
)  # fmt: skip
OTHER = ("GPSAltitude", "GPSAltitudeRef", "GPSTimeStamp", "DateTimeOriginal", "Make", "Model")
LONGEST = 256 << 10  # bytes of XMP that are looked at
_LONGEST_VALUE = 100
_STEP = 4096  # bytes looked at at a time: the properties of drones are at the start

_NAMES = "|".join((*POSITION, *DRONE, *OTHER)).encode()
_PROPERTY = re.compile(  # prefix:Name="value", or <prefix:Name>value<
    rb"[\w.-]{1,64}:(" + _NAMES + rb")(?:\s{0,20}=\s{0,20}([\"'])([^\"'<]{0,%d})\2" % _LONGEST_VALUE
    + rb"|(?:\s[^<>]{0,200})?>\s{0,200}([^<]{1,%d})<)" % _LONGEST_VALUE
)  # fmt: skip


def properties(block: Block) -> Mapping[str, str]:
    """Return the properties found, the first of each name. Raises Need for bytes that it lacks.

    Stops early where the drone's properties are all there, since their maker writes the position into the Exif block.
    """
    length = min(block.length or 0, LONGEST)
    for size in range(_STEP, length, _STEP):
        if not block.knows(0, length):
            found = _search(block.get(0, size))
            if all(name in found for name in DRONE):
                return found
    return _search(block.get(0, length))


def _search(raw: bytes) -> dict[str, str]:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff") or raw[1:2] == b"\0" or raw[:1] == b"\0":
        raw = raw.replace(b"\0", b"")  # UTF-16 or UTF-32: the names and numbers are ASCII
    found: dict[str, str] = {}
    for match in _PROPERTY.finditer(raw):
        value = match[3] if match[2] else match[4]
        found.setdefault(match[1].decode(), unescape(value.decode(errors="replace")).strip())
    return found
