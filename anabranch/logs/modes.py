"""What each report has beside the lines of its rules: a header, a footer, what it keeps of a match.

A new mode is a section in rules.txt, its name in `options.Mode`, and here only what the section cannot say.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from anabranch.logs import modems, sessions
from anabranch.logs.modems import Modems
from anabranch.logs.rules import Rule
from anabranch.logs.timestamps import Stamp

EVENTS = "sessions.events"  # the stream of what opens and closes sessions, for the footer


@dataclass(slots=True)
class Findings:
    """What was found in a run of lines: report text by stream, the modems' figures, counts of lines, and times."""

    text: dict[str, list[str]]
    modems: Modems = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    first: Stamp | None = None  # of the first candidate line that has a time, whether or not it was asked for
    last: Stamp | None = None


Record = Callable[[Findings, str, Rule, Stamp, re.Match[str]], None]
Footer = Callable[[Modems, Iterable[str]], Iterator[str]]


def _say(found: Findings, mode: str, rule: Rule, stamp: Stamp, match: re.Match[str]) -> None:
    found.text[mode].append(rule.say(stamp, match))


def _say_and_note(found: Findings, mode: str, rule: Rule, stamp: Stamp, match: re.Match[str]) -> None:
    found.text[mode].append(rule.say(stamp, match))
    if rule.effect:
        found.text[EVENTS].append(sessions.event(rule.effect, stamp.time, match["id"] if rule.effect == "id" else ""))


def _measure(found: Findings, _mode: str, _rule: Rule, stamp: Stamp, match: re.Match[str]) -> None:
    modems.add(found.modems, match, stamp.time)


def _nothing(_modems: Modems, _events: Iterable[str]) -> Iterator[str]:
    return iter(())


@dataclass(frozen=True, slots=True)
class ReportForm:
    """How one mode's report is made."""

    header: str = ""
    record: Record = _say
    footer: Footer = _nothing
    streams: tuple[str, ...] = ()  # what it writes beside its text


FORMS: Mapping[str, ReportForm] = {
    "known": ReportForm(),
    "sessions": ReportForm(record=_say_and_note, footer=lambda _, events: sessions.summary(events), streams=(EVENTS,)),
    "bw": ReportForm(header="datetime,total bitrate,video bitrate,notes\n"),
    "md": ReportForm(record=_measure, footer=lambda figures, _: modems.summary(figures)),
    "grading": ReportForm(),
    "memory": ReportForm(),
}


def streams(modes: Iterable[str]) -> list[str]:
    """Name the text streams that the modes write: one by the name of each mode, and what they need beside it."""
    return [stream for mode in modes for stream in (mode, *FORMS[mode].streams)]
