"""Draw the flight path by folder on a plain grid with a scale, and the heights along it, as one SVG picture."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import PurePosixPath
from typing import NamedTuple

from anabranch.core.svg import line, picture, round_step, text
from anabranch.photos.options import PhotoOptions
from anabranch.photos.sites import Judged, Mark, Site, below

MOST_POINTS = 1500  # that are drawn; of more, every so many-th
MOST_SITES = 3
MOST_FOLDERS = 10  # that the legend names
_WIDTH, _MAP, _HEIGHTS, _MARGIN, _LEGEND = 760, 420, 150, 46, 18
ABOVE = {"alt_msl_m": "above the sea", "rel_alt_m": "above take-off"}  # by the column of the heights
_NAMED = {  # colours that surveyors know
    "orbit": "#ff4136", "scan": "#2ecc40", "center": "#0074d9", "downlook": "#e6b800", "uplook": "#b10dc9",
    "civil": "#ff851b", "road": "#39cccc",
}  # fmt: skip
_OTHERS = ("#6b4226", "#d1495b", "#2e8b57", "#8e5fbf", "#b36b00", "#00798c", "#7a7a7a")


class _Point(NamedTuple):
    x: float  # metres to the east, and to the north
    y: float
    height: float | None
    folder: str


class _Frame(NamedTuple):
    """What of the ground is drawn, and where."""

    west: float
    south: float
    pixels: float  # for each metre
    top: float
    height: float

    def place(self, point: _Point) -> tuple[float, float]:
        return (
            _MARGIN + (point.x - self.west) * self.pixels,
            self.top + self.height - (point.y - self.south) * self.pixels,
        )


def flight_paths(found: Sequence[Site], options: PhotoOptions) -> dict[str, str]:
    """Draw the sites with the most positions: data URLs by title."""
    drawn = [site for site in found if any(photo.mark == "counts" for photo in site.photos)]
    drawn.sort(key=lambda site: -len(site.photos))
    titles = {f"Flight path {site.title}".rstrip(): site for site in drawn[:MOST_SITES]}
    return {title: _drawn(title, site, options, MOST_POINTS // len(titles)) for title, site in titles.items()}


def height_of(photos: Iterable[Judged], options: PhotoOptions) -> str:
    """Return the column of the heights that are drawn."""
    rows = [photo.row for photo in photos]
    relative = sum(row["rel_alt_m"] is not None for row in rows) * 2 > len(rows)
    return "rel_alt_m" if options.heights == "takeoff" or (options.heights == "auto" and relative) else "alt_msl_m"


def in_flight(site: Site, mark: Mark = "counts") -> list[Judged]:
    """Return the photos of one mark, folder by folder, in the order in which they were taken."""
    marked = (photo for photo in site.photos if photo.mark == mark)
    return sorted(marked, key=lambda photo: (photo.row["folder"], photo.row["taken"], photo.row["path"]))


def _drawn(title: str, site: Site, options: PhotoOptions, most: int) -> str:
    photos = in_flight(site)
    step = -(-len(photos) // most)
    marks = Counter(photo.mark for photo in site.photos)
    words = [
        f"{title}: {len(photos):,} positions",
        f" (one of {step} drawn)" if step > 1 else "",
        f"; {marks['outlier']:,} far from all others are not drawn" if marks["outlier"] else "",
        f"; nor are {marks['left_out']:,} of folders that are left out" if marks["left_out"] else "",
    ]
    column = height_of(photos, options)
    points = [_Point(photo.east, photo.north, photo.row[column], photo.row["folder"]) for photo in photos[::step]]
    known = colours(site.folders, options)
    folders = list(dict.fromkeys(point.folder for point in points))
    legend = min(len(folders), MOST_FOLDERS) + (len(folders) > MOST_FOLDERS)
    height = _MARGIN + _MAP + _HEIGHTS + 2 * _MARGIN + legend * _LEGEND
    return picture(_WIDTH, height, "".join(words), _elements(points, folders, known, ABOVE[column]))


def _elements(
    points: Sequence[_Point], folders: Sequence[str], colours: Mapping[str, str], above: str
) -> Iterator[str]:
    frame = _frame(points, _MARGIN)
    yield from _grid(frame)
    for folder in folders:
        yield _path([frame.place(point) for point in points if point.folder == folder], colours[folder])
    for point in points:
        x, y = frame.place(point)
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.8" fill="{colours[point.folder]}"/>'
    yield from _heights(points, colours, above, _MARGIN + _MAP + _MARGIN)
    top = _MARGIN + _MAP + _MARGIN + _HEIGHTS + 30
    for index, folder in enumerate(folders[:MOST_FOLDERS]):
        base = top + index * _LEGEND
        yield f'<rect x="{_MARGIN}" y="{base}" width="12" height="12" fill="{colours[folder]}"/>'
        yield text(_MARGIN + 18, base + 10, _short(folder))
    if len(folders) > MOST_FOLDERS:
        more = f"and {len(folders) - MOST_FOLDERS:,} more folders"
        yield text(_MARGIN + 18, top + MOST_FOLDERS * _LEGEND + 10, more)


def colours(folders: Iterable[str], options: PhotoOptions) -> dict[str, str]:
    """Return the colour of each folder: of the first word that its name has, the user's before ours, or the next."""
    others = cycle(_OTHERS)
    words = {word.lower(): colour for word, colour in {**options.colours, **_NAMED, **options.colours}.items()}
    found = {}
    for folder, name in below(folders).items():
        word = next((word for word in words if word in name.lower()), "")
        found[folder] = words[word] if word else next(others)
    return found


