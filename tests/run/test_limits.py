"""Places that all runs share: never more are held than there are, those that wait get one, and the dead keep none."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from contextlib import ExitStack

import pytest

from anabranch.core.errors import SetupError, Stopped
from anabranch.run.limits import Limit, SharedLimits, limit_name
from anabranch.run.places import reset, show

pytestmark = pytest.mark.server


@pytest.fixture
def names(prefect_server):
    mark = uuid.uuid4().hex[:8]
    return f"t{mark}-user", f"t{mark}-all"


def shared(names, *places):
    return SharedLimits([Limit(name, count) for name, count in zip(names, places, strict=True)])


def listed(name):
    return show(os.environ["PREFECT_API_URL"], name)


def taken(name):
    (found,) = listed(name)
    return found.taken


def test_no_more_places_are_held_than_there_are_and_all_get_one(names):
    now, most, done, lock, deadline = 0, 0, 0, threading.Lock(), time.monotonic() + 60

    def run():
        nonlocal now, most, done
        with shared(names, 2, 3) as limits, limits.take(bool):
            with lock:
                now += 1
                most = max(most, now)
            while most < 2 and time.monotonic() < deadline:  # two hold a place at the same time, however slow they are
                time.sleep(0.01)
            with lock:
                now -= 1
                done += 1

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (done, most) == (5, 2)
    assert [taken(name) for name in names] == [0, 0]


def test_a_run_that_is_stopped_while_it_waits_gives_back_what_it_holds(names):
    with shared(names, 2, 1) as limits, limits.take(bool):
        with pytest.raises(Stopped), limits.take(lambda: True):
            pass
        deadline = time.monotonic() + 10
        while [taken(name) for name in names] != [1, 1]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert [taken(name) for name in names] == [0, 0]


def test_a_chosen_number_replaces_the_one_that_the_server_knows_and_another_does_not(names):
    with shared(names, 2, 3), SharedLimits([Limit(names[0], 5, chosen=True), Limit(names[1], 9)]):
        pass

    assert [(one.name, one.limit) for name in names for one in listed(name)] == [
        (names[0], 5),
        (names[1], 3),
    ]


def test_a_limit_that_was_removed_is_an_error_and_no_freedom(names):
    from prefect.client.orchestration import get_client

    with shared(names, 1, 1) as limits:
        with get_client(sync_client=True) as client:
            client.delete_global_concurrency_limit_by_name(names[1])
        with pytest.raises(SetupError, match="limit-missing"), limits.take(bool):
            pass


def test_places_that_nobody_holds_are_freed_by_hand(names):
    with ExitStack() as later:
        with shared(names[:1], 1) as limits, limits.take(bool):
            assert [(one.limit, one.taken) for one in reset(os.environ["PREFECT_API_URL"], names[0])] == [(1, 0)]
            others = later.enter_context(shared(names[:1], 1))
            later.enter_context(others.take(bool))
        assert taken(names[0]) == 1  # what was freed by hand is not subtracted once more when its holder gives it back


def test_a_name_holds_nothing_that_the_server_refuses():
    assert limit_name("uploads-user", "DOMAIN\\ann b/c%&") == "uploads-user-DOMAIN_ann_b_c_"


HOLDER = """
import sys, time
from anabranch.run.limits import Limit, SharedLimits
with SharedLimits([Limit(sys.argv[1], 1)]) as limits, limits.take(bool):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.mark.soak
def test_the_place_of_a_killed_run_is_free_after_its_lease_although_the_server_was_killed_too(tmp_path, monkeypatch):
    from anabranch.run.server import ensure_server, find_server, prefect_environment, stop_server

    monkeypatch.delenv("PREFECT_API_URL", raising=False)  # of the server of other tests, which is not to be killed
    home = tmp_path / "state"

    def environment():
        return {**os.environ, "ANABRANCH_STATE_DIR": str(home), **prefect_environment(ensure_server(home), home)}

    try:
        words = [sys.executable, "-c", HOLDER, "t-leased"]
        holder = subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE)
        assert holder.stdout.readline() == b"held\n"
        os.kill(find_server(home).pid, signal.SIGKILL)
        holder.kill()
        holder.wait()
        began = time.monotonic()
        second = subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE)
        try:
            assert second.stdout.readline() == b"held\n"
        finally:
            second.kill()
            second.wait()
        assert time.monotonic() - began > 5  # it was held until the lease ended
    finally:
        stop_server(home)
