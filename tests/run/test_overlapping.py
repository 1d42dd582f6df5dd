"""Scheduled runs that were due while another one was on are skipped; what people start is not."""

import logging
import socket
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.flow_engine import run_flow
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Running

from anabranch.core.config import RunOptions
from anabranch.core.parts import Report
from anabranch.run import overlapping
from anabranch.run.background import patiently
from anabranch.run.overlapping import SKIPPED, overlapped
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
    of_deployment = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
    with get_client(sync_client=True) as client:
        for _ in patiently(120):
            runs = client.read_flow_runs(deployment_filter=of_deployment)
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
            ends=lambda name="Completed": client.set_flow_run_state(run.id, Completed(name=name), force=True),
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


@pytest.mark.parametrize(("name", "is_on"), [(SKIPPED, False), ("Completed", True), ("Cancelled", True)])
def test_a_run_that_was_skipped_itself_counts_as_none_that_was_on(scheduled, on, name, is_on):
    on.ends(name)
    found = on.read()
    due = found.start_time + (found.end_time - found.start_time) / 2

    assert bool(overlapped(scheduled[-1].model_copy(update={"expected_start_time": due}))) is is_on


@pytest.mark.parametrize("answer", [None, b"", b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"])
def test_a_scheduled_run_is_carried_out_where_the_server_does_not_tell(scheduled, answer, monkeypatch, caplog):
    monkeypatch.setattr(overlapping, "RETRIES", 0)
    monkeypatch.setattr(overlapping, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(overlapping, "get_run_logger", logging.getLogger)  # outside of a run there is no other
    with bad_server(answer) as url, temporary_settings({PREFECT_API_URL: url}):
        assert overlapped(scheduled[-1]) == ""

    assert "whether another run was on when this one was due is not known" in caplog.text


@contextmanager
def bad_server(answer):
    """A server that refuses connections (None), accepts them and says nothing, or gives this answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        if answer is None:
            listener.close()
        else:
            threading.Thread(target=_serve, args=(listener, answer), daemon=True).start()
        yield url


def _serve(listener, answer):
    with suppress(OSError), listener.accept()[0] as connection:
        connection.recv(100_000)
        if answer:
            connection.sendall(answer)
        while connection.recv(100_000):
            pass


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
