"""Find the report lines in a block of log text, looking first for the few lines that can match at all."""

import re
from collections.abc import Iterator, Sequence

from ahocorasick_rs import BytesAhoCorasick, Implementation

from anabranch.logs.modes import FORMS, Findings
from anabranch.logs.rules import Rule, rules
from anabranch.logs.timestamps import Clock

# A break and a blank: the line that begins there may be empty. All but \r\n, which is one break.
_BLANK_STARTS = [pair for a in b"\r\n" for b in b"\r\n\t " if (pair := bytes((a, b))) != b"\r\n"]
_BLANKS = b"\r\n\t "
_BLANK_LINES = re.compile(rb"[\r\n][\r\n\t ]*[\r\n]")
_DENSE = 16  # bytes per line; below it a block is mostly blank lines, and each would be a hit


class Scanner:
    """Scans blocks for all rules of some modes at once."""

    def __init__(self, modes: Sequence[str], clock: Clock) -> None:
        self._clock = clock
        self._rules = [(mode, rules()[mode]) for mode in modes]
        self._literals = sorted({rule.literal for _, listed in self._rules for rule in listed})
        self._automaton = BytesAhoCorasick([*self._literals, *_BLANK_STARTS], implementation=Implementation.DFA)
        self._choices: dict[int, list[tuple[str, list[Rule]]]] = {}

    def scan(self, block: bytes, found: Findings) -> None:
        """Add what a block of whole lines holds to the findings.

        Of the lines counted, `blank` (nothing but blanks and tabs) and `undecodable` (no UTF-8) can match nothing; of
        the `candidates`, which contain the fixed text of a rule, some are `untimed` or `out_of_range`.
        """
        lines = count_lines(block)
        found.counts["lines"] += lines
        found.counts["undecodable"] += _undecodable(block)
        if lines > len(block) // _DENSE:
            block = _BLANK_LINES.sub(b"\n", block)
            found.counts["blank"] += lines - count_lines(block)
        hits = self._automaton.find_matches_as_indexes(block, overlapping=True)
        found.counts["blank"] += self._blank_lines(block, hits)
        for line, literals in self._candidates(block, hits):
            self._look(line, literals, found)

    def _blank_lines(self, block: bytes, hits: Sequence[tuple[int, int, int]]) -> int:
        starts = [0] if block[:1] in _BLANKS and block else []
        starts += [start + 1 for number, start, _ in hits if number >= len(self._literals)]
        return sum(not block[start : _line_end(block, start)].strip(_BLANKS) for start in starts)

    def _candidates(self, block: bytes, hits: Sequence[tuple[int, int, int]]) -> Iterator[tuple[bytes, int]]:
        """Yield each line with a literal, and which literals it has, as bits."""
        begin, end, literals = 0, -1, 0
        for number, start, _ in hits:
            if number >= len(self._literals):
                continue
            if start >= end:
                if literals:
                    yield block[begin:end], literals
                begin, end, literals = _line_start(block, start), _line_end(block, start), 0
            literals |= 1 << number
        if literals:
            yield block[begin:end], literals

    def _look(self, line: bytes, literals: int, found: Findings) -> None:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            return  # counted with its block
        found.counts["candidates"] += 1
        stamp = self._clock.read(text)
        if stamp is None:
            found.counts["untimed"] += 1
            return
        found.first, found.last = found.first or stamp, stamp
        if not self._clock.covers(stamp):
            found.counts["out_of_range"] += 1
        else:
            for mode, listed in self._choices.get(literals) or self._choose(literals):
                record = FORMS[mode].record
                for rule in listed:
                    if match := rule.pattern.search(text):
                        record(found, mode, rule, stamp, match)
                        found.counts[mode] += 1
                        if rule.effect != "id":
                            break

    def _choose(self, literals: int) -> list[tuple[str, list[Rule]]]:
        """List, by mode and in its order, the rules that a line with these literals can match."""
        present = {literal for number, literal in enumerate(self._literals) if literals >> number & 1}
        choice = [(mode, [rule for rule in listed if rule.literal in present]) for mode, listed in self._rules]
        self._choices[literals] = choice
        return choice


def count_lines(block: bytes) -> int:
    r"""Count lines as `bytes.splitlines` does: \n, \r and \r\n end one, and the last needs no end."""
    lone = block.count(b"\r") - block.count(b"\r\n") if b"\r" in block else 0
    return block.count(b"\n") + lone + (block[-1:] not in b"\r\n")


def _line_start(block: bytes, place: int) -> int:
    start = block.rfind(b"\n", 0, place) + 1
    return max(start, block.rfind(b"\r", start, place) + 1)


def _line_end(block: bytes, place: int) -> int:
    newline = block.find(b"\n", place)
    end = len(block) if newline < 0 else newline
    carriage_return = block.find(b"\r", place, end)
    return end if carriage_return < 0 else carriage_return


def _undecodable(block: bytes) -> int:
    """Count the lines that are not UTF-8; nearly always none is, so the block is tried as a whole."""
    return 0 if _decodes(block) else sum(not _decodes(line) for line in block.splitlines())


def _decodes(text: bytes) -> bool:
    try:
        return text.isascii() or bool(text.decode())
    except UnicodeDecodeError:
        return False
