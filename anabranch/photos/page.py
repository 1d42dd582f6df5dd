"""Write the flight paths as one HTML page that needs no network: each site in space, and on a grid from above."""

import importlib
import json
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import IO, Any

from anabranch.photos.maps import ABOVE, colours, height_of, in_flight
from anabranch.photos.options import PhotoOptions
from anabranch.photos.sites import Judged, Site, below, by_folder

_OUTLIERS = "#ff0000"


def write_page(file: IO[bytes], found: Sequence[Site], options: PhotoOptions) -> None:
    """Write the page: plotly's script, the positions as JSON, and the lines that draw them."""
    sites = [_site(site, options) for site in found if any(photo.mark != "no_position" for photo in site.photos)]
    parts = {
        "TITLE": escape(" ".join(["Flight paths", *(site["title"] for site in sites if len(sites) == 1)])),
        "PLOTLY": importlib.import_module("plotly.offline").get_plotlyjs(),  # an extra
        "SITES": json.dumps(sites, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
    }
    template = files("anabranch.photos").joinpath("page.html").read_text(encoding="utf-8")
    file.write(re.sub("<!--([A-Z]+)-->", lambda match: parts[match[1]], template).encode())


def _site(site: Site, options: PhotoOptions) -> dict[str, Any]:
    """Return what the page draws: a group for each folder, and one of the outliers."""
    flight = in_flight(site)
    column = height_of(flight, options)
    colour, names = colours(site.folders, options), below(site.folders)
    groups = [
        _group(f"{names[folder]} ({len(photos):,})", photos, column, colour[folder])
        for folder, photos in by_folder(flight).items()
    ]
    groups += [
        _group(f"{names[folder]} ({len(photos):,}, left out)", photos, column, colour[folder], drawn=False)
        for folder, photos in by_folder(in_flight(site, "left_out")).items()
    ]
    if outliers := in_flight(site, "outlier"):
        groups.append(_group(f"outliers ({len(outliers):,})", outliers, column, _OUTLIERS, drawn=False))
    return {
        "title": site.title,
        "photos": len(site.photos),
        "counts": f"{site.title}: {len(site.photos):,} photos, {len(flight):,} positions".removeprefix(": "),
        "above": ABOVE[column],
        "aspect": _aspect(flight),
        "groups": groups,
    }


def _group(title: str, photos: Sequence[Judged], column: str, colour: str, *, drawn: bool = True) -> dict[str, Any]:
    rows = [photo.row for photo in photos]
    return {
        "title": title,
        "colour": colour,
        "drawn": drawn,
        "mode": "markers" if colour == _OUTLIERS else "lines+markers",
        "name": [row["name"] for row in rows],
        "taken": [row["taken"] for row in rows],
        "lat": [round(row["lat"], 9) for row in rows],
        "lon": [round(row["lon"], 9) for row in rows],
        "height": [None if row[column] is None else round(row[column], 2) for row in rows],
        "east": [round(photo.east, 2) for photo in photos],
        "north": [round(photo.north, 2) for photo in photos],
    }


def _aspect(photos: Sequence[Judged]) -> list[float]:
    """Return the lengths of the axes to the east and the north, of which the longer one is 1."""
    axes = [[photo.east for photo in photos], [photo.north for photo in photos]]
    sides = [max(values, default=0.0) - min(values, default=0.0) for values in axes]
    return [max(side / (max(sides) or 1.0), 0.1) for side in sides]
