"""Bar charts of a run's figures as pictures that stand in the page itself: no file, no server."""

import base64
from collections.abc import Mapping
from html import escape

MOST_BARS = 30
LONGEST_NAME = 40  # characters; of a longer one its end is shown
_BAR, _GAP, _LABELS, _WIDTH = 18, 6, 260, 420  # pixels: height of a bar, space below it, space for names, longest bar


def bars(title: str, figures: Mapping[str, int]) -> str:
    """Draw one bar for each figure, the longest first, as a data URL of an SVG picture; the rest is one bar more."""
    ordered = sorted(figures.items(), key=lambda item: -item[1])
    shown = ordered[:MOST_BARS]
    if rest := ordered[MOST_BARS:]:
        shown.append((f"{len(rest)} others together", sum(number for _, number in rest)))
    longest = max((number for _, number in shown), default=0) or 1
    rows = "".join(_row(index, name, number, longest) for index, (name, number) in enumerate(shown))
    height = 30 + len(shown) * (_BAR + _GAP)
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LABELS + _WIDTH + 120}" height="{height}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f'<text x="8" y="18" font-weight="bold">{escape(title)}</text>{rows}</svg>'
    )
    return "data:image/svg+xml;base64," + base64.b64encode(picture.encode()).decode()


def _row(index: int, name: str, number: int, longest: int) -> str:
    top, length = 28 + index * (_BAR + _GAP), max(1, _WIDTH * number // longest)
    label = name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"
    return (
        f'<text x="{_LABELS - 8}" y="{top + 13}" text-anchor="end">{escape(label)}</text>'
        f'<rect x="{_LABELS}" y="{top}" width="{length}" height="{_BAR}" fill="#2a6fdb"/>'
        f'<text x="{_LABELS + length + 6}" y="{top + 13}">{number:,}</text>'
    )
