"""Scheduled runs that were due while another one was on are skipped; what people start is not."""

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.flow_engine import run_flow
from prefect.states import Completed, Running

from anabranch.core.config import RunOptions
from anabranch.core.parts import Report
from anabranch.run.background import patiently
from anabranch.run.overlapping import overlapped
from anabranch.run.reporting import SUPERVISED, concluded

pytestmark = pytest.mark.server
begun = []


@flow(name="overlapping")
@concluded
def work(run: RunOptions = RunOptions()) -> Report:  # noqa: B008  as the flows have it
    begun.append(1)
    return Report(flow="overlapping", status="completed")


@pytest.fixture(scope="module")
def deployment(prefect_server):
    schedule = IntervalSchedule(interval=timedelta(seconds=5))
    with get_client(sync_client=True) as client:
        return client.create_deployment(
            client.create_flow(work),
            "overlapping",
            schedules=[DeploymentScheduleCreate(schedule=schedule, active=True)],
            enforce_parameter_schema=False,
        )


@pytest.fixture(scope="module")
def scheduled(deployment):
    """Runs that the schedule made, in their order."""
    with get_client(sync_client=True) as client:
        for _ in patiently(120):
            runs = [run for run in client.read_flow_runs(limit=200) if run.deployment_id == deployment]
            if len(runs) > 20:
                return sorted(runs, key=lambda run: run.expected_start_time)
    raise AssertionError("the schedule made no runs")


@pytest.fixture
def on(deployment):
    """A run of the deployment, from now on until `ends` is called."""
    with get_client(sync_client=True) as client:
        run = client.create_flow_run_from_deployment(deployment)
        client.set_flow_run_state(run.id, Running(), force=True)
        yield SimpleNamespace(
            ends=lambda: client.set_flow_run_state(run.id, Completed(), force=True),
            read=lambda: client.read_flow_run(run.id),
        )
        client.delete_flow_run(run.id)


def next_due(scheduled):
    return next(run for run in scheduled if run.expected_start_time > datetime.now(UTC) + timedelta(seconds=1))


@pytest.mark.parametrize(("share", "is_on"), [(-1, False), (0.5, True), (2, False)])
def test_a_scheduled_run_is_skipped_only_if_another_was_on_when_it_was_due(scheduled, on, share, is_on):
    on.ends()
    found = on.read()
    due = found.start_time + share * (found.end_time - found.start_time)

    assert overlapped(scheduled[-1].model_copy(update={"expected_start_time": due})) == (
        f"{found.name} was still on when this run was due" if is_on else ""
    )
    assert overlapped(found.model_copy(update={"expected_start_time": due})) == ""


@pytest.mark.parametrize("name", ["Completed", "Skipped"])
def test_a_flow_that_is_skipped_does_nothing(scheduled, on, monkeypatch, name):
    run = next_due(scheduled)
    monkeypatch.setenv(SUPERVISED, str(run.id))
    begun.clear()
    seconds = (run.expected_start_time - datetime.now(UTC)).total_seconds() + 0.1
    for pause in (0, seconds) if name == "Completed" else (seconds, 0):  # it ends before the other one is due, or after
        time.sleep(pause)
        if on.read().end_time is None:
            on.ends()
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, Running(), force=True)
        state = run_flow(work, flow_run=client.read_flow_run(run.id), return_type="state")

    assert (state.name, len(begun)) == (name, int(name == "Completed"))
