"""Bar charts of a run's figures as pictures that are embedded in the page: no file, no server."""

import math
from collections.abc import Callable, Mapping

from anabranch.core.svg import picture, text

MOST_BARS = 20
LONGEST_NAME = 36  # characters; a longer one is shortened in the middle, since names differ at their ends
_BAR, _GAP, _LABELS, _WIDTH, _NUMBERS = 16, 6, 270, 340, 90  # pixels; 700 wide in all, like the page's column
_UNITS = ("B", "kB", "MB", "GB", "TB")


def plainly(number: int) -> str:
    """Write a count for people: 12,000."""
    return f"{number:,}"


def in_bytes(number: int) -> str:
    """Write a number of bytes for people: 334.5 kB."""
    power = min((len(str(number)) - 1) // 3, len(_UNITS) - 1)
    return f"{number / 1000**power:,.1f} {_UNITS[power]}" if power else f"{number} B"


def in_time(seconds: float) -> str:
    """Write a duration for people, in its two largest units: 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004  seconds of a minute
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004


def shortened(name: str, longest: int = LONGEST_NAME) -> str:
    """Return a name without its middle where it is too long."""
    return name if len(name) <= longest else f"{name[: (longest - 1) // 2]}…{name[-(longest // 2) :]}"


def bars(title: str, figures: Mapping[str, int], shown: Callable[[int], str] = plainly) -> str:
    """Draw a bar for each figure, the longest first, as the data URL of an SVG picture; one line sums up the rest."""
    ordered = sorted(figures.items(), key=lambda item: -item[1])
    drawn, rest = ordered[:MOST_BARS], [number for _, number in ordered[MOST_BARS:]]
    longest = max((number for _, number in drawn), default=0) or 1
    rows = [_row(index, name, number / longest, shown(number)) for index, (name, number) in enumerate(drawn)]
    if rest:
        rows.append(text(_LABELS, _top(len(drawn)) + 12, f"and {len(rest):,} more with {shown(sum(rest))} together"))
    width, height = _LABELS + _WIDTH + _NUMBERS, _top(len(rows)) + 4
    return picture(width, height, title, rows)


def _top(index: int) -> int:
    return 30 + index * (_BAR + _GAP)


def _row(index: int, name: str, share: float, number: str) -> str:
    top, length = _top(index), math.ceil(_WIDTH * share)  # at least one pixel
    return (
        text(_LABELS - 8, top + 12, shortened(name), 'text-anchor="end"')
        + f'<rect x="{_LABELS}" y="{top}" width="{length}" height="{_BAR}" fill="#2a6fdb"/>'
        + text(_LABELS + length + 6, top + 12, number)
    )
