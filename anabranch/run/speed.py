"""A bar chart of how fast a run moved its bytes, from its start to its end."""

from collections.abc import Iterator, Sequence

from anabranch.core.svg import line, picture, round_step, text
from anabranch.run.pictures import in_time

_LEFT, _TOP, _WIDTH, _HEIGHT = 50, 34, 630, 160  # pixels of the chart
_MARKS = 4  # of time
_SHORT = 8  # seconds, of which the marks are not whole numbers


def speeds(step: float, bytes_per_second: Sequence[float]) -> str:
    """Draw a bar for each step of so many seconds, as the data URL of an SVG picture; nothing if nothing was moved."""
    most = max(bytes_per_second, default=0.0) / 1e6
    if not most:
        return ""
    mean = sum(bytes_per_second) / len(bytes_per_second) / 1e6
    title = f"MB/s over the run: {mean:.1f} on average, {most:.1f} at most"
    return picture(_LEFT + _WIDTH + 20, _TOP + _HEIGHT + 24, title, _elements(step, bytes_per_second, most))


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
