import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.logs.modes import FORMS, Findings, streams
from anabranch.logs.rules import rules
from anabranch.logs.scan import Scanner, count_lines
from anabranch.logs.timestamps import Clock
from tests.logs.archives import START, flow, line

CLOCK = Clock("UTC")
MODES = tuple(FORMS)
SCANNER = Scanner(MODES, CLOCK)

BREAKS = st.sampled_from([b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\n \n", b"\n\t\r\n"])
LINES = st.one_of(
    st.sampled_from([line()[:-1], line(START)[:-1], flow(7)[:-1], b"\xff" + line()[:-1], line()[:-1] + b"\xc3"]),
    st.sampled_from([b"", b" ", b"x", b'\tEntering state "StopStreamer"', "é\u2028é\x0b\x1c".encode(), b"y" * 300]),
)  # fmt: skip
TEXT = st.lists(st.tuples(LINES, BREAKS), max_size=30).map(lambda pairs: b"".join(a + b for a, b in pairs))


def scan(*blocks, scanner=SCANNER):
    found = Findings({stream: [] for stream in streams(MODES)})
    for block in blocks:
        scanner.scan(block, found)
    return found


def looked_at_one_by_one(text, mode):
    """Apply every rule to every line, with no search for candidates."""
    found = Findings({stream: [] for stream in streams([mode])})
    for each in text.splitlines():
        try:
            decoded = each.decode()
        except UnicodeDecodeError:
            continue
        if stamp := CLOCK.read(decoded):
            for rule in rules()[mode]:
                if match := rule.pattern.search(decoded):
                    FORMS[mode].record(found, mode, rule, stamp, match)
                    if rule.effect != "id":
                        break
    return found


@given(TEXT, st.sampled_from(MODES))
def test_looking_at_candidates_only_finds_the_same(text, mode):
    expected, found = looked_at_one_by_one(text, mode), scan(text)

    assert found.text[mode] == expected.text[mode]
    assert mode != "md" or found.modems == expected.modems


@given(TEXT)
def test_every_line_is_counted(text):
    counts = scan(text).counts

    assert counts["lines"] == count_lines(text) == len(text.splitlines())
    assert counts["blank"] == sum(not each.strip(b"\t ") for each in text.splitlines())
    assert counts["undecodable"] == text.count(b"\xff") + text.count(b"\xc3") - text.count("é".encode())


@given(TEXT)
def test_one_mode_finds_what_all_modes_find(text):
    for mode in MODES:
        assert scan(text, scanner=Scanner([mode], CLOCK)).text[mode] == scan(text).text[mode]


@pytest.mark.parametrize("mode", MODES)
def test_the_first_rule_that_matches_ends_the_line(mode):
    both = line(f'{START} and Entering state "StopStreamer"')

    assert scan(both).counts[mode] == (0 if mode == "md" else 1)


def test_a_session_number_does_not_end_the_line():
    found = scan(line('Received SESSION ID: 42 Entering state "MultiWANRouterStopping"'))

    assert len(found.text["sessions"]) == 2


def test_lines_outside_the_range_and_without_time_are_counted():
    clock = Clock("UTC", end=CLOCK.read("2025-09-26T10:00:00Z").instant)
    found = scan(
        line(), b'Entering state "StopStreamer"\n', line(time="2025-09-26T10:00:00Z"), scanner=Scanner(["bw"], clock)
    )

    assert found.text["bw"] == ["2025-09-26 10:00:00,0,0,Stream end\n"]
    assert (found.counts["candidates"], found.counts["untimed"], found.counts["out_of_range"]) == (3, 1, 1)


def test_a_block_of_nothing_but_breaks_stays_small():
    found = scan(b"\n" * 3_000_000 + b"\r \r\t" * 100_000)

    assert found.counts["blank"] == found.counts["lines"] == 3_200_001
