"""Sum up the sites of a run: photos, bytes, bounds, heights and times of each folder, each site, and all."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import IO, Any

from anabranch.photos.maps import colours
from anabranch.photos.options import PhotoOptions
from anabranch.photos.sites import Judged, Site, unwrapped


def write_summary(file: IO[bytes], found: Sequence[Site], options: PhotoOptions) -> None:
    """Write the summary as JSON: of all photos, of each site, and in it of each folder."""
    every = [photo for site in found for photo in site.photos]
    whole = figures(every) | {"sites": [_site(site, options) for site in found]}
    file.write(json.dumps(whole, indent=1, ensure_ascii=False).encode() + b"\n")


def _site(site: Site, options: PhotoOptions) -> dict[str, Any]:
    colour = colours(site.folders, options)
    folders = [
        {"folder": folder, "colour": colour[folder], **figures(photos)} for folder, photos in site.folders.items()
    ]
    outliers = [photo.row["path"] for photo in site.photos if photo.mark == "outlier"]
    names = {"site": site.site, "date": site.date, "pilot": site.pilot}
    return {**names, **figures(site.photos), "outlier_photos": outliers, "folders": folders}


def figures(photos: Sequence[Judged]) -> dict[str, Any]:
    """Return counts, bounds in degrees, heights in metres, and times; null where no photo says it.

    Outliers, and positions that are left out, count for no bounds, heights and times, unless all are left out. Bounds
    over the date line have a west that is greater than their east.
    """
    marks = Counter(photo.mark for photo in photos)
    kind = "left_out" if marks["left_out"] and not marks["counts"] else "counts"
    rows = [photo.row for photo in photos if photo.mark == kind]
    return {
        "photos": len(photos),
        "bytes": sum(photo.row["size"] or 0 for photo in photos),
        "with_position": len(photos) - marks["no_position"],
        "outliers": marks["outlier"],
        "left_out": marks["left_out"],
        "bounds": _bounds([row["lat"] for row in rows], [row["lon"] for row in rows]),
        "height_above_sea": _range(row["alt_msl_m"] for row in rows),
        "height_above_takeoff": _range(row["rel_alt_m"] for row in rows),
        **_times(row["taken"] for row in rows),
    }


def in_words(photos: Sequence[Judged]) -> dict[str, Any]:
    """Return the figures for a table that people read, photos by status among them."""
    known = figures(photos)
    words: dict[str, Any] = {"photos": len(photos), **Counter(photo.row["status"] for photo in photos)}
    words |= {name: known[name] for name in ("bytes", "outliers", "left_out")}
    if known["bounds"]:
        west, south, east, north = (f"{known['bounds'][name]:.5f}" for name in ("west", "south", "east", "north"))
        words["bounds"] = f"{south}, {west} to {north}, {east}"
    for name in ("height_above_sea", "height_above_takeoff"):
        if known[name]:
            words[name] = "{:.0f} to {:.0f} m".format(*known[name])
    if known["first"]:
        words |= {"first": known["first"], "last": known["last"], "time": str(timedelta(seconds=known["seconds"]))}
    return words


def _bounds(latitudes: Sequence[float], longitudes: Sequence[float]) -> dict[str, float] | None:
    if not latitudes:
        return None
    beside = unwrapped(longitudes)
    west, east = (value - 360 if value > 180 else value for value in (min(beside), max(beside)))  # noqa: PLR2004
    bounds = {"west": west, "south": min(latitudes), "east": east, "north": max(latitudes)}
    return {name: round(value, 9) for name, value in bounds.items()}


def _range(values: Iterable[float | None]) -> list[float] | None:
    known = [value for value in values if value is not None]
    return [round(min(known), 4), round(max(known), 4)] if known else None


def _times(taken: Iterable[str]) -> dict[str, Any]:
    """Return the first and the last time, and the seconds between; by the cameras' clocks where one has no offset."""
    known = []
    for text in taken:
        try:
            known.append((datetime.fromisoformat(text), text))
        except ValueError:  # empty, or a leap second
            continue
    if not known:
        return {"first": None, "last": None, "seconds": None}
    if any(time.tzinfo is None for time, _ in known):
        known = [(time.replace(tzinfo=None), text) for time, text in known]
    (first, first_text), (last, last_text) = min(known), max(known)
    return {"first": first_text, "last": last_text, "seconds": (last - first).total_seconds()}
