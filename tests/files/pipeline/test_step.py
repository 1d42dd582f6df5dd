"""Calls of the function: what comes of records, of states, of what is prepared."""

import subprocess
import sys

import pytest

from anabranch.core.errors import UsageError
from anabranch.files.pipeline.step import Failure, FunctionError, Ran, Step, prepared
from tests.files.pipeline import steps

RECORDS = [{"id": number} for number in range(10)]


def test_none_drops_and_an_exception_is_never_none():
    ran = Step(steps.only_even).run(RECORDS)
    failing = Step(steps.fail_sevenths).run(RECORDS)

    assert (len(ran.results), ran.dropped, ran.failures) == (5, 5, [])
    assert (len(failing.results), failing.dropped) == (9, 0)
    assert failing.failures == [Failure(3, "ValueError", "no 3")]


def test_the_first_failure_ends_a_run_that_shall_stop():
    with pytest.raises(FunctionError) as stopped:
        Step(steps.fail_sevenths, stop_at_error=True).run(RECORDS)

    assert stopped.value.failure.index == 3


def test_states_of_consecutive_runs_merge_to_that_of_one():
    step, whole = Step(steps.count, merge=steps.append), Ran()
    for start in range(0, 10, 3):
        whole.add(step.run(RECORDS[start : start + 3]), step)

    assert whole.state == step.run(RECORDS).state == {"seen": list(range(10))}


def test_a_state_that_nobody_merges_is_refused():
    with pytest.raises(UsageError, match="'seen'") as refused:
        Step(steps.count).run(RECORDS)

    assert refused.value.code == "state-not-merged"


@pytest.mark.parametrize(
    ("function", "waits"), [("steps.same", False), ("steps.stop_once", False), ("steps.rest", True)]
)
def test_only_what_waits_by_itself_and_often_is_taken_for_waiting(function, waits):
    script = (
        "from anabranch.files.pipeline.step import Step\n"
        "from anabranch.files.pipeline.decision import Measured\n"
        "from tests.files.pipeline import steps\n"
        f"ran = Step({function}).run([{{'id': number}} for number in range(200)])\n"
        "print(Measured(200, ran.cpu / 200, ran.wall / 200).waits)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == f"{waits}\n"


def test_a_state_that_is_only_read_needs_no_merge():
    step = Step(steps.scaled, start={"factor": 2})

    assert step.run(RECORDS).results[-1] == {"id": 18}


def test_what_init_prepares_is_made_once_and_is_no_state_to_merge():
    steps.calls.clear()
    step = Step(steps.scaled, init=steps.prepare, merge=steps.append)

    results = [step.run(RECORDS) for _ in range(3)]

    assert [ran.results[1] for ran in results] == [{"id": 10}] * 3
    assert [ran.state for ran in results] == [{}] * 3
    assert len(steps.calls) <= 1
    assert prepared(steps.prepare) == {"factor": 10}
