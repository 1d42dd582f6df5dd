"""What is called apart comes home as if it were called here, and its crash is an error of that call only."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import repeat
from pathlib import Path

import psutil
import pytest

from anabranch.core import apart
from anabranch.core.errors import SourceError, TemporaryError


def count(stop):
    for number in range(stop):
        yield number, os.getpid()


def fail_after(stop, error):
    yield from count(stop)
    raise error


def end_after(stop, number):
    yield from count(stop)
    os.kill(os.getpid(), number)
    signal.pause()


def children():
    return {child.pid for child in psutil.Process().children()}


@pytest.fixture(autouse=True)
def without_idle_processes():
    apart._idle.clear()
    yield
    apart._idle.clear()


def test_items_come_in_order_from_another_process():
    numbers, processes = zip(*apart.iterate(count, 1000), strict=True)

    assert numbers == tuple(range(1000))
    assert len(set(processes)) == 1
    assert os.getpid() not in processes


def test_one_answer_comes_as_it_is():
    assert apart.call(divmod, 7, 2) == (3, 1)
    assert apart.call(partial(int, base=16), "ff") == 255


def test_what_is_raised_there_is_raised_here_behind_the_items():
    items = apart.iterate(fail_after, 2, SourceError("code", "reason", "remedy", "part"))

    assert [next(items)[0], next(items)[0]] == [0, 1]
    with pytest.raises(SourceError) as raised:
        next(items)
    assert raised.value.args == ("code", "reason", "remedy", "part", "")


def test_an_error_of_a_connection_there_is_no_end_of_the_process():
    with pytest.raises(BrokenPipeError, match="theirs"):
        list(apart.iterate(fail_after, 1, BrokenPipeError("theirs")))


def test_one_process_serves_call_by_call_errors_or_not():
    first = apart.call(os.getpid)
    with pytest.raises(ValueError, match="no"):
        list(apart.iterate(fail_after, 1, ValueError("no")))

    assert apart.call(os.getpid) == first


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT], ids=lambda number: number.name)
def test_a_crash_is_an_error_and_the_next_call_has_a_new_process(number):
    items = apart.iterate(end_after, 1, number)
    _, process = next(items)
    with pytest.raises(apart.CrashedError, match=number.name):
        next(items)

    assert apart.call(os.getpid) != process


def test_a_process_that_is_killed_is_a_temporary_error():
    with pytest.raises(TemporaryError, match="SIGKILL"):
        list(apart.iterate(end_after, 1, signal.SIGKILL))


def test_a_process_that_was_killed_between_two_calls_is_replaced():
    first = apart.call(os.getpid)
    os.kill(first, signal.SIGKILL)
    psutil.Process(first).wait()

    assert apart.call(os.getpid) != first


def test_two_iterations_at_a_time_do_not_mix():
    ones, others = apart.iterate(count, 3), apart.iterate(count, 3)

    pairs = list(zip(ones, others, strict=True))

    assert [(one, other) for (one, _), (other, _) in pairs] == [(0, 0), (1, 1), (2, 2)]
    assert all(here != there for (_, here), (_, there) in pairs)


def test_who_stops_early_ends_the_process():
    before = children()
    items = apart.iterate(count, 10**9)
    next(items)
    assert children() > before

    items.close()

    assert children() == before


def test_a_process_that_waits_too_long_ends_and_the_next_call_has_another(monkeypatch):
    monkeypatch.setattr(apart, "IDLE_SECONDS", 0.01)
    first = apart.call(os.getpid)
    psutil.Process(first).wait()

    assert apart.call(os.getpid) != first


def test_calls_of_many_threads_at_a_time_are_answered_each_by_itself():
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(partial(apart.call, divmod), range(200), repeat(7)))

    assert answers == [divmod(number, 7) for number in range(200)]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, None], ids=["SIGKILL", "SIGINT", "by itself"])
def test_no_process_outlives_the_one_that_it_serves(end):
    program = "import os, time; from anabranch.core import apart; print(apart.call(os.getpid), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as caller:
        process = psutil.Process(int(caller.stdout.readline()))
        if end:
            caller.send_signal(end)
        _, said = caller.communicate(b"\n")

    process.wait(timeout=30)
    assert b"Exception ignored" not in said
