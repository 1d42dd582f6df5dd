"""Read rules.txt: which text a log line must contain, and what the report says of it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

from anabranch.logs.timestamps import Stamp

Effect = Literal["", "start", "end", "id"]

# The four control characters count as blanks in `re`, but not in the notation (nor in the `regex` module).
_BLANK, _NONBLANK = r"[^\S\x1c-\x1f]", r"[\S\x1c-\x1f]"
KINDS: Mapping[str, str] = {
    "any": ".+",
    "one": ".",
    "digits": r"\d+",
    "blank": _BLANK,
    "blanks": _BLANK + "+",
    "nonblank": _NONBLANK + "+",
    "letters": "[a-zA-Z]+",
    "alphanumeric": r"[a-zA-Z\d]+",
    "address": r"[\d.]+",
    "version": r"[\d.()a-zA-Z]+",
    "standard": r"[\d()a-zA-Z]+",
}
SIGNS: Mapping[str, str] = {
    "red": "\x1b[91m",
    "green": "\x1b[92m",
    "yellow": "\x1b[93m",
    "blue": "\x1b[94m",
    "violet": "\x1b[95m",
    "blink": "\x1b[5m",
    "end": "\x1b[0m",
    "tab": "\t",
    "newline": "\n",
    "blank": " ",
}
_PLACE = re.compile(r"\{(?:(\w+):)?([^{}]+)\}")


class RuleError(ValueError):
    """The rules break their own notation; the text names the line."""


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One thing to look for: `literal` is the longest text that every matching line contains."""

    name: str
    effect: Effect
    pattern: re.Pattern[str]
    literal: bytes
    fraction: bool  # whether the report's line begins with {time}, else with {second}
    text: str  # the rest of it, with %s for each of `fields`
    fields: tuple[str, ...]

    def say(self, stamp: Stamp, match: re.Match[str]) -> str:
        """Write the report's line for a match, with its line break."""
        return (stamp.time if self.fraction else stamp.second) + self.text % tuple(map(match.__getitem__, self.fields))


class _Written(NamedTuple):
    """A rule as it is written in the file."""

    name: str
    effect: str = ""
    pattern: str = ""
    text: str = ""


@cache
def rules() -> Mapping[str, tuple[Rule, ...]]:
    """Return the packaged rules of every mode, compiled once in a process."""
    return parse(files("anabranch.logs").joinpath("rules.txt").read_text("utf-8"))


def parse(notation: str) -> dict[str, tuple[Rule, ...]]:
    """Compile rules from their notation; RuleError where they break it."""
    known: dict[str, _Written] = {}
    modes: dict[str, tuple[Rule, ...]] = {}
    for mode, written in _sections(notation):
        compiled = []
        for rule in written:
            earlier = known.get(rule.name, rule)
            whole = rule._replace(pattern=rule.pattern or earlier.pattern, text=rule.text or earlier.text)
            known.setdefault(rule.name, whole)
            compiled.append(_compile(whole))
        modes[mode] = tuple(compiled)
    return modes


def _sections(notation: str) -> Iterator[tuple[str, Sequence[_Written]]]:
    mode, written = "", list[_Written]()
    for number, line in enumerate(notation.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            if mode:
                yield mode, written
            mode, written = heading[1], []
        elif head := re.fullmatch(r"([\w-]+)(?: \((start|end|id)\))?", line):
            written.append(_Written(head[1], head[2] or ""))
        elif line.startswith("    ") and written:
            field = {"text": line[7:]} if line.startswith("    => ") else {"pattern": line[4:]}
            written[-1] = written[-1]._replace(**field)
        else:
            raise RuleError(f"line {number} is neither a mode, a rule nor the text of one: {line}")
    yield mode, written


def _compile(rule: _Written) -> Rule:
    if not rule.pattern:
        raise RuleError(f"the rule {rule.name} has no text to look for, here or above")
    fixed, expression, end = [], "", 0
    for place in _PLACE.finditer(rule.pattern):
        fixed.append(rule.pattern[end : place.start()])
        expression += re.escape(fixed[-1]) + _expression(rule.name, *place.groups())
        end = place.end()
    fixed.append(rule.pattern[end:])
    pattern = re.compile(expression + re.escape(fixed[-1]))
    fraction, text, fields = _report_line(rule, pattern)
    return Rule(rule.name, _effect(rule.effect), pattern, max(fixed, key=len).encode(), fraction, text, fields)


def _expression(rule: str, name: str | None, kind: str) -> str:
    if "|" in kind:
        found = "(?:" + "|".join(map(re.escape, kind.split("|"))) + ")"
    elif kind.startswith("not "):
        found = f"[^{re.escape(kind[4:])}]+"
    elif kind.endswith("?"):
        found = f"(?:{re.escape(kind[:-1])})?"
    elif kind in KINDS:
        found = KINDS[kind]
    else:
        raise RuleError(f"the rule {rule} asks for {{{kind}}}; the kinds are {', '.join(KINDS)}")
    return f"(?P<{name}>{found})" if name else found


def _report_line(rule: _Written, pattern: re.Pattern[str]) -> tuple[bool, str, tuple[str, ...]]:
    if not rule.text:
        return False, "", ()
    stamp, _, rest = rule.text.partition("}")
    if stamp not in {"{time", "{second"}:
        raise RuleError(f"what the rule {rule.name} says must begin with {{time}} or {{second}}")
    fields = []
    text, end = "", 0
    for place in _PLACE.finditer(rest):
        text += rest[end : place.start()].replace("%", "%%")
        end = place.end()
        if place[2] in pattern.groupindex:
            fields.append(place[2])
        elif place[2] not in SIGNS:
            raise RuleError(f"the rule {rule.name} says {{{place[2]}}}, but keeps no text of that name")
        text += SIGNS.get(place[2], "%s")
    return stamp == "{time", text + rest[end:].replace("%", "%%") + "\n", tuple(fields)


def _effect(written: str) -> Effect:
    return "start" if written == "start" else "end" if written == "end" else "id" if written == "id" else ""
