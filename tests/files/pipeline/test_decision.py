"""Where a function runs follows from what was measured."""

import math

import pytest

from anabranch.files.pipeline.decision import MOST_THREADS, Measured, decide


def measured(cpu, wall=None, transfer=200.0):
    return Measured(200, cpu, wall or cpu, transfer)


@pytest.mark.parametrize(
    ("cost", "records", "workers", "mode"),
    [
        (measured(20e-6), 400_000, 2, "process"),
        (measured(20e-6), 10_000, 2, "inline"),  # which the start of processes would outlast
        (measured(20e-6), 400_000, 1, "inline"),
        (measured(0.1e-6), 1e9, 2, "inline"),  # to hand records over costs more than to work on them
        (measured(20e-6), math.inf, 2, "process"),
        (measured(20e-6, wall=2e-3), 1000, 2, "thread"),
        (measured(1e-6, wall=3e-6), 1000, 2, "inline"),  # too short for a wait
    ],
)
def test_processes_only_where_they_pay_and_threads_for_what_waits(cost, records, workers, mode):
    assert decide(cost, records, workers, 1000).mode == mode


def test_what_cannot_leave_stays_and_says_why():
    decision = decide(measured(1e-3), 1e6, 8, 1000, why_here="f is a lambda")

    assert decision.mode == "inline"
    assert str(decision).startswith("auto chose inline: f is a lambda")


@pytest.mark.parametrize("cost", [measured(1e-3), measured(1e-5, wall=2e-3)])
@pytest.mark.parametrize("why_here", ["", "f is a lambda"])
def test_what_must_stay_whole_gets_neither_processes_nor_threads(cost, why_here):
    decision = decide(cost, 1e6, 8, 1000, why_here=why_here, why_whole="f counts")

    assert (decision.mode, decision.workers) == ("inline", 1)
    assert str(decision).startswith("auto chose inline: f counts, so it stays in one piece")


def test_what_must_stay_in_this_process_may_wait_on_its_threads():
    assert decide(measured(1e-5, wall=2e-3), 1e6, 8, 1000, why_here="f is a lambda").mode == "thread"


def test_waiting_gets_more_threads_than_cores_but_not_without_end():
    assert decide(measured(1e-4, wall=1e-3), 1e6, 2, 1000).workers == 10
    assert decide(measured(1e-6, wall=1.0), 1e6, 2, 1000).workers == MOST_THREADS


@pytest.mark.parametrize(("wall", "size"), [(1e-6, 1000), (1e-3, 100), (0.05, 2), (3.0, 1)])
def test_a_chunk_is_a_tenth_of_a_second_of_work(wall, size):
    assert decide(measured(wall), math.inf, 2, 1000).chunk_size == size


def test_the_figures_are_there_to_read():
    decision = decide(measured(20.04e-6), 400_000, 2, 1000)

    assert "20 µs CPU" in str(decision)
    assert decision.shown["cpu"] == 20e-6
    assert decision.shown["records_left"] == 400_000