def _frame(points: Sequence[_Point], top: float) -> _Frame:
    west, east = min(point.x for point in points), max(point.x for point in points)
    south, north = min(point.y for point in points), max(point.y for point in points)
    width, height = max(east - west, 1.0), max(north - south, 1.0)
    pixels = min((_WIDTH - 2 * _MARGIN) / width, _MAP / height) * 0.94
    spare_x = (_WIDTH - 2 * _MARGIN) / pixels - (east - west)
    spare_y = _MAP / pixels - (north - south)
    return _Frame(west - spare_x / 2, south - spare_y / 2, pixels, top, _MAP)


def _grid(frame: _Frame) -> Iterator[str]:
    """Draw lines at round distances, and say how far they are from each other."""
    width = _WIDTH - 2 * _MARGIN
    step = round_step(width / frame.pixels)
    pixels = step * frame.pixels
    for index in range(int(width / pixels) + 1):
        x = _MARGIN + index * pixels
        yield line(x, frame.top, x, frame.top + frame.height)
    for index in range(int(frame.height / pixels) + 1):
        y = frame.top + frame.height - index * pixels
        yield line(_MARGIN, y, _MARGIN + width, y)
    base = frame.top + frame.height + 14
    yield f'<path d="M{_MARGIN} {base - 6}v6h{pixels:.1f}v-6" fill="none" stroke="#333"/>'
    name = f"{step / 1000:g} km" if step >= 1000 else f"{step:g} m"  # noqa: PLR2004
    yield text(_MARGIN + pixels + 6, base, f"{name}; north is up")


def _heights(points: Sequence[_Point], colours: Mapping[str, str], above: str, top: float) -> Iterator[str]:
    known = [(index, point) for index, point in enumerate(points) if point.height is not None]
    heights = [point.height for _, point in known if point.height is not None]
    yield text(8, top - 8, f"Heights {above} along it, in metres", 'font-weight="bold"')
    if not heights:
        yield text(_MARGIN, top + 20, "no photo says how high it was taken")
        return
    low, high = min(heights), max(heights)
    room = max(high - low, 1.0)
    width = _WIDTH - 2 * _MARGIN
    for share in (0, 0.5, 1):
        y = top + _HEIGHTS * (1 - share)
        yield line(_MARGIN, y, _MARGIN + width, y)
        yield text(_MARGIN - 6, y + 4, f"{low + share * room:.0f}", 'text-anchor="end"')
    places: dict[str, list[tuple[float, float]]] = {}
    for index, point in known:
        x = _MARGIN + width * index / max(len(points) - 1, 1)
        places.setdefault(point.folder, []).append((x, top + _HEIGHTS * (1 - ((point.height or 0) - low) / room)))
    for folder, path in places.items():
        yield _path(path, colours[folder])


def _path(places: Sequence[tuple[float, float]], colour: str) -> str:
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-opacity="0.55"/>'


def _short(folder: str) -> str:
    """Name a folder by its last parts."""
    parts = PurePosixPath(folder).parts
    return "/".join(parts[-4:])[-90:]
