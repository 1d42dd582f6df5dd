"""The figures of each modem: lowest, highest and mean value of six measures, merged from any number of parts."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

MEASURES: Mapping[str, str] = {
    "bandwidth": "Potential Bandwidth (kbps)",
    "loss": "Percent Loss",
    "delay": "Extrapolated Up Delay (ms)",
    "shortest": "Shortest Round Trip Delay (ms)",
    "smooth": "Smooth Round Trip (ms)",
    "minimum": "Minimum Smooth Round Trip (ms)",
}
_DIGITS = 18  # a longer number is not a measurement, and sums of it would not fit into a float


class Figures(NamedTuple):
    """One measure of one modem; a highest value of 0 has no time, as in the original."""

    lines: int
    total: int
    low: int
    low_time: str
    high: int
    high_time: str = "None"


Modems = dict[str, list[Figures]]


def add(modems: Modems, match: re.Match[str], time: str) -> None:
    """Add a line's six values to its modem's figures."""
    values = [match[measure] for measure in MEASURES]
    if max(map(len, values)) <= _DIGITS:
        _merge(modems, match["modem"], [_single(int(value), time) for value in values])


def merge(modems: Modems, later: Mapping[str, list[Figures]]) -> None:
    """Merge the figures of lines that come later; of equal values the earlier keeps its time."""
    for modem, figures in later.items():
        _merge(modems, modem, figures)


def summary(modems: Modems) -> Iterator[str]:
    """Yield the report's lines; modems are sorted as text, so 10 comes before 2.

    A total above 2^53 is rounded before it is divided, as in the original.
    """
    yield "Parsed all modem lines, results:\n"
    for modem in sorted(modems):
        yield f"Modem {modem}\n"
        for title, f in zip(MEASURES.values(), modems[modem], strict=True):
            yield f"\t{title} (L/H/A): {f.low} / {f.high} / {f.total / float(f.lines)!r}\n"
            yield f"\t\tTime of L: {f.low_time}\n"
            yield f"\t\tTime of H: {f.high_time}\n"


def _single(value: int, time: str) -> Figures:
    return Figures(1, value, value, time, value, time) if value else Figures(1, 0, 0, time, 0)


def _merge(modems: Modems, modem: str, later: list[Figures]) -> None:
    earlier = modems.get(modem)
    modems[modem] = [_joined(a, b) for a, b in zip(earlier, later, strict=True)] if earlier else later


def _joined(a: Figures, b: Figures) -> Figures:
    low = a if a.low <= b.low else b
    high = a if a.high >= b.high else b
    return Figures(a.lines + b.lines, a.total + b.total, low.low, low.low_time, high.high, high.high_time)
