"""The sites of a run: which positions count for their bounds, which are far from all others, and which are left out."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import cos, radians
from statistics import median, quantiles
from typing import Literal, NamedTuple

from anabranch.photos.addresses import shared
from anabranch.photos.options import PhotoOptions
from anabranch.photos.outputs import Row

Mark = Literal["counts", "outlier", "left_out", "no_position"]
_METRES = 111_320.0  # of a degree of latitude
_FEW = 8  # positions of which none is called an outlier


class Judged(NamedTuple):
    """A photo's row, whether its position counts, and where it is in metres from the middle of its site."""

    row: Row
    mark: Mark
    east: float = 0.0
    north: float = 0.0


class Site(NamedTuple):
    """The photos whose paths name the same site, date and pilot, in the order of the table."""

    site: str
    date: str
    pilot: str
    photos: tuple[Judged, ...]

    @property
    def title(self) -> str:
        """The site as a person would call it; empty where the paths do not tell."""
        return " ".join(word for word in (self.site, self.date, self.pilot) if word)

    @property
    def folders(self) -> dict[str, list[Judged]]:
        """The photos of each folder."""
        return by_folder(self.photos)


def sites(rows: Iterable[Row], options: PhotoOptions) -> list[Site]:
    """Sort the rows into their sites, and judge the positions of each site by themselves."""
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["site"], row["date"], row["pilot"]), []).append(row)
    return [Site(*names, tuple(_judged(those, options))) for names, those in found.items()]


def by_folder(photos: Iterable[Judged]) -> dict[str, list[Judged]]:
    """Return the photos of each folder, in their order."""
    found: dict[str, list[Judged]] = {}
    for photo in photos:
        found.setdefault(photo.row["folder"], []).append(photo)
    return found


def unwrapped(longitudes: Sequence[float]) -> list[float]:
    """Return the longitudes so that neighbours are near in number too: those east of the date line may exceed 180.

    The circle is cut at the widest gap that the longitudes leave.
    """
    ordered = sorted(set(longitudes))
    gap, start = max(((east - west, east) for west, east in pairwise(ordered)), default=(0.0, 0.0))
    if not ordered or gap <= ordered[0] + 360 - ordered[-1]:
        return list(longitudes)
    return [longitude + 360 if longitude < start else longitude for longitude in longitudes]


def below(folders: Iterable[str]) -> dict[str, str]:
    """Return the path of each folder below the one that holds them all; its words say what the photos are of."""
    paths = sorted((folder.split("/"), folder) for folder in set(folders))
    if not paths:
        return {}
    top = min(shared(paths[0][0], paths[-1][0]), min(len(path) for path, _ in paths) - 1)
    return {folder: "/".join(path[top:]) for path, folder in paths}


def _judged(rows: Sequence[Row], options: PhotoOptions) -> Iterable[Judged]:
    good = [row for row in rows if row["status"] == "ok"]
    left_out = _left_out((row["folder"] for row in good), options.left_out)
    places = _metres(good)
    judged = [place for row, place in zip(good, places, strict=True) if row["folder"] not in left_out]
    near, each = _near(judged, options), iter(places)
    for row in rows:
        if row["status"] != "ok":
            yield Judged(row, "no_position")
        elif row["folder"] in left_out:
            yield Judged(row, "left_out", *next(each))
        else:
            yield Judged(row, "counts" if next(near) else "outlier", *next(each))


def _left_out(folders: Iterable[str], words: Sequence[str]) -> set[str]:
    """Return the folders with one of the words in their names, but not where that would be all of them."""
    names = below(folders)
    found = {folder for folder, name in names.items() if any(word.lower() in name.lower() for word in words)}
    return found if len(found) < len(names) else set()


def _metres(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Return how far each position is to the east and north of the middle one."""
    if not rows:
        return []
    longitudes = unwrapped([row["lon"] for row in rows])
    lon, lat = median(longitudes), median(row["lat"] for row in rows)
    scale = _METRES * max(cos(radians(lat)), 0.01)
    return [((east - lon) * scale, (row["lat"] - lat) * _METRES) for east, row in zip(longitudes, rows, strict=True)]


def _near(places: Sequence[tuple[float, float]], options: PhotoOptions) -> Iterator[bool]:
    """Tell which places are within the quartiles of each axis, widened by a multiple of the distance between them.

    That distance counts as some metres at least: with most photos on one line, the others are not far for that alone.
    """
    if len(places) < _FEW:
        return iter([True] * len(places))
    limits = []
    for values in zip(*places, strict=True):
        low, _, high = quantiles(values, n=4)
        room = options.outlier_factor * max(high - low, options.outlier_metres)
        limits.append((low - room, high + room))
    (west, east), (south, north) = limits
    return iter([west <= x <= east and south <= y <= north for x, y in places])
