import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.logs import rules
from anabranch.logs.modes import FORMS
from anabranch.logs.rules import RuleError
from anabranch.logs.timestamps import Stamp

STAMP = Stamp("2025-09-26 10:00:00.5+00:00", "2025-09-26 10:00:00", None)


def only_rule(text):
    return rules.parse(f"[known]\nthing\n    {text}\n")["known"][0]


def found(text, line):
    match = only_rule(text).pattern.search(line)
    return match and (match[0], *match.groups())


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("a.c(", "xa.c(x", ("a.c(",)),
        ("a.c", "abc", None),
        ("{n:digits} kbps", "at 0042 kbps", ("0042 kbps", "0042")),
        ("a{any}z", "a1z2z3", ("a1z2z",)),
        ("a{any}z", "az", None),
        ("a{one}z", "a-z", ("a-z",)),
        ("{u?}'x'", "'x'", ("'x'",)),
        ("{this|that (1)} one", "that (1) one", ("that (1) one",)),
        ("to {n:not ,}", "to a b, c", ("to a b", "a b")),
        ("to {n:not ]}]", "to a]", ("to a]", "a")),
        ("egg {n:nonblank}", "egg a_1 b", ("egg a_1", "a_1")),
        ("v{blank}x", "v\tx", ("v\tx",)),
        ("{n:version}", "7.0.1(C) b", ("7.0.1(C)", "7.0.1(C)")),
    ],
)
def test_notation(text, line, expected):
    assert found(text, line) == expected


@pytest.mark.parametrize("separator", "\x1c\x1d\x1e\x1f")
def test_control_characters_are_no_blanks(separator):
    assert not found("a{blank}b", f"a{separator}b")
    assert found("{n:nonblank}", f"a{separator}b") == (f"a{separator}b",) * 2


def test_a_report_line_has_time_names_colours_and_signs():
    text = "[known]\nthing\n    a {x:digits} b {y:digits}\n    => {time}: {red}{y}%{tab}{x}{end}{blank}{newline}\n"
    rule = rules.parse(text)["known"][0]

    said = rule.say(STAMP, rule.pattern.search("a 1 b 2"))

    assert said == "2025-09-26 10:00:00.5+00:00: \x1b[91m2%\t1\x1b[0m \n\n"


def test_a_name_alone_repeats_the_rule_above_and_may_say_something_else():
    modes = rules.parse(
        "# comment\n[a]\nthing\n    x{n:digits}\n    => {time} one\n\n[b]\nthing (start)\n"
        "[c]\nthing\n    => {second} {n}\n"
    )

    (a,), (b,), (c,) = modes.values()
    match = a.pattern.search("x7")
    assert [rule.say(STAMP, match) for rule in (a, b, c)] == [
        "2025-09-26 10:00:00.5+00:00 one\n",
        "2025-09-26 10:00:00.5+00:00 one\n",
        "2025-09-26 10:00:00 7\n",
    ]
    assert [rule.effect for rule in (a, b, c)] == ["", "start", ""]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[a]\nthing\n", "no text to look for"),
        ("[a]\nthing\n    x{n:numbers}\n", "the kinds are"),
        ("[a]\nthing\n    x\n    => {time} {n}\n", "keeps no text of that name"),
        ("[a]\nthing\n    x\n    => x\n", "must begin with"),
        ("    x\n", "line 1"),
        ("[a]\nTwo words\n", "line 2"),
    ],
)
def test_what_breaks_the_notation_is_named(text, reason):
    with pytest.raises(RuleError, match=re.escape(reason)):
        rules.parse(text)


def test_every_mode_has_rules_and_a_form():
    assert rules.rules().keys() == FORMS.keys()


@given(st.sampled_from([rule for listed in rules.rules().values() for rule in listed]), st.data())
def test_every_line_that_matches_contains_the_literal(rule, data):
    line = data.draw(st.from_regex(rule.pattern))

    assert rule.literal.decode() in line
    assert len(rule.literal) >= 8  # shorter ones would make every other line a candidate
