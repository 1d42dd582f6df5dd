"""A chart of a run from start to end: how fast it moved its bytes, as bars, and the memory in use, as a line."""

from collections.abc import Iterator, Sequence

from anabranch.core.svg import line, picture, round_step, text
from anabranch.run.pictures import in_time

_LEFT, _TOP, _WIDTH, _HEIGHT, _RIGHT = 50, 34, 600, 160, 50  # pixels of the chart
_MARKS = 4  # of time
_MEMORY = "#c2571a"
_SHORT = 8  # seconds, of which the marks are not whole numbers


Noted = Sequence[tuple[float, float]]  # seconds since the start, and the percent of the memory in use


def speeds(step: float, bytes_per_second: Sequence[float], memory: Noted = ()) -> str:
    """Draw a bar for each step of so many seconds, as the data URL of an SVG picture; nothing if nothing was moved.

    The line of the memory has its own scale, on the right: from none to all of it.
    """
    most = max(bytes_per_second, default=0.0) / 1e6
    if not most:
        return ""
    mean = sum(bytes_per_second) / len(bytes_per_second) / 1e6
    title = f"MB/s over the run: {mean:.1f} on average, {most:.1f} at most"
    if memory:
        title += f"; memory in use (line): {max(percent for _, percent in memory):.0f}% at most"
    drawn = [*_elements(step, bytes_per_second, most), *_line(step * len(bytes_per_second), memory)]
    return picture(_LEFT + _WIDTH + _RIGHT, _TOP + _HEIGHT + 24, title, drawn)


def _line(seconds: float, memory: Noted) -> Iterator[str]:
    """Draw the percents over that many seconds; the last one holds to the end."""
    if not memory:
        return
    for percent in (0, 50, 100):
        yield text(_LEFT + _WIDTH + 6, _TOP + _HEIGHT * (1 - percent / 100) + 4, f"{percent}%", f'fill="{_MEMORY}"')
    points = [(min(at, seconds), percent) for at, percent in [*memory, (seconds, memory[-1][1])]]
    places = " ".join(
        f"{_LEFT + _WIDTH * at / seconds:.1f},{_TOP + _HEIGHT * (1 - percent / 100):.1f}" for at, percent in points
    )
    yield f'<polyline points="{places}" fill="none" stroke="{_MEMORY}" stroke-width="2"/>'


def _elements(step: float, bytes_per_second: Sequence[float], most: float) -> Iterator[str]:
    distance = round_step(most)
    for index in range(int(most / distance) + 1):
        y = _TOP + _HEIGHT * (1 - index * distance / most)
        yield line(_LEFT, y, _LEFT + _WIDTH, y)
        yield text(_LEFT - 6, y + 4, f"{index * distance:g}", 'text-anchor="end"')
    width = _WIDTH / len(bytes_per_second)
    for index, speed in enumerate(bytes_per_second):
        height = _HEIGHT * speed / 1e6 / most
        place = f'x="{_LEFT + index * width:.1f}" y="{_TOP + _HEIGHT - height:.1f}"'
        yield f'<rect {place} width="{width * 0.9:.1f}" height="{height:.1f}" fill="#2a6fdb"/>'
    seconds = step * len(bytes_per_second)
    for index in range(_MARKS + 1):
        at = seconds * index / _MARKS
        words = in_time(at) if seconds > _SHORT else f"{at:.1f} s"
        yield text(_LEFT + _WIDTH * index / _MARKS, _TOP + _HEIGHT + 16, words, 'text-anchor="middle"')
