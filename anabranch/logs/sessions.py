"""Pair the events that open and close sessions into a list of sessions."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from anabranch.logs.rules import Effect


def event(effect: Effect, time: str, number: str) -> str:
    """Write an event as a line for `summary`."""
    return f"{effect}\t{time}\t{number}\n"


class Session(NamedTuple):
    """A session, by the times that the logs give; one of them is empty where its end or its start was not seen."""

    number: str
    start: str
    end: str


def paired(events: Iterable[str]) -> Iterator[Session]:
    """Yield the sessions in order of closing.

    A session's number belongs to whatever closes next, and a start within a session closes that one without an end.
    """
    start = number = ""
    for line in events:
        effect, time, told = line.rstrip("\n").split("\t")
        if effect == "id":
            number = told
        elif effect == "start":
            if start:
                yield Session(number, start, "")
            start = time
        else:
            yield Session(number, start, time)
            start = number = ""
    if start:
        yield Session(number, start, "")


def summary(events: Iterable[str]) -> Iterator[str]:
    """Yield an empty line, then a line for each session in order of closing."""
    yield "\n"
    for session in paired(events):
        if session.start and session.end:
            yield _complete(*session)
        else:
            yield _only("Start" if session.start else "End", session.number, session.start or session.end)


def _complete(number: str, start: str, end: str) -> str:
    name = f"(session id: {number})" if number else "(no session id found)"
    duration = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    return f"Complete {name}: -b '{start}' -e '{end}', {duration}\n"


def _only(what: str, number: str, time: str) -> str:
    """Write a session of which one end was seen, with the original's missing bracket and its three blanks."""
    bracket, gap = ("", " ") if what == "Start" else (")", "   ")
    name = f"(session id: {number}{bracket}:{gap}" if number else f"(no session id found):{gap}"
    return f"{what} Only {name}{time}\n"
