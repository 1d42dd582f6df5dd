"""Parse logs line by line on one core, in the two ways in which such a parser is written: what ours is compared with.

    python -m benchmarks.one_core line-by-line unit.tar.bz2 --mode known --timezone US/Eastern > report.txt

Both ways share our rules and our forms of the reports, so that they find the same and say the same; how the archive is
read, how a line gets its time and how a rule is looked for is their own.
"""

import argparse
import gzip
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import IO, Any

import pytz
import regex
from dateutil.parser import parse

from anabranch.logs.modes import EVENTS, FORMS, Findings, streams
from anabranch.logs.options import LogOptions
from anabranch.logs.rules import Rule, rules
from anabranch.logs.timestamps import Stamp

Search = Callable[[str], Any]  # gives a match, or None


@dataclass(frozen=True, slots=True)
class Way:
    """How a line's first word becomes a time, and how a rule is made ready to be looked for."""

    read_time: Callable[[str], datetime]
    prepare: Callable[[Rule], Search]


WAYS = {
    # a date parser for all forms on every line, and the text of a pattern at every search: easy to write, and common
    "line-by-line": Way(parse, lambda rule: partial(regex.search, rule.pattern.pattern)),
    "precompiled": Way(datetime.fromisoformat, lambda rule: regex.compile(rule.pattern.pattern).search),
}


def main() -> None:
    """Write one report to stdout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("archive")
    parser.add_argument("--mode", required=True)
    parser.add_argument("--timezone", default="UTC")
    arguments = parser.parse_args()
    options = LogOptions(mode=arguments.mode, timezone=arguments.timezone)
    write_report(arguments.archive, sys.stdout.buffer, options, WAYS[arguments.way])


def write_report(archive: str, out: IO[bytes], options: LogOptions, way: Way) -> None:
    """Write the report of the first mode of the options, with all lines of the archive in the order of time."""
    mode = options.mode[0]
    form, found = FORMS[mode], Findings({stream: [] for stream in streams([mode])})
    searches = [(rule, way.prepare(rule)) for rule in rules()[mode]]
    for line, time in _in_range(archive, options, way):
        for rule, search in searches:
            if match := search(line):
                form.record(found, mode, rule, Stamp(str(time), str(time)[:19], time), match)
                if rule.effect != "id":
                    break
    footer = form.footer(found.modems, found.text.get(EVENTS, []))
    out.writelines(text.encode() for text in (form.header, *found.text[mode], *footer))


def _in_range(archive: str, options: LogOptions, way: Way) -> Iterator[tuple[str, datetime]]:
    """Yield each line that has a time, with that time in the reader's zone."""
    zone, clock = pytz.timezone(options.timezone), options.clock()
    for line in _lines(archive):
        try:
            time = way.read_time(line.split()[0]).astimezone(zone)
        except (ValueError, IndexError, OverflowError):
            continue
        if (clock.begin is None or clock.begin <= time) and (clock.end is None or time <= clock.end):
            yield line, time


def _lines(archive: str) -> Iterator[str]:
    for log in _logs(archive):
        for line in log.splitlines():
            try:
                yield line.decode()
            except UnicodeDecodeError:
                continue


def _logs(archive: str) -> Iterator[bytes]:
    """Yield the text of each log, the oldest first."""
    packed = {}
    with tarfile.open(archive) as tar:
        for member in tar:  # in the archive's order, since to go back in a compressed file is to begin it again
            if "messages.log" in member.name and (file := tar.extractfile(member)):
                packed[_rotation(member.name)] = file.read()
    for _, log in sorted(packed.items(), reverse=True):
        yield gzip.decompress(log) if log.startswith(b"\x1f\x8b") else log


def _rotation(name: str) -> int:
    """Take 12 from messages.log.12.gz; the newest log has no number."""
    _, _, *number = name.removeprefix("./").split(".")
    return int(number[0]) if number else 0


if __name__ == "__main__":
    main()
