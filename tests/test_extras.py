"""The commands that a workload has beside its flow's: what their functions return is printed, or JSON."""

import json
from dataclasses import replace
from datetime import date
from typing import Annotated

import pytest
from cyclopts import CycloptsError, Parameter

from anabranch.command.app import application
from anabranch.command.workloads import PARSE_LOGS, Extra
from anabranch.core.errors import UsageError

THINGS = [{"name": "a b", "size": 7, "seen": date(2026, 1, 5)}, {"name": "c", "more": ["x"], "seen": None}]


def things(place: str, *, largest: int | None = None):
    """List things."""
    if place == "nowhere":
        raise UsageError("bad-option", "there is no such place", "Name another.")
    return [thing for thing in THINGS if largest is None or thing.get("size", 0) <= largest]


def thing(number: int, *, at: Annotated[str, Parameter(help="Where it lies.")] = "here"):
    """Show a thing."""
    return {"number": number, "at": at}


@pytest.fixture(scope="module")
def run():
    extras = (
        Extra("things list", f"{__name__}:things", "List the things."),
        Extra("things show", f"{__name__}:thing", "Show one."),
        Extra("broken show", "no.such.module:show", "Show nothing."),
    )
    app = application([replace(PARSE_LOGS, extras=extras)])
    return lambda *words: app(words, exit_on_error=False, print_error=False, result_action="return_value")


@pytest.mark.parametrize(("words", "printed"), [
    (["list", "here"], 'name  size  seen        more\na b   7     2026-01-05\nc                       ["x"]\n'),
    (["list", "here", "--largest", "3"], 'name  more   seen\nc     ["x"]\n'),
    (["list", "here", "--largest", "-1"], "none\n"),
    (["show", "7"], "number  7\nat      here\n"),
    (["show", "--number", "7", "--at", "home"], "number  7\nat      home\n"),
])  # fmt: skip
def test_what_is_found_is_printed_as_text(run, capsys, words, printed):
    assert run("things", *words) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(("words", "found"), [
    (["list", "here"], json.loads(json.dumps(THINGS, default=str))),
    (["list", "here", "--largest", "-1"], []),
    (["show", "7"], {"number": 7, "at": "here"}),
])  # fmt: skip
def test_json_has_it_all(run, capsys, words, found):
    assert run("things", *words, "--json") == 0
    assert json.loads(capsys.readouterr().out) == found


@pytest.mark.parametrize(("words", "error"), [
    (["list"], CycloptsError),
    (["list", "here", "--nonsense"], CycloptsError),
    (["show", "x"], CycloptsError),
    (["nonsense"], CycloptsError),
    (["list", "nowhere"], UsageError),
])  # fmt: skip
def test_what_is_wrong_is_refused(run, words, error):
    with pytest.raises(error):
        run("things", *words)


@pytest.mark.parametrize(("words", "texts"), [
    (["--help"], ["parse-logs", "things", "Of parse-logs: list, show."]),
    (["things", "--help"], ["List the things.", "Show one."]),
    (["things", "show", "--help"], ["--at", "Where it lies.", "--json", "--debug"]),
])  # fmt: skip
def test_help_names_them_and_imports_only_the_one_that_is_asked_for(run, capsys, words, texts):
    run(*words)

    said = capsys.readouterr().out
    assert [text for text in texts if text not in said] == []
