"""The elements of SVG pictures, as files or embedded in a run's page: no server."""

import base64
from collections.abc import Iterable
from html import escape
from math import floor, log10


def picture(width: int, height: int, title: str, elements: Iterable[str]) -> str:
    """Return an SVG picture with a title on white ground, as a data URL."""
    return as_url(drawing(width, height, title, elements))


def as_url(drawn: str) -> str:
    """Return the data URL of an SVG picture, which needs no file."""
    return "data:image/svg+xml;base64," + base64.b64encode(drawn.encode()).decode()


def drawing(width: int, height: int, title: str, elements: Iterable[str]) -> str:
    """Return an SVG picture with a title on white ground, as the text of a file."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        + text(8, 18, title, 'font-weight="bold"')
        + "".join(elements)
        + "</svg>"
    )


def text(left: float, base: float, words: str, style: str = "") -> str:
    """Write one line."""
    return f'<text x="{left:g}" y="{base:g}" {style}>{escaped(words)}</text>'


def escaped(words: str) -> str:
    """Escape what has a meaning in SVG, and replace what cannot be printed, so that the picture can be read."""
    return escape("".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in words))


def line(x: float, y: float, right: float, bottom: float) -> str:
    """Draw a line of a grid."""
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{right:.1f}" y2="{bottom:.1f}" stroke="#e4e4e4"/>'


def round_step(length: float) -> float:
    """Return the distance of lines that divide a length: 1, 2 or 5 times a power of ten, near a fifth of it."""
    power: float = 10.0 ** floor(log10(length / 5))
    return next(power * factor for factor in (5, 2, 1) if power * factor <= length / 5)
