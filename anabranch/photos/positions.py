"""What a photo's metadata means: position, heights, angles and times, with the values that `exiftool -n` gives."""

import math
import re
from datetime import datetime
from typing import Literal, NamedTuple

from anabranch.photos import exif
from anabranch.photos.metadata import LATITUDE, LONGITUDE, Metadata

Status = Literal["ok", "no_gps", "placeholder", "invalid", "unreadable", "timeout", "vanished", "not_a_photo"]
STATUSES: tuple[Status, ...] = ("ok", "no_gps", "placeholder", "invalid", "unreadable", "timeout", "vanished")
ASSUMED = {"NE": "NE", "NW": "NW", "SE": "SE", "SW": "SW"}

_ALTITUDE_REF, _ALTITUDE, _TIME, _DATE = 5, 6, 7, 29
_ELLIPSOID = 2.0  # a height above the ellipsoid or the sea, from Exif 3 on: not below anything
_ANGLES = {
    f"{body}_{axis}": f"{body.title()}{axis.title()}Degree"
    for body in ("gimbal", "flight")
    for axis in ("yaw", "pitch", "roll")
}
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[Ee][+-]?\d+)?")
_DATE_FORM = re.compile(r"(\d{4})\D*(\d{2})\D*(\d{2})")
_TAKEN_FORM = re.compile(r"(\d{4})\D(\d{2})\D(\d{2})[ T](\d{2}):(\d{2})(?::(\d{2})(\.\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?")
_OFFSET_FORM = re.compile(r"[+-]\d{2}:\d{2}|Z")


class Facts(NamedTuple):
    """What is known of one photo: degrees, metres and times; None or empty where the photo does not say."""

    status: Status
    reason: str = ""
    lat: float | None = None
    lon: float | None = None
    alt_msl_m: float | None = None
    rel_alt_m: float | None = None
    gimbal_yaw: float | None = None
    gimbal_pitch: float | None = None
    gimbal_roll: float | None = None
    flight_yaw: float | None = None
    flight_pitch: float | None = None
    flight_roll: float | None = None
    gps_time_utc: str = ""
    taken: str = ""
    make: str = ""
    model: str = ""


class _Axis(NamedTuple):
    """Latitude or longitude as the photo says it."""

    name: str
    degrees: float | None = None  # with its sign; None where it is missing
    reason: str = ""  # why it is not one that counts
    undefined: bool = False  # 0/0


def facts(found: Metadata, assume: str = "") -> Facts:
    """Tell what the metadata means; `assume` has the letters that count where a photo does not name its hemisphere."""
    status, reason, lat, lon = _position(found, assume)
    angles = {}
    if any(key in found.xmp for key in _ANGLES.values()):
        angles = {name: _number(found.xmp.get(key, "")) for name, key in _ANGLES.items()}
    return Facts(
        status,
        reason,
        lat,
        lon,
        _altitude(found),
        _number(found.xmp.get("RelativeAltitude", "")),
        **angles,
        gps_time_utc=_gps_time(found),
        taken=_taken(found),
        make=found.tags.text(exif.MAKE) or found.xmp.get("Make", ""),
        model=found.tags.text(exif.MODEL) or found.xmp.get("Model", ""),
    )


def _position(found: Metadata, assume: str) -> tuple[Status, str, float | None, float | None]:
    lat, lon = _from_exif(found, assume)
    if lat.degrees is None or lon.degrees is None:
        other = _from_xmp(found)
        if other[0].degrees is not None and other[1].degrees is not None:
            lat, lon = other
    reasons = "; ".join(reason for reason in (lat.reason, lon.reason) if reason)
    if lat.undefined or lon.undefined:
        return "placeholder", reasons, None, None
    if lat.degrees is not None and lon.degrees is not None:
        return _judged(lat.degrees, lon.degrees)
    if reasons:
        return "invalid", reasons, None, None
    if (lat.degrees is None) != (lon.degrees is None):
        missing, there = (lat, lon) if lat.degrees is None else (lon, lat)
        return "invalid", f"there is no {missing.name}, but a {there.name}: {there.degrees}", None, None
    return "no_gps", "; ".join(dict.fromkeys(found.faults)), None, None


def _judged(lat: float, lon: float) -> tuple[Status, str, float | None, float | None]:
    if abs(lat) > 90 or abs(lon) > 180 or not math.isfinite(lat + lon):  # noqa: PLR2004
        return "invalid", f"there is no such place: latitude {lat:.10g}, longitude {lon:.10g}", None, None
    if lat == 0 and lon == 0:
        return "placeholder", "the position is 0, 0", 0.0, 0.0
    return "ok", "", lat, lon


def _from_exif(found: Metadata, assume: str) -> tuple[_Axis, _Axis]:
    gps = found.tags.gps
    letters = assume or "  "
    return (
        _axis("latitude", gps.get(LATITUDE), gps.get(LATITUDE - 1), "NS", letters[0]),
        _axis("longitude", gps.get(LONGITUDE), gps.get(LONGITUDE - 1), "EW", letters[1]),
    )


