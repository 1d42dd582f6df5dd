"""Draw lines over time in panels that share a time axis, and bars on a timeline, as SVG."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import ceil
from operator import itemgetter
from typing import NamedTuple

from anabranch.core.svg import drawing, escaped, line, round_step, text
from anabranch.logs.points import Line
from anabranch.logs.zones import zone_of

WIDTH, PLOT, LEFT = 760, 640, 84  # pixels: of the picture, of the ground of a chart, and to the left of that
MOST_POINTS = 6000  # of all lines together, which take about 70 kB
_TOP, _PANEL, _BETWEEN, _LANE, _LEGEND = 50, 150, 34, 22, 18  # pixels
_SHORTEST = 2  # pixels of a bar
_LONGEST_NAME, _LONGEST_LANE = 24, 12  # letters
_MARKED = 40  # points of a line that are marked; of more, the line itself is enough
_COLOURS = ("#0060c0", "#d1380b", "#1a8a3a", "#8e44ad", "#a06000", "#00828f", "#c2187a", "#555555")
_DASHES = ("", "6 3", "2 3")  # for further lines, in the same colours
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_MINUTE, _DAY = 60, 86400
_FIRST, _LAST = (edge.replace(tzinfo=UTC).timestamp() for edge in (datetime(1, 1, 3), datetime(9999, 12, 29)))  # noqa: DTZ001
_MARKS = 8  # of time, at most
_PER_ROW = 4  # names of a legend
_BIG = 10_000_000  # from here on, figures are written as 1e+07


class Panel(NamedTuple):
    """Lines over time, by name, above one another with their unit; the axis goes from 0 to `least` at least."""

    heading: str
    lines: Mapping[str, Line]
    least: float = 0


class Bar(NamedTuple):
    """What lasted from one time to another, in seconds since 1970, which are equal where only one is known."""

    start: float
    end: float
    kind: str  # decides the colour, and stands in the legend
    about: str  # shown where the mouse rests on it


class _Time:
    """The axis of time, from the first moment to the last."""

    def __init__(self, first: float, last: float, zone: str) -> None:
        self.first, self.last, self._name, self._zone = first, last, zone, zone_of(zone)

    def share(self, time: float) -> float:
        """Return where a time is, from 0 to 1."""
        return (time - self.first) / (self.last - self.first) if self.last > self.first else 0.5

    def place(self, time: float) -> float:
        """Return how far from the left edge a time is, in pixels."""
        return LEFT + PLOT * self.share(time)

    def draw(self, top: float, bottom: float, base: float) -> Iterator[str]:
        """Draw a grid at round times, and what they are below it."""
        length = self.last - self.first
        distance = next((step for step in _STEPS if length <= _MARKS * step), _DAY * ceil(length / _DAY / _MARKS))
        offset = self._local(self.first).utcoffset()
        shift = offset.total_seconds() if offset else 0.0
        mark = ceil((self.first + shift) / distance) * distance - shift
        marks = [mark + index * distance for index in range(_MARKS + 1) if mark + index * distance <= self.last]
        for time in marks or [self.first]:
            yield line(self.place(time), top, self.place(time), bottom)
            yield text(self.place(time), base, self._written(time, distance), 'text-anchor="middle"')
        days = dict.fromkeys(f"{self._local(time):%Y-%m-%d}" for time in (self.first, self.last))
        yield text(LEFT, base + 18, f"time in {self._name}, {' to '.join(days)}")

    def _local(self, time: float) -> datetime:
        return datetime.fromtimestamp(min(max(time, _FIRST), _LAST), self._zone)  # which the calendar has in any zone

    def _written(self, time: float, distance: float) -> str:
        if distance >= _DAY:
            return f"{self._local(time):%Y-%m-%d}"
        day = "%m-%d " if self.last - self.first >= _DAY else ""
        return f"{self._local(time):{day}%H:%M{':%S' if distance < _MINUTE else ''}}"


def plotted(title: str, zone: str, panels: Sequence[Panel]) -> str:
    """Draw panels of lines, which have at least one point; of a line that is thinned, no peak is lost."""
    every = [one.times for panel in panels for one in panel.lines.values() if one.times]
    axis = _Time(min(map(min, every)), max(map(max, every)), zone)
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    bottom = _TOP + len(panels) * (_PANEL + _BETWEEN) - _BETWEEN
    legend = list(_legend({name: _style(names.index(name)) for name in names}, bottom + 56))
    columns = min(PLOT, MOST_POINTS // (2 * sum(len(panel.lines) for panel in panels)))

    def elements() -> Iterator[str]:
        yield from axis.draw(_TOP, bottom, bottom + 16)
        for index, panel in enumerate(panels):
            top = _TOP + index * (_PANEL + _BETWEEN)
            most = max(panel.least, *(max(one.values, default=0) for one in panel.lines.values()))
            distance = round_step(most or 1)
            most = ceil((most or 1) / distance) * distance
            yield text(LEFT, top - 8, panel.heading, 'font-weight="bold"')
            yield from _scale(top, distance, most)
            for name, one in panel.lines.items():
                shown = _thinned(one, axis, columns)
                places = [(axis.place(time), top + _PANEL * (1 - value / most)) for time, value in shown]
                yield _drawn(name, places, _style(names.index(name)), marked=len(one.times) <= _MARKED)
        yield from legend

    rows = ceil(len(names) / _PER_ROW)
    return drawing(WIDTH, bottom + 50 + rows * _LEGEND, title, elements())


def timeline(title: str, zone: str, lanes: Mapping[str, Sequence[Bar]]) -> str:
    """Draw a lane of bars for each name; bars of one kind that touch are drawn as one."""
    bars = [bar for lane in lanes.values() for bar in lane]
    axis = _Time(min(bar.start for bar in bars), max(bar.end for bar in bars), zone)
    kinds = sorted({bar.kind for bar in bars})
    bottom = _TOP + len(lanes) * _LANE

    def elements() -> Iterator[str]:
        yield from axis.draw(_TOP, bottom, bottom + 16)
        for index, (name, lane) in enumerate(lanes.items()):
            top = _TOP + index * _LANE
            yield line(LEFT, top, LEFT + PLOT, top)
            yield text(LEFT - 8, top + 15, short(name, _LONGEST_LANE), 'text-anchor="end"')
            for left, right, bar in _merged(lane, axis):
                place = f'x="{left:.1f}" y="{top + 4}" width="{right - left:.1f}" height="{_LANE - 8}"'
                colour = _COLOURS[kinds.index(bar.kind)]
                yield f'<rect {place} fill="{colour}"><title>{escaped(bar.about)}</title></rect>'
        yield from _legend({kind: (_COLOURS[index], "") for index, kind in enumerate(kinds)}, bottom + 56)

    return drawing(WIDTH, bottom + 50 + _LEGEND, title, elements())


def sentence(title: str, words: str) -> str:
    """Return a picture that says why there is nothing to draw."""
    return drawing(WIDTH, 60, title, [text(8, 42, words)])


def _style(index: int) -> tuple[str, str]:
    """Return the colour and the dashes of a line."""
    return _COLOURS[index % len(_COLOURS)], _DASHES[index // len(_COLOURS) % len(_DASHES)]


def _legend(styles: Mapping[str, tuple[str, str]], base: float) -> Iterator[str]:
    for index, (name, (colour, dash)) in enumerate(styles.items()):
        x, y = LEFT + index % _PER_ROW * (PLOT / _PER_ROW), base + index // _PER_ROW * _LEGEND
        yield f'<path d="M{x:g} {y - 4:g}h22" stroke="{colour}" stroke-width="3"{_dashed(dash)}/>'
        yield text(x + 28, y, short(name, _LONGEST_NAME))


def _scale(top: float, distance: float, most: float) -> Iterator[str]:
    for index in range(round(most / distance) + 1):
        value = index * distance
        y = top + _PANEL * (1 - value / most)
        yield line(LEFT, y, LEFT + PLOT, y)
        yield text(
            LEFT - 6, y + 4, f"{value:,.0f}" if 1 <= distance < most < _BIG else f"{value:g}", 'text-anchor="end"'
        )


def _thinned(one: Line, axis: _Time, columns: int) -> list[tuple[float, float]]:
    """Return the points in order of time: of each column of pixels only the lowest and the highest."""
    points = list(zip(one.times, one.values, strict=True))
    points.sort(key=itemgetter(0))
    if len(points) <= 2 * columns:
        return points
    kept = list[tuple[float, float]]()
    low = high = points[0]
    column = 0
    for point in points:
        at = int(axis.share(point[0]) * columns)
        if at > column:
            kept += _in_order(low, high)
            column, low, high = at, point, point
        elif point[1] < low[1]:
            low = point
        elif point[1] > high[1]:
            high = point
    return [*kept, *_in_order(low, high)]


def _in_order(low: tuple[float, float], high: tuple[float, float]) -> list[tuple[float, float]]:
    return [low] if low is high else [low, high] if low[0] <= high[0] else [high, low]


def _drawn(name: str, places: Sequence[tuple[float, float]], style: tuple[str, str], *, marked: bool) -> str:
    colour, dash = style
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    marks = places if marked else ()
    return (
        f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="1.2"{_dashed(dash)}>'
        f"<title>{escaped(name)}</title></polyline>"
    ) + "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{colour}"/>' for x, y in marks)


def _dashed(dash: str) -> str:
    return f' stroke-dasharray="{dash}"' if dash else ""


def _merged(lane: Sequence[Bar], axis: _Time) -> list[tuple[float, float, Bar]]:
    """Return where the bars begin and end, those of one kind that touch as one, which has no longer a name."""
    merged: list[tuple[float, float, Bar]] = []
    for bar in sorted(lane, key=lambda bar: (bar.kind, bar.start, bar.end)):
        left, right = axis.place(bar.start), max(axis.place(bar.end), axis.place(bar.start) + _SHORTEST)
        if merged and merged[-1][2].kind == bar.kind and left <= merged[-1][1]:
            before, last, _ = merged.pop()
            left, right, bar = before, max(last, right), bar._replace(about="several")  # noqa: PLW2901
        merged.append((left, right, bar))
    return merged


def short(name: str, longest: int) -> str:
    """Return a name without its end where it is too long."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
