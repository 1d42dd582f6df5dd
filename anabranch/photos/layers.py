"""Write the positions for other programs: GPX and KML for maps, GeoParquet for tables, geo.txt for OpenDroneMap."""

import json
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import IO, Any
from xml.sax.saxutils import escape

from anabranch.photos.addresses import shared
from anabranch.photos.options import PhotoOptions
from anabranch.photos.outputs import COLUMNS, Row, number, write_csv, write_geojson
from anabranch.photos.page import write_page
from anabranch.photos.plan import FORMATS
from anabranch.photos.sites import Site
from anabranch.photos.summary import write_summary

_XML = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_GPX = "http://www.topografix.com/GPX/1/1"
_KML = "http://www.opengis.net/kml/2.2"
_POINT, _POINT_Z = 1, 1001  # of well-known binary, as ISO numbers them
_TYPES = {"size": "int64", "mtime": "string"} | dict.fromkeys(COLUMNS[7:18], "float64")


def write(target: PurePath, file: IO[bytes], rows: Sequence[Row], found: Sequence[Site], options: PhotoOptions) -> None:
    """Write the rows, or what their sites say, in the format that the target's name asks for."""
    known = next(known for known in FORMATS if target.name.lower().endswith(known))
    if known in _OF_SITES:
        _OF_SITES[known](file, found, options)
    else:
        _WRITERS[known](file, rows)


def write_gpx(file: IO[bytes], rows: Iterable[Row]) -> None:
    """Write a waypoint for each position: GPX 1.1, heights above the sea in metres."""
    file.write(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<gpx version="1.1" creator="Anabranch" xmlns="{_GPX}">\n'.encode()
    )
    for one in _placed(rows):
        height = "" if one["alt_msl_m"] is None else f"<ele>{number(one['alt_msl_m'], 4)}</ele>"
        time = f"<time>{_instant(one)}</time>" if one["gps_time_utc"] else ""
        at = f'lat="{number(one["lat"], 9)}" lon="{number(one["lon"], 9)}"'
        words = f"<name>{escape(one['name'])}</name><src>{escape(one['path'])}</src>"
        file.write(f"<wpt {at}>{height}{time}{words}</wpt>\n".encode())
    file.write(b"</gpx>\n")


def write_kml(file: IO[bytes], rows: Iterable[Row]) -> None:
    """Write a placemark for each position, in folders that lie in one another as those of the source do: KML 2.2.

    One without a height lies on the ground.
    """
    folders: dict[str, list[Row]] = {}
    for one in _placed(rows):  # those of one folder need not follow one another: another may lie between them
        folders.setdefault(one["folder"], []).append(one)
    paths = sorted((folder.split("/"), photos) for folder, photos in folders.items())
    top = shared(paths[0][0], paths[-1][0]) if paths else 0  # of which one folder is made
    file.write(_XML + f'<kml xmlns="{_KML}"><Document>\n'.encode())
    standing: list[str] = []
    for path, photos in paths:
        wanted = ["/".join(path[:top]) or "/", *path[top:]]
        kept = shared(standing, wanted)
        file.write(b"</Folder>\n" * (len(standing) - kept))
        for name in wanted[kept:]:
            file.write(f"<Folder><name>{escape(name)}</name>\n".encode())
        standing = wanted
        file.writelines(map(_placemark, photos))
    file.write(b"</Folder>\n" * len(standing) + b"</Document></kml>\n")


def _placemark(one: Row) -> bytes:
    height = one["alt_msl_m"]
    place = [number(one["lon"], 9), number(one["lat"], 9), *([] if height is None else [number(height, 4)])]
    mode = "clampToGround" if height is None else "absolute"
    time = f"<TimeStamp><when>{_instant(one)}</when></TimeStamp>" if one["gps_time_utc"] else ""
    point = f"<Point><altitudeMode>{mode}</altitudeMode><coordinates>{','.join(place)}</coordinates></Point>"
    return f"<Placemark><name>{escape(one['name'])}</name>{time}{point}</Placemark>\n".encode()


def write_geo(file: IO[bytes], rows: Sequence[Row]) -> None:
    """Write geo.txt as OpenDroneMap reads it: name, longitude, latitude and height of the photos that have a height."""
    file.write(b"EPSG:4326\n")
    for one, name in zip(rows, _geo_names(rows), strict=True):
        if not _lacks(one, name):
            words = [name, number(one["lon"], 9), number(one["lat"], 9), number(one["alt_msl_m"], 4)]
            file.write(f"{' '.join(words)}\n".encode())


def left_out_of_geo(rows: Sequence[Row]) -> Iterator[str]:
    """Name the photos with a position that geo.txt cannot have, each with the reason."""
    for one, name in zip(rows, _geo_names(rows), strict=True):
        if one["status"] == "ok" and (lack := _lacks(one, name)):
            yield f"{one['path']} is not in geo.txt: {lack}"


def _geo_names(rows: Iterable[Row]) -> list[str]:
    """Return the photos' names; one that is in two folders keeps its path, since names would not tell them apart."""
    names = Counter(one["name"] for one in rows)
    return [one["path"] if names[one["name"]] > 1 else one["name"] for one in rows]


def _lacks(one: Row, name: str) -> str:
    if one["status"] != "ok":
        return "it has no position"
    if one["alt_msl_m"] is None:
        return "it has no height"
    return "OpenDroneMap ends a name at a blank" if " " in name else ""


def write_parquet(file: IO[bytes], rows: Sequence[Row]) -> None:
    """Write the whole table as GeoParquet 1.1: points in well-known binary, null where there is no position."""
    import pyarrow as pa  # noqa: PLC0415  the other formats do without it
    import pyarrow.parquet as pq  # noqa: PLC0415

    columns = {
        name: pa.array([None if one[name] == "" else one[name] for one in rows], _TYPES.get(name, "string"))
        for name in COLUMNS
    }
    points = [_well_known(one) if one["status"] == "ok" else None for one in rows]
    kinds = sorted({"Point Z" if len(point) > 21 else "Point" for point in points if point})  # noqa: PLR2004  two numbers
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {"geometry": {"encoding": "WKB", "geometry_types": kinds}},
    }
    table = pa.table({**columns, "geometry": pa.array(points, pa.binary())})
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), file, compression="zstd")


def _placed(rows: Iterable[Row]) -> Iterable[Row]:
    return (one for one in rows if one["status"] == "ok")


def _instant(one: Row) -> str:
    return escape(str(one["gps_time_utc"]))


def _well_known(one: dict[str, Any]) -> bytes:
    place = (one["lon"], one["lat"])
    if one["alt_msl_m"] is None:
        return struct.pack("<bI2d", 1, _POINT, *place)
    return struct.pack("<bI3d", 1, _POINT_Z, *place, one["alt_msl_m"])


_WRITERS: dict[str, Callable[[IO[bytes], Sequence[Row]], None]] = {
    ".csv": write_csv,
    ".geojson": write_geojson,
    ".gpx": write_gpx,
    ".kml": write_kml,
    ".parquet": write_parquet,
    "geo.txt": write_geo,
}
_OF_SITES: dict[str, Callable[[IO[bytes], Sequence[Site], PhotoOptions], None]] = {
    ".summary.json": write_summary,
    ".html": write_page,
}
