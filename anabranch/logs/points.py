"""What charts show of a log: numbers at a time. Parts write them beside the text of their reports."""

import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from anabranch.logs.timestamps import Stamp

_is_number = re.compile(r"\d{1,18}(?:\.\d{1,18})?").fullmatch  # a longer one is not a measurement


@dataclass(slots=True)
class Line:
    """One line of a chart: equally many times, in seconds since 1970, and values, in the order of the logs."""

    times: "array[float]" = field(default_factory=lambda: array("d"))
    values: "array[float]" = field(default_factory=lambda: array("d"))


@dataclass(slots=True)
class Found:
    """Of each thing a line for each of its measures; how many rows there are, and how many lack a number."""

    things: dict[str, Sequence[Line]] = field(default_factory=dict)
    rows: int = 0
    bad: int = 0

    @property
    def empty(self) -> bool:
        """Whether there is no number at all."""
        return not any(line.times for lines in self.things.values() for line in lines)


def point(stamp: Stamp, thing: str, *numbers: str) -> str:
    """Write what was measured of a thing at a time; of what is not a number nothing is kept."""
    kept = [number if _is_number(number) else "" for number in numbers]
    return "\t".join([repr(stamp.instant.timestamp()), thing, *kept]) + "\n"


def collect(points: Iterable[str], measures: int) -> Found:
    """Read the points of a log, each of which has so many numbers."""
    found = Found()
    for row in points:
        written, thing, *numbers = row[:-1].split("\t")
        if not (lines := found.things.get(thing)):
            lines = found.things[thing] = [Line() for _ in range(measures)]
        time = float(written)
        found.rows += 1
        found.bad += "" in numbers
        for line, number in zip(lines, numbers, strict=True):
            if number:
                line.times.append(time)
                line.values.append(float(number))
    return found
