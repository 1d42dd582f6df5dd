"""Write the table: one row for each photo, as CSV, or as a feature of GeoJSON."""

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import IO, Any
from urllib.parse import unquote

from anabranch.core.storage import shown
from anabranch.photos.fetching import Photo
from anabranch.photos.plan import path_facts
from anabranch.photos.positions import Facts

FEET = 3.28084  # in a metre
COLUMNS = (
    "path", "folder", "name", "size", "mtime", "status", "reason", "lat", "lon", "alt_msl_m", "alt_ft", "rel_alt_m",
    "gimbal_yaw", "gimbal_pitch", "gimbal_roll", "flight_yaw", "flight_pitch", "flight_roll", "gps_time_utc", "taken",
    "make", "model", "site", "date", "pilot",
)  # fmt: skip
_DEGREES = {"lat", "lon"}
_BLOCK = 2000  # rows that are written at a time

Row = dict[str, Any]


def row(photo: Photo, facts: Facts, pattern: re.Pattern[str], prefix: str = "") -> Row:
    """Make a photo's row; what is not known is None or empty."""
    path = os.fsdecode(photo.path)
    place = PurePosixPath(path)
    folder, name = path.rpartition("/")[::2] if photo.url else (place.parent, place.name)
    if photo.url.lower().startswith("http"):
        name = unquote(name)
    found: Row = {
        "path": shown(f"{prefix}{path}"),
        "folder": shown(f"{prefix}{folder}"),
        "name": shown(name),
        "size": photo.size,
        "mtime": "" if photo.mtime is None else _time(photo.mtime),
        **facts._asdict(),
        "alt_ft": None if facts.alt_msl_m is None else facts.alt_msl_m * FEET,
        "site": "",
        "date": "",
        "pilot": "",
    }
    for name in ("reason", "make", "model", "taken"):
        found[name] = shown(found[name])
    return found | {name: shown(text) for name, text in path_facts(pattern, path).items()}


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_csv(file: IO[bytes], rows: Iterable[Row]) -> None:
    """Write the rows under their head, in UTF-8, each ended by a line feed."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for number, one in enumerate(rows, 1):
        table.writerow([_cell(name, one[name]) for name in COLUMNS])
        if not number % _BLOCK:
            _flush(text, file)
    _flush(text, file)


def _flush(text: io.StringIO, file: IO[bytes]) -> None:
    file.write(text.getvalue().encode())
    text.seek(0)
    text.truncate()


def _cell(name: str, value: Any) -> Any:
    return number(value, 9 if name in _DEGREES else 4) if isinstance(value, float) else value


def number(value: float, digits: int) -> str:
    """Write a number with so many decimals at most."""
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def write_geojson(file: IO[bytes], rows: Iterable[Row]) -> None:
    """Write the rows as features; those without a position that counts have no geometry."""
    file.write(b'{"type":"FeatureCollection","features":[')
    for index, one in enumerate(rows):
        file.write((",\n" if index else "\n").encode() + json.dumps(_feature(one), ensure_ascii=False).encode())
    file.write(b"\n]}\n")


def _feature(one: Row) -> dict[str, Any]:
    geometry = None
    if one["status"] == "ok":
        place = [round(one["lon"], 9), round(one["lat"], 9)]
        height = [] if one["alt_msl_m"] is None else [round(one["alt_msl_m"], 4)]
        geometry = {"type": "Point", "coordinates": place + height}
    return {"type": "Feature", "geometry": geometry, "properties": dict(_properties(one))}


def _properties(one: Row) -> Iterator[tuple[str, Any]]:
    for name in COLUMNS:
        value = one[name]
        if name not in _DEGREES and value not in (None, ""):
            yield name, round(value, 4) if isinstance(value, float) else value
