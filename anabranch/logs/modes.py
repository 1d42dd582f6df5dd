"""What each report has beside the lines of its rules: a header, a footer, what it keeps of a match.

A new mode is a section in rules.txt, its name in `options.Mode`, and here only what the section cannot say.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from anabranch.logs import modems, sessions
from anabranch.logs.modems import Modems
from anabranch.logs.points import point
from anabranch.logs.rules import Rule
from anabranch.logs.timestamps import Stamp

EVENTS = "sessions.events"  # the stream of what opens and closes sessions, for the footer and the chart
RATES, MEASURES, MEMORY = "bw.points", "md.points", "memory.points"  # the streams of numbers over time, for the charts
_BOARDS = {"vic": "VIC", "corecard": "COR"}  # as the report calls what the last word of a rule of memory names


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


def _say_and_plot_rates(found: Findings, mode: str, rule: Rule, stamp: Stamp, match: re.Match[str]) -> None:
    found.text[mode].append(rule.say(stamp, match))
    rates = (match["total"], match["video"]) if rule.fields else ("0", "0")  # as the report says where a stream begins
    found.text[RATES].append(point(stamp, "", *rates))


def _say_and_plot_memory(found: Findings, mode: str, rule: Rule, stamp: Stamp, match: re.Match[str]) -> None:
    found.text[mode].append(rule.say(stamp, match))
    if rule.fields:
        number, percent, _ = match["usage"].partition("%")
        board = _BOARDS.get(rule.name.rpartition("-")[2], "unit")
        found.text[MEMORY].append(point(stamp, board, number.strip() if percent else ""))


def _measure(found: Findings, _mode: str, _rule: Rule, stamp: Stamp, match: re.Match[str]) -> None:
    modems.add(found.modems, match, stamp.time)
    found.text[MEASURES].append(point(stamp, match["modem"], match["bandwidth"], match["loss"], match["delay"]))


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
    "bw": ReportForm(
        header="datetime,total bitrate,video bitrate,notes\n", record=_say_and_plot_rates, streams=(RATES,)
    ),
    "md": ReportForm(record=_measure, footer=lambda figures, _: modems.summary(figures), streams=(MEASURES,)),
    "grading": ReportForm(),
    "memory": ReportForm(record=_say_and_plot_memory, streams=(MEMORY,)),
}

CHARTED: Mapping[str, str] = {"bw": RATES, "md": MEASURES, "memory": MEMORY, "sessions": EVENTS}
"""The modes that have a chart, and the streams of which it is made."""


def streams(modes: Iterable[str]) -> list[str]:
    """Name the text streams that the modes write: one by the name of each mode, and what they need beside it."""
    return [stream for mode in modes for stream in (mode, *FORMS[mode].streams)]