def _axis(name: str, value: exif.Value | None, ref: exif.Value | None, letters: str, assumed: str) -> _Axis:
    """Read degrees, minutes and seconds, and the letter of the hemisphere."""
    if value is None or value in ((), ""):
        return _Axis(name)
    numbers = [float(text) for text in _NUMBER.findall(value)] if isinstance(value, str) else list(value[:3])
    if any(math.isnan(number) for number in numbers):
        return _Axis(name, reason=f"the {name} is 0/0", undefined=True)
    if not numbers or any(math.isinf(number) for number in numbers):
        return _Axis(name, reason=f"the {name} is divided by 0")
    degrees, minutes, seconds = (*numbers, 0.0, 0.0)[:3]
    size = abs(degrees + (minutes + seconds / 60) / 60)
    letter = ref[:1].upper() if isinstance(ref, str) else ""
    if letter not in letters or not letter:
        letter = assumed.strip()
    if not letter:
        raw = " ".join(f"{number:.10g}" for number in numbers)
        given = "" if ref is None else f", but {ref if isinstance(ref, str) else list(ref)!r}"
        return _Axis(name, reason=f"no {letters[0]} or {letters[1]}{given}: the {name} is {raw}")
    return _Axis(name, -size if letter == letters[1] else size)


def _from_xmp(found: Metadata) -> tuple[_Axis, _Axis]:
    values = found.xmp
    lat = _signed(values.get("GPSLatitude", "")), _signed(values.get("GpsLatitude", ""))
    lon = (
        _signed(values.get("GPSLongitude", "")),
        _signed(values.get("GPSLongtitude", "") or values.get("GpsLongitude", "") or values.get("GpsLongtitude", "")),
    )
    index = 0 if lat[0] is not None and lon[0] is not None else 1
    return _Axis("latitude", lat[index]), _Axis("longitude", lon[index])


def _signed(text: str) -> float | None:
    """Read degrees such as 54,59.38N or -33.5."""
    numbers = [float(number) for number in _NUMBER.findall(text)]
    if not numbers:
        return None
    degrees, minutes, seconds = (*numbers, 0.0, 0.0)[:3]
    size = degrees + (minutes + seconds / 60) / 60
    return -size if text[-1:].upper() in ("S", "W") else size


def _altitude(found: Metadata) -> float | None:
    """Take the height with its reference, from the Exif block or else the XMP; without one, as it is."""
    known = [
        (_first(found.tags.gps.get(_ALTITUDE)), _reference(found.tags.gps.get(_ALTITUDE_REF))),
        (_fraction(found.xmp.get("GPSAltitude", "")), _number(found.xmp.get("GPSAltitudeRef", ""))),
    ]
    for height, ref in known:
        if height is not None and ref is not None:
            return -abs(height) if ref not in (0.0, _ELLIPSOID) else height
    return next((height for height, _ in known if height is not None), None)


def _first(value: exif.Value | None) -> float | None:
    if value is None:
        return None
    number = _number(value) if isinstance(value, str) else value[0]
    return number if number is not None and math.isfinite(number) else None


def _reference(value: exif.Value | None) -> float | None:
    """Read the reference of a height; some write the digit as text."""
    number = _first(value)
    return number - ord("0") if number is not None and ord("0") <= number <= ord("9") else number


def _fraction(text: str) -> float | None:
    numerator, _, denominator = text.partition("/")
    top, bottom = _number(numerator), _number(denominator or "1")
    return top / bottom if top is not None and bottom else None


def _number(text: str) -> float | None:
    match = _NUMBER.match(text.strip())
    number = float(match[0]) if match else None
    return number if number is not None and math.isfinite(number) else None


def _gps_time(found: Metadata) -> str:
    """Write the satellites' date and time; nothing where one of them is missing or cannot be."""
    date, time = found.tags.gps.get(_DATE), found.tags.gps.get(_TIME)
    if date is None and time is None:
        return _iso(found.xmp.get("GPSTimeStamp", ""))
    match = _DATE_FORM.match(date) if isinstance(date, str) else None
    if not match or not time or isinstance(time, str) or not all(map(math.isfinite, time)):
        return ""
    hours, minutes, seconds = (*time, 0.0, 0.0)[:3]
    total = round((hours * 60 + minutes) * 60 + seconds, 9)
    whole = int(total)
    fraction = f"{total - whole:.6f}".rstrip("0")[1:].rstrip(".")
    clock = f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
    return _iso(f"{match[1]}-{match[2]}-{match[3]}T{clock}{fraction}Z")


def _taken(found: Metadata) -> str:
    """Write the camera's own time, with its offset from UTC where the photo has one."""
    taken = _iso(found.tags.text(exif.TAKEN)) or _iso(found.xmp.get("DateTimeOriginal", ""))
    offset = found.tags.text(exif.TAKEN_OFFSET)
    has_one = bool(re.search(r"(Z|[+-]\d{2}:\d{2})$", taken))
    return taken if not taken or has_one or not _OFFSET_FORM.fullmatch(offset) else f"{taken}{offset}"


def _iso(text: str) -> str:
    """Write a time by ISO 8601; nothing for one that cannot be, such as 0000:00:00."""
    match = _TAKEN_FORM.match(text.strip())
    if not match:
        return ""
    year, month, day, hours, minutes, seconds, fraction, offset = match.groups()
    try:
        datetime(int(year), int(month), int(day), int(hours), int(minutes), min(int(seconds or 0), 59))  # noqa: DTZ001
    except ValueError:
        return ""
    return f"{year}-{month}-{day}T{hours}:{minutes}:{seconds or '00'}{fraction or ''}{offset or ''}"
