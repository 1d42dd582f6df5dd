"""When the block of `using` ends, parts not begun are dropped, and those in flight stop at their next item."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prefect import flow

from anabranch.run.runner import WarmDaskTaskRunner, using
from anabranch.run.stopping import stop_requested
from tests.run import runner_tasks as tasks
from tests.run.history import task_runs
from tests.run.runner_tasks import noted

pytestmark = [pytest.mark.server, pytest.mark.cluster]

LONG = 120  # seconds that a part would work, were it not stopped


def in_process() -> WarmDaskTaskRunner:
    kwargs = {"processes": False, "n_workers": 1, "threads_per_worker": 2, "dashboard_address": "127.0.0.1:0"}
    return WarmDaskTaskRunner(cluster_kwargs=kwargs)


@pytest.fixture(params=["in process", "cluster"])
def make_runner(request, cluster):
    return in_process if request.param == "in process" else lambda: WarmDaskTaskRunner(address=cluster)


def wait_for(folder: Path, *names: str) -> None:
    while not all(noted(str(folder), name) for name in names):
        time.sleep(0.02)


def test_parts_in_flight_stop_and_the_others_never_begin_when_the_block_raises(make_runner, tmp_path):
    @flow
    def fail_in_block():
        with using(make_runner()):
            for number in range(100):
                tasks.work_until_stopped.submit(str(tmp_path), str(number), LONG)
            while len(list(tmp_path.glob("begun-*"))) < 2:
                time.sleep(0.02)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_in_block()

    # both had stopped before the block ended
    assert len(list(tmp_path.glob("stopped-*"))) == len(list(tmp_path.glob("begun-*"))) == 2


def test_a_future_that_was_dropped_is_cancelled(make_runner, tmp_path):
    futures = []

    @flow
    def leave_early():
        with using(make_runner()):
            futures.extend(tasks.work_until_stopped.submit(str(tmp_path), str(number), LONG) for number in range(4))

    leave_early()

    assert {future.state.name for future in futures} == {"Cancelled"}


def test_the_flow_uses_its_own_runner_again_after_the_block(cluster, tmp_path):
    @flow
    def twice():
        with using(WarmDaskTaskRunner(address=cluster)):
            there = tasks.kill_worker.submit(str(tmp_path), 0).result()
        return there, tasks.kill_worker.submit(str(tmp_path), 0).result()

    there, here = twice()

    assert here == os.getpid() != there


def test_parts_on_a_cluster_stop_when_the_flow_process_is_killed(cluster, tmp_path):
    program = f"""
from prefect import flow
from anabranch.run.runner import WarmDaskTaskRunner, using
from tests.run.runner_tasks import work_until_stopped

@flow
def endless():
    with using(WarmDaskTaskRunner(address={cluster!r})):
        work_until_stopped.submit({str(tmp_path)!r}, "orphan", {LONG}).wait()

endless()
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2]) as process:
        wait_for(tmp_path, "begun-orphan")
        process.send_signal(signal.SIGKILL)

    wait_for(tmp_path, "stopped-orphan")


def test_nobody_is_asked_to_stop_outside_a_worker():
    assert stop_requested() is False


def test_a_part_that_somebody_waits_for_is_not_asked_to_stop(make_runner, tmp_path):
    @flow
    def wait_in_block():
        with using(make_runner()):
            return tasks.work_until_stopped.submit(str(tmp_path), "wanted", 0.3).result()

    state = wait_in_block(return_state=True)

    assert state.result() is True
    assert [run.state.name for run in task_runs(state.state_details.flow_run_id, 1)] == ["Completed"]
