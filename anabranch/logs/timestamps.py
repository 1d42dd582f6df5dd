"""Read a line's timestamp as the original does, and write it in the reader's zone."""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import NamedTuple

from dateutil.parser import parse

from anabranch.logs.zones import zone_of

_USUAL = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d))(?:\s|$)", re.ASCII)
_MISSING = datetime(1970, 1, 1)  # noqa: DTZ001  where a token leaves out month or day, so that no result depends on today


class Stamp(NamedTuple):
    """A line's time in the reader's zone."""

    time: str  # 2025-09-26 06:00:00.123456-04:00, the fraction left out when it is zero
    second: str  # 2025-09-26 06:00:00
    instant: datetime


@dataclass(frozen=True, slots=True)
class Clock:
    """Reads timestamps, and says which lie between `begin` and `end`, both included."""

    zone: str  # its name: what zone_of returns cannot be pickled
    begin: datetime | None = None
    end: datetime | None = None

    def read(self, line: str) -> Stamp | None:
        """Return the time of the line's first token, or None where that is not a timestamp."""
        instant = _usual(line) or _unusual(line)
        if instant is None:
            return None
        try:
            local = instant.astimezone(zone_of(self.zone))
        except (OverflowError, ValueError):  # the first and the last day of the calendar
            return None
        time = str(local)
        return Stamp(time, time[:19], local)

    def covers(self, stamp: Stamp) -> bool:
        """Whether the time is in the range that was asked for."""
        return (self.begin is None or self.begin <= stamp.instant) and (self.end is None or stamp.instant <= self.end)


def _usual(line: str) -> datetime | None:
    """Read the forms that nearly every line has, in a fiftieth of dateutil's time."""
    token = _USUAL.match(line)
    try:
        return datetime.fromisoformat(token[1]) if token else None
    except ValueError:
        return None


def _unusual(line: str) -> datetime | None:
    token = line.split(None, 1)
    return _parsed(token[0]) if token and token[0][:4].isdecimal() and len(token[0]) >= 4 else None  # noqa: PLR2004  a year


@lru_cache(maxsize=4096)
def _parsed(token: str) -> datetime | None:
    try:
        return _with_zone(token, _MISSING, lambda _: UTC)
    except (ValueError, OverflowError):
        return None


def _with_zone(text: str, default: datetime | None, zone: Callable[[datetime], tzinfo]) -> datetime:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dateutil warns of zone names that it ignores
        found = parse(text, default=default)
    return found if found.tzinfo else found.replace(tzinfo=zone(found))


def parse_bound(text: str, zone: tzinfo) -> datetime:
    """Read a --begin or --end: its own offset, else the time of `zone`; ValueError where it is not a time.

    Missing fields come from today, a date alone means its midnight. An hour that the change of clocks doubles is taken
    with the offset that the zone does not call daylight saving time (which in Dublin is that of summer), one that it
    skips with the offset before the change.
    """
    try:
        return _with_zone(text, None, lambda naive: _standard(naive, zone)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(str(error)) from error


def _standard(naive: datetime, zone: tzinfo) -> tzinfo:
    first, second = (naive.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    earlier, later = (each.utcoffset() or timedelta() for each in (first, second))
    is_doubled = earlier > later
    return timezone(earlier if not is_doubled or (second.dst() and not first.dst()) else later)
