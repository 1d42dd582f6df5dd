"""Where a plan's parts run, what happens when that place does not answer, and what of Prefect all this relies on."""

import inspect
import os
import socket
import threading
from dataclasses import replace
from pathlib import Path

import dask
import distributed
import prefect.context
import psutil
import pytest
from prefect import flow
from prefect.context import FlowRunContext
from prefect.exceptions import MissingContextError
from prefect.task_runners import ThreadPoolTaskRunner
from prefect_dask import DaskTaskRunner

from anabranch.core.config import RunOptions
from anabranch.core.errors import SetupError
from anabranch.core.parts import Part, Plan
from anabranch.run.cluster import require_scheduler
from anabranch.run.runner import CLUSTER_SETTINGS, PROCESS_START_SECONDS, WarmDaskTaskRunner, runner_for, using
from tests.run import runner_tasks as tasks


def plan_of(parts: int, python_seconds: float) -> Plan[Part]:
    return Plan(tuple(Part(number, str(number), 1.0, str(number)) for number in range(parts)), "", python_seconds)


@pytest.fixture(autouse=True)
def no_cluster_in_the_environment(monkeypatch):
    monkeypatch.delenv("ANABRANCH_CLUSTER", raising=False)


def test_work_that_waits_runs_in_this_process():
    runner = runner_for(plan_of(100, 0.0), RunOptions(workers=4))

    assert runner.cluster_kwargs["processes"] is False
    assert runner.cluster_kwargs["threads_per_worker"] == 4


def test_python_work_runs_in_processes_once_that_saves_more_than_their_start():
    worth, not_worth = PROCESS_START_SECONDS * 2 + 0.1, PROCESS_START_SECONDS * 2 - 0.1

    assert runner_for(plan_of(9, worth), RunOptions(workers=2)).cluster_kwargs["n_workers"] == 2
    assert "processes" not in runner_for(plan_of(9, worth), RunOptions(workers=2)).cluster_kwargs
    assert runner_for(plan_of(9, not_worth), RunOptions(workers=2)).cluster_kwargs["processes"] is False


def test_parts_that_wait_are_more_at_once_than_there_are_cores_unless_the_user_says_how_many(monkeypatch):
    monkeypatch.setattr("anabranch.run.runner.cores", lambda: 2)
    waiting, busy = (replace(plan_of(9, seconds), at_once=5) for seconds in (0.0, 1000.0))
    kept = [runner_for(plan, RunOptions()).cluster_kwargs for plan in (waiting, busy)]

    assert [(each["n_workers"], each["threads_per_worker"]) for each in kept] == [(1, 5), (2, 3)]
    assert runner_for(waiting, RunOptions(workers=3)).cluster_kwargs["threads_per_worker"] == 3


def test_there_are_no_more_workers_than_parts():
    assert runner_for(plan_of(3, 1000.0), RunOptions(workers=8)).cluster_kwargs["n_workers"] == 3
    assert runner_for(plan_of(1, 1000.0), RunOptions(workers=8)).cluster_kwargs["threads_per_worker"] == 1
    assert runner_for(plan_of(0, 0.0), RunOptions(workers=8)).cluster_kwargs["threads_per_worker"] == 1


def test_a_named_cluster_is_used_and_the_option_beats_the_environment(monkeypatch):
    monkeypatch.setenv("ANABRANCH_CLUSTER", "tcp://environment:8786")

    assert runner_for(plan_of(1, 0.0), RunOptions()).address == "tcp://environment:8786"
    assert runner_for(plan_of(1, 0.0), RunOptions(cluster="tcp://option:8786")).address == "tcp://option:8786"


@pytest.mark.parametrize("listens", [True, False])
def test_a_port_without_a_scheduler_is_a_setup_error_even_if_somebody_listens_there(listens):
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        address = f"tcp://127.0.0.1:{stranger.getsockname()[1]}"
        if not listens:
            stranger.close()

        with pytest.raises(SetupError) as caught:
            require_scheduler(address, None, 1.0)

    assert caught.value.code == "cluster-unreachable"
    assert address in caught.value.reason


@pytest.mark.server
def test_an_unreachable_cluster_ends_the_flow_with_that_error(prefect_server):
    @flow
    def reach():
        with using(runner_for(plan_of(1, 0.0), RunOptions(cluster="nonsense://somewhere"))):
            tasks.add.submit(1, 1)

    with pytest.raises(SetupError, match="nonsense://somewhere"):
        reach()


@pytest.mark.server
def test_dask_knows_our_settings_as_long_as_our_cluster_lives(prefect_server):
    def settings() -> dict[str, object]:
        return {name: dask.config.get(name) for name in CLUSTER_SETTINGS}

    @flow
    def look():
        with using(runner_for(plan_of(1, 0.0), RunOptions())):
            tasks.add.submit(1, 1).wait()
            return settings()

    with dask.config.set(dict.fromkeys(CLUSTER_SETTINGS, "as it was")):
        assert look() == CLUSTER_SETTINGS
        assert set(settings().values()) == {"as it was"}


@pytest.mark.server
@pytest.mark.parametrize("python_seconds", [0.0, 1000.0], ids=["in process", "processes"])
def test_a_cluster_of_ours_listens_to_this_machine_only(prefect_server, python_seconds):
    @flow
    def listen():
        with using(runner_for(plan_of(2, python_seconds), RunOptions(workers=2))):
            tasks.add.submit(1, 1).wait()
            family = [os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))]
            return {
                connection.laddr.ip
                for pid in family
                for connection in psutil.Process(pid).net_connections("tcp")
                if connection.status == psutil.CONN_LISTEN
            }

    assert listen() <= {"127.0.0.1", "::1"}


@pytest.mark.server
def test_a_run_in_this_process_leaves_no_thread_and_no_open_file_behind(prefect_server):
    @flow
    def small():
        with using(runner_for(plan_of(2, 0.0), RunOptions(workers=2))):
            return tasks.add.map([1, 2], [3, 4]).result()

    def held() -> tuple[int, int]:
        return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

    small(), small()  # the first ones open what Prefect and Dask keep for good
    before = held()
    for _ in range(3):
        assert small() == [4, 6]

    threads, files = held()
    assert threads <= before[0]
    assert files <= before[1] + 1  # the API's log shipper comes and goes


def test_using_outside_a_flow_says_so():
    with pytest.raises(MissingContextError, match="flow run"), using(ThreadPoolTaskRunner()):
        pass


@pytest.mark.server
def test_prefect_still_has_what_the_runner_relies_on(prefect_server):
    @flow
    def look():
        context = FlowRunContext.get()
        copy = context.model_copy(update={"task_runner": ThreadPoolTaskRunner(max_workers=1)})
        with copy:
            return FlowRunContext.get().task_runner is copy.task_runner is not context.task_runner

    assert look()
    assert {"task_run_context", "tags_context", "asset_context", "settings_context", "flow_run_context"} <= set(
        prefect.context.serialize_context()
    )
    assert isinstance(inspect.getattr_static(DaskTaskRunner, "client"), property)
    assert {"_client", "_exit_stack", "_started"} <= vars(WarmDaskTaskRunner()).keys()
    assert list(inspect.signature(DaskTaskRunner.submit).parameters)[1:] == [
        "task", "parameters", "wait_for", "dependencies",
    ]  # fmt: skip
    assert "active_threads" in vars(distributed.Worker)["__annotations__"]
