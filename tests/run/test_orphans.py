"""A run whose command was killed is no longer running for Prefect once the next command looks."""

import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

from anabranch.core.config import state_dir
from anabranch.run.background import Program, note_down, patiently
from anabranch.run.lean import call
from anabranch.run.orphans import end_orphans, noting
from anabranch.run.telling import End

pytestmark = pytest.mark.server

PROGRAM = """
from prefect import flow, task
from prefect.runtime import flow_run
from anabranch.run.lean import call

@task
def wait(run):
    print(run, flush=True)
    input()

@flow
def wait_to_be_killed():
    wait(flow_run.id)

call(wait_to_be_killed, {})
"""


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("ANABRANCH_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture
def command(prefect_server):
    """A command in the middle of its run, and that run's id."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process, process.stdout.readline().strip()
        process.kill()


def notes():
    return [path for path in state_dir().rglob("*.json") if "runs" in path.parts]


def state_of(run_id):
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run_id).state.name


def states_of_tasks(run_id):
    with get_client(sync_client=True) as client:
        runs = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id])))
        return [run.state.name for run in runs]


def test_a_run_whose_command_was_killed_has_crashed_for_the_next_command(command, prefect_server):
    process, run_id = command
    assert any(states_of_tasks(run_id) == ["Running"] for _ in patiently(60))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert state_of(run_id) == "Running"

    end_orphans(prefect_server)

    assert state_of(run_id) == "Crashed"
    assert states_of_tasks(run_id) == ["Crashed"]
    assert notes() == []


def test_a_run_that_goes_on_is_left_alone(command, prefect_server):
    _, run_id = command

    end_orphans(prefect_server)

    assert state_of(run_id) == "Running"
    assert len(notes()) == 1


def test_a_run_that_ended_leaves_no_note(prefect_server):
    seen = []

    @flow
    def look():
        seen.extend(notes())
        raise ValueError

    assert call(look, {}).is_failed()
    assert len(seen) == 1
    assert notes() == []


def test_a_note_is_kept_until_the_server_that_it_is_about_hears_of_it(command, prefect_server):
    process, run_id = command
    process.kill()
    process.wait()
    [note] = notes()
    away = "http://127.0.0.1:9/api"
    note_down(note.with_name(f"{uuid4()}.json"), Program(process.pid, 0, away))

    end_orphans(away)
    assert len(notes()) == 2

    end_orphans(prefect_server)
    assert state_of(run_id) == "Crashed"
    assert len(notes()) == 1


def test_a_run_that_the_server_has_forgotten_and_a_damaged_note_are_dropped(command, prefect_server):
    process, run_id = command
    process.kill()
    process.wait()
    [note] = notes()
    note.rename(note.with_name(f"{uuid4()}.json"))
    note.with_name("damaged.json").write_text("{")

    end_orphans(prefect_server)

    assert notes() == []
    assert state_of(run_id) == "Running"


def test_a_folder_that_cannot_be_written_stops_no_run(prefect_server, tmp_path):
    (tmp_path / "state").write_text("in the way")

    @flow
    def work():
        return 7

    with noting(prefect_server, End()):
        assert call(work, {}).result() == 7
