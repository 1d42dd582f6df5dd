"""How many pieces are in flight: grows while throughput rises, and shrinks when the store is overloaded."""

from contextlib import ExitStack, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.uploads.concurrency import REST, STEP, Concurrency
from anabranch.uploads.stores.base import BusyError
from anabranch.uploads.tags import file_tag
from tests.uploads.faulty import PASS, Faulty, error
from tests.uploads.sending import PART, upload

MIB, PART_BYTES = 1 << 20, int(PART)


class Link:
    """A link that carries 10 MB/s for each piece in flight, of at most `knee`."""

    def __init__(self, knee, first=8, most=32, **more):
        self.now, self.knee = 0.0, knee
        self.turns = Concurrency(first, most, clock=lambda: self.now, **more)

    def rounds(self, count):
        """Send as many rounds; return the numbers in flight."""
        return [self.round() for _ in range(count)]

    def round(self):
        limit = self.turns.limit
        with ExitStack() as flying:
            for _ in range(limit):
                flying.enter_context(self.turns.sending(16 * MIB))
            self.now += 16 * MIB * limit / (10e6 * min(limit, self.knee))
        return limit


def test_the_number_doubles_while_throughput_rises_and_goes_back_when_it_does_not():
    assert Link(knee=99).rounds(4) == [8, 16, 32, 32]
    assert Link(knee=16).rounds(4) == [8, 16, 32, 16]


def test_after_a_rest_a_few_more_are_tried():
    assert Link(knee=16).rounds(3 + REST + 3)[3:] == [*[16] * (REST + 1), 16 + STEP, 16]


def test_a_fixed_number_stays():
    link = Link(knee=99, first=8, most=8)

    assert link.rounds(5) == [8] * 5
    overload(link.turns, 8)
    assert link.turns.limit == 8


def test_an_overloaded_store_halves_the_number_once_for_all_pieces_in_flight_and_it_grows_by_a_few_again():
    link = Link(knee=99)
    link.rounds(2)

    overload(link.turns, 32)

    assert link.turns.limit == 16
    assert link.rounds(4) == [16, 16 + STEP, 16 + 2 * STEP, 16 + 3 * STEP]


def overload(turns, count):
    """Let every piece in flight be answered that the store is overloaded."""
    pieces = [turns.sending(MIB) for _ in range(count)]
    for piece in pieces:
        piece.__enter__()
    for piece in pieces:
        with suppress(BusyError):
            piece.__exit__(BusyError, BusyError("slow down", overloaded=True), None)


def test_a_store_that_does_not_answer_does_not_change_the_number():
    link = Link(knee=99)
    with pytest.raises(BusyError), link.turns.sending(MIB):
        raise BusyError("reset")
    assert link.turns.limit == 8


def test_without_memory_the_number_does_not_grow():
    assert Link(knee=99, has_memory=lambda: False).rounds(3) == [8, 8, 8]


def test_a_number_that_is_not_reached_does_not_grow():
    link = Link(knee=99)
    for _ in range(20):
        with link.turns.sending(MIB):
            link.now += 1
    assert link.turns.limit == 8


@given(knee=st.integers(8, 64), overloads=st.lists(st.integers(0, 40), max_size=3))
def test_any_link_is_used_well_and_the_bounds_hold(knee, overloads):
    link = Link(knee)
    for number in range(60):
        if number in overloads:
            overload(link.turns, link.turns.limit)
        assert 1 <= link.round() <= 32

    assert min(link.turns.limit, knee) >= 0.7 * min(32, knee)


def test_a_store_that_is_overloaded_for_a_while_gets_every_part_once_more_and_no_more(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr("anabranch.uploads.retrying.FIRST_WAIT", 0.001)
    source = tmp_path / "source"
    source.write_bytes(bytes(20 * PART_BYTES))
    with Faulty(
        bucket.server.port,
        lambda request: error("SlowDown", "503 Slow Down") if request.kind == "part" and request.count <= 4 else PASS,
    ) as proxy:
        report = upload(source, f"{bucket.url}/", tmp_path / "work", endpoint=proxy.endpoint, parts_in_flight="auto")

    assert report.errors == []
    assert bucket.tag("source") == file_tag(str(source), 20 * PART_BYTES, PART_BYTES, bool)
    assert proxy.seen["part"] == 20 + 4
