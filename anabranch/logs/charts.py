"""Draw the chart of a report: bandwidth, what the modems measured, memory, or the sessions, over time."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from anabranch.core.svg import as_url
from anabranch.core.words import many
from anabranch.logs import sessions
from anabranch.logs.plots import Bar, Panel, plotted, sentence, short, timeline
from anabranch.logs.points import Found, collect

_LONGEST_LABEL = 60  # letters
MOST_PICTURES = 8  # on the run's page, which the server keeps in its database
MOST_MODEMS = 16  # that are drawn, those with the most lines
MOST_LANES = 30  # sessions that get a lane each; of more, those of a kind share one
_MEASURES = ("Potential bandwidth (kbps)", "Loss (%)", "Extrapolated up delay (ms)")


class Chart(NamedTuple):
    """A chart as SVG; it is empty where there is nothing to draw. What it does not show is said in a sentence."""

    title: str
    svg: str
    remark: str = ""

    @property
    def file(self) -> str:
        """The content of its file, which says in words why there is nothing to draw."""
        return self.svg or sentence(self.title, self.remark)


class Gallery:
    """The charts of a run that its page shows."""

    def __init__(self, zone: str) -> None:
        self.pictures: dict[str, str] = {}  # data URLs by title
        self.notes: list[str] = []  # what the pictures do not show
        self._zone, self._left = zone, 0

    def add(self, mode: str, label: str, text: Iterable[str], *, wanted: bool) -> Chart | None:
        """Draw a chart if it is wanted, or one of the first, which the page shows."""
        is_shown = len(self.pictures) + len(self.notes) < MOST_PICTURES
        self._left += not is_shown
        if not wanted and not is_shown:
            return None
        chart = draw(mode, label, self._zone, text)
        if is_shown and chart.svg:
            self.pictures[chart.title] = as_url(chart.svg)
        if is_shown and chart.remark:
            self.notes.append(f"{chart.title}: {chart.remark}")
        return chart

    def finish(self) -> None:
        """Note how many charts are not on the page."""
        if self._left:
            self.notes.append(
                f"{many(self._left, 'more chart')} not shown here; --charts writes each beside its report"
            )


def draw(mode: str, label: str, zone: str, text: Iterable[str]) -> Chart:
    """Draw the chart of one of the modes CHARTED, from the lines of its stream, for the archive of this label."""
    title, drawn = _CHARTS[mode]
    chart = drawn(f"{short(label, _LONGEST_LABEL)}: {title}", zone, text)
    return chart if chart.svg else chart._replace(remark=chart.remark or f"The logs hold nothing of it: {title}.")


def _bandwidth(title: str, zone: str, text: Iterable[str]) -> Chart:
    found = collect(text, 2)
    lines = {f"{name} bitrate": line for name, line in zip(("total", "video"), found.things.get("", ()), strict=False)}
    return _lines(title, zone, found, [Panel("Bit rate (kbps)", lines)])


def _memory(title: str, zone: str, text: Iterable[str]) -> Chart:
    found = collect(text, 1)
    lines = {board: line for board, (line,) in sorted(found.things.items())}
    return _lines(title, zone, found, [Panel("Memory in use (%)", lines, least=100)])


def _modems(title: str, zone: str, text: Iterable[str]) -> Chart:
    found = collect(text, len(_MEASURES))
    by_count = sorted(found.things, key=lambda modem: (-len(found.things[modem][0].times), modem))
    drawn = sorted(by_count[:MOST_MODEMS], key=lambda modem: (len(modem), modem))  # so that 2 comes before 10
    chart = _lines(title, zone, found, [
        Panel(heading, {f"modem {modem}": found.things[modem][index] for modem in drawn})
        for index, heading in enumerate(_MEASURES)
    ])  # fmt: skip
    left = len(by_count) - len(drawn)
    return chart._replace(remark=f"{many(left, 'modem')} with fewer lines are not drawn." if left else chart.remark)


def _lines(title: str, zone: str, found: Found, panels: list[Panel]) -> Chart:
    remark = f"Rows without a number that can be drawn: {found.bad:,} of {found.rows:,}." if found.bad else ""
    svg = "" if found.empty else plotted(f"{title}, {many(found.rows, 'row')}", zone, panels)
    return Chart(title, svg, remark)


def _sessions(title: str, zone: str, text: Iterable[str]) -> Chart:
    found = [_bar(session) for session in sessions.paired(text)]
    lanes: dict[str, list[Bar]] = {}
    for index, (name, bar) in enumerate(found):
        lanes.setdefault(f"{index + 1}: {name}" if len(found) <= MOST_LANES else bar.kind, []).append(bar)
    return Chart(title, timeline(f"{title}, {len(found):,}", zone, lanes) if found else "")


def _bar(session: sessions.Session) -> tuple[str, Bar]:
    """Return a session's name and its bar, which is as short as can be where only one of its ends is known."""
    kind = "complete" if session.start and session.end else "start only" if session.start else "end only"
    start, end = sorted(
        datetime.fromisoformat(time).timestamp()
        for time in (session.start or session.end, session.end or session.start)
    )
    about = " to ".join(time for time in session[1:] if time)
    return session.number or "no id", Bar(start, end, kind, f"session {session.number or 'without an id'}: {about}")


_CHARTS: Mapping[str, tuple[str, Callable[[str, str, Iterable[str]], Chart]]] = {
    "bw": ("bandwidth over time", _bandwidth),
    "md": ("bandwidth, loss and delay of each modem", _modems),
    "memory": ("memory over time", _memory),
    "sessions": ("sessions", _sessions),
}
