"""Whatever dies or cannot be read, every task ends in a state that the flow and Prefect's API agree on."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import pytest
from prefect import flow, unmapped
from prefect.futures import wait

from anabranch.run.runner import CLUSTER_SETTINGS, WarmDaskTaskRunner, using
from tests.run import runner_tasks as tasks
from tests.run.history import task_runs
from tests.run.runner_tasks import noted

pytestmark = [pytest.mark.server, pytest.mark.cluster]

EXECUTIONS = CLUSTER_SETTINGS["distributed.scheduler.allowed-failures"] + 1  # of a task that always kills its worker


@pytest.mark.faults
def test_a_finished_task_does_not_run_again_when_its_worker_dies(cluster, tmp_path):
    folder = str(tmp_path)

    @flow
    def lose_workers():
        with using(WarmDaskTaskRunner(address=cluster)):
            names = [f"early-{number}" for number in range(6)]
            wait(list(tasks.count_call.map(names, unmapped(folder))))
            tasks.kill_worker.submit(folder, 1).wait()
            return [noted(folder, name) for name in names], noted(folder, "kill")

    assert lose_workers() == ([1] * 6, 2)


@pytest.mark.faults
def test_a_task_that_kills_its_worker_ends_crashed_and_the_others_complete(cluster, tmp_path):
    folder = str(tmp_path)

    @flow
    def kill():
        with using(WarmDaskTaskRunner(address=cluster)):
            killer = tasks.kill_worker.submit(folder, 99)
            others = list(tasks.count_call.map([f"other-{number}" for number in range(6)], unmapped(folder)))
            wait([killer, *others])
            return killer.state.type.value, {other.state.name for other in others}

    state = kill(return_state=True)
    killer, others = state.result()

    assert killer == "CRASHED"
    assert others == {"Completed"}
    assert noted(folder, "kill") == EXECUTIONS
    runs = task_runs(state.state_details.flow_run_id, 1)
    assert [run.state.name for run in runs if run.name.startswith("kill_worker")] == ["Crashed"]


def _waiting(dask_scheduler):
    """How many tasks the scheduler knows, and how many each worker has been given."""
    return len(dask_scheduler.tasks), [len(worker.processing) for worker in dask_scheduler.workers.values()]


def test_no_task_waits_on_a_worker_behind_another_which_might_kill_it(cluster, tmp_path):
    @flow
    def fill():
        with using(WarmDaskTaskRunner(address=cluster)) as runner:
            # few enough for Dask to hand them all out at once, if they were submitted in its own way
            futures = list(tasks.wait_for_file.map([str(tmp_path / "go")] * 4))
            known, given = 0, []
            while known < 4 or sum(given) < 2:
                known, given = runner.client.run_on_scheduler(_waiting)
            (tmp_path / "go").touch()
            wait(futures)
            return given

    assert fill() == [1, 1]


def test_a_parameter_that_does_not_unpickle_ends_crashed_with_a_record(cluster):
    @flow
    def send():
        with using(WarmDaskTaskRunner(address=cluster)):
            futures = [tasks.take.submit(tasks.Unloadable()), tasks.take.submit(1)]
            wait(futures)
            return [(future.state.name, future.state.message) for future in futures]

    state = send(return_state=True)
    (broken, message), (sound, _) = state.result()

    assert (broken, sound) == ("Crashed", "Completed")
    assert "cannot be loaded" in message
    assert sorted(run.state.name for run in task_runs(state.state_details.flow_run_id, 2)) == ["Completed", "Crashed"]


@pytest.mark.parametrize("task", [tasks.return_unpicklable, tasks.leave_python])
def test_a_task_that_has_no_result_to_bring_home_ends_crashed(cluster, task):
    @flow
    def run():
        with using(WarmDaskTaskRunner(address=cluster)):
            future = task.submit()
            future.wait()
            return future.state.name

    state = run(return_state=True)

    assert state.result() == "Crashed"
    assert [run.state.name for run in task_runs(state.state_details.flow_run_id, 1)] == ["Crashed"]


def test_a_task_waiting_for_one_that_crashes_crashes_too(cluster, tmp_path):
    @flow
    def chain():
        with using(WarmDaskTaskRunner(address=cluster)):
            gate = tasks.wait_for_file.submit(str(tmp_path / "go"))
            last = tasks.add.submit(tasks.take.submit(tasks.Unloadable(), wait_for=[gate]), 1)
            (tmp_path / "go").touch()
            last.wait()
            return last.state.name

    assert chain() == "Crashed"


def test_a_task_submitted_after_the_crash_of_one_that_it_needs_is_not_ready(cluster):
    @flow
    def chain():
        with using(WarmDaskTaskRunner(address=cluster)):
            crashed = tasks.take.submit(tasks.Unloadable())
            crashed.wait()
            last = tasks.add.submit(crashed, 1)
            last.wait()
            return last.state.name

    assert chain() == "NotReady"


def test_two_flow_runs_share_a_cluster_without_mixing(cluster):
    @flow
    def introduce():
        with using(WarmDaskTaskRunner(address=cluster)):
            return [future.result()["flow_run"] for future in [tasks.introduce.submit() for _ in range(10)]]

    with ThreadPoolExecutor(2) as threads:
        running = [threads.submit(copy_context().run, introduce, return_state=True) for _ in range(2)]
        states = [each.result() for each in running]

    for state in states:
        assert set(state.result()) == {str(state.state_details.flow_run_id)}
    assert states[0].state_details.flow_run_id != states[1].state_details.flow_run_id


@pytest.mark.faults
def test_a_lost_cluster_ends_the_tasks_and_hangs_nobody(prefect_server, tmp_path):
    program = """
import time, distributed
if __name__ == "__main__":
    cluster = distributed.LocalCluster(processes=False, dashboard_address="127.0.0.1:0", protocol="tcp")
    print(cluster.scheduler_address, flush=True)
    time.sleep(600)
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as lost:
        address = lost.stdout.readline().strip()

        @flow
        def lose_cluster():
            with using(WarmDaskTaskRunner(address=address)):
                future = tasks.work_until_stopped.submit(str(tmp_path), "lost", 600)
                while not noted(str(tmp_path), "begun-lost"):
                    time.sleep(0.02)
                lost.kill()
                future.wait()
                return future.state.type.value

        assert lose_cluster() == "CRASHED"
