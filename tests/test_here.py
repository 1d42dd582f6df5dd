import errno
import threading
from dataclasses import dataclass, field

import pytest

from anabranch.core.errors import SourceError, Stopped, TemporaryError
from anabranch.core.here import map_here
from anabranch.core.parts import Manifest, Part, Plan


def plan_of(count):
    return Plan(tuple(Part(index, f"part {index}", float(index % 3), str(index)) for index in range(count)), "")


@pytest.mark.parametrize("workers", [1, 4])
def test_outcomes_come_in_the_plans_order_whatever_fails(workers):
    def work(part, stop):
        if part.index == 3:
            raise SourceError("bad", "it is bad", "Mend it.")
        if part.index == 5:
            raise OSError(errno.EIO, "Input/output error")
        return Manifest((), {"number": part.index})

    seen = []
    outcomes = map_here(work, plan_of(8), workers, seen.append)

    assert [outcome.part.index for outcome in outcomes] == list(range(8))
    assert {outcome.part.index: outcome.error.code for outcome in outcomes if outcome.error} == {
        3: "bad", 5: "system-error",
    }  # fmt: skip
    assert all(outcome.error.part == outcome.part.label for outcome in outcomes if outcome.error)
    assert len(seen) == 8


@pytest.mark.parametrize("workers", [1, 4])
def test_a_full_disk_ends_the_map_since_no_other_part_would_fare_better(workers):
    def work(part, stop):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(TemporaryError, match=r"part \d: .* is full: .* \[disk-full\]"):
        map_here(work, plan_of(8), workers)


def test_an_exception_from_outside_stops_the_parts_in_flight():
    begun, stopped = threading.Event(), []

    def work(part, stop):
        if part.index == 0:
            begun.wait(10)
            return Manifest(())
        begun.set()
        while not stop():
            threading.Event().wait(0.001)
        stopped.append(part.index)
        raise Stopped

    def interrupt(outcome):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        map_here(work, plan_of(2), 2, interrupt)

    assert stopped == [1]


@dataclass(frozen=True)
class Growing(Plan):
    """Brings one part more when each of the first ends, and the last one while none is in flight."""

    left: list = field(default_factory=list)

    def further(self, ended):
        if not self.left:
            return None
        return [self.left.pop(0)] if (ended is None) == (len(self.left) == 1) else ()


@pytest.mark.parametrize("workers", [1, 3])
def test_a_plan_that_grows_is_mapped_until_it_says_that_there_is_no_more(workers):
    parts = plan_of(7).parts
    plan = Growing(parts[:3], "", left=list(parts[3:]))

    outcomes = map_here(lambda part, stop: Manifest(()), plan, workers)

    assert [outcome.part.index for outcome in outcomes] == list(range(7))
