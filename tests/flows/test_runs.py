"""The commands about runs, on what a real server remembers of real runs."""

import json
import shutil
from pathlib import Path

import pytest

from anabranch.command import runs
from anabranch.command.verify import verify
from anabranch.core.config import RunOptions
from anabranch.core.errors import UsageError
from anabranch.logs.options import LogOptions
from anabranch.run.api import call
from anabranch.run.background import patiently

LOGS = Path(__file__).parents[1] / "data" / "logs"
BUSY = {"type": "RUNNING", "name": "Running"}


@pytest.fixture(scope="module")
def done(prefect_server, tmp_path_factory):
    """The report of a run that has ended, with one error."""
    from flows.logs import parse_logs

    folder = tmp_path_factory.mktemp("runs")
    shutil.copy(LOGS / "s01_basic.tar.bz2", folder / "unit.tar.bz2")
    (folder / "broken.tar.bz2").write_bytes(b"BZh9 and no more")
    given = RunOptions(work_dir=str(folder / "work"), tolerate="1")
    return parse_logs([str(folder / "unit.tar.bz2"), str(folder / "broken.tar.bz2")], f"{folder / 'out'}/", run=given)


@pytest.fixture
def busy(prefect_server, done):
    """The id of a run that nobody carries out, and that says it is running."""
    flow = call(f"{prefect_server}/flow_runs/{done.run_id}")["flow_id"]
    made = call(f"{prefect_server}/flow_runs/", {"flow_id": flow, "name": "stuck", "state": {"type": "PENDING"}})
    call(f"{prefect_server}/flow_runs/{made['id']}/set_state", {"state": BUSY, "force": True})
    return made["id"]


def test_the_newest_runs_are_listed_with_their_states(done, busy, capsys):
    assert runs.list_all(json=True) == 0
    listed = {run["run"]: (run["flow"], run["state"]) for run in json.loads(capsys.readouterr().out)}

    assert listed[done.run_id] == ("parse-logs", "Completed")
    assert listed[busy] == ("parse-logs", "Running")


def test_no_more_runs_are_listed_than_asked_for(done, busy, capsys):
    runs.list_all(most=1, json=True)

    assert len(json.loads(capsys.readouterr().out)) == 1


@pytest.mark.parametrize("length", [36, 12])
def test_a_run_is_shown_with_the_report_that_it_published(done, capsys, length):
    assert runs.show(done.run_id[:length], json=True) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["run"], shown["report"]["items"]) == (done.run_id, done.items)

    runs.show(done.run_id[:length])
    text = capsys.readouterr().out
    assert done.message in text
    assert done.errors[0].code in text
    assert done.outputs[0] in text


def test_a_run_that_has_published_nothing_is_shown_without_a_report(busy, capsys):
    runs.show(busy, json=True)

    assert json.loads(capsys.readouterr().out)["report"] is None


def test_a_run_that_has_ended_is_watched_no_longer(done, capsys):
    assert runs.watch(done.run_id) == 0
    assert capsys.readouterr().out.count("Completed") == 1


def test_a_run_that_is_cancelled_is_asked_to_stop_and_one_that_ended_is_left_alone(done, busy, capsys):
    runs.cancel(busy)
    assert capsys.readouterr().out == "stuck: Cancelling\n"

    runs.cancel(done.run_id)
    assert "Completed" in capsys.readouterr().out


def test_a_run_that_the_server_does_not_know_is_named(done):
    with pytest.raises(UsageError, match="the server knows no run nobody"):
        runs.show("nobody")


def test_the_outputs_of_a_run_are_verified_and_a_changed_one_is_named(done, capsys):
    [output] = map(Path, done.outputs)
    before = output.read_bytes()
    assert verify(done.run_id) == 0
    assert "1 as recorded" in capsys.readouterr().out

    try:
        output.write_bytes(before[:-1] + b"x")
        assert verify(done.run_id, share="1%", json=True) == 1
    finally:
        output.write_bytes(before)
    told = json.loads(capsys.readouterr().out)
    assert (told["run"], told["outputs"], told["states"]) == (done.run_id, 1, {"changed": 1})
    assert told["findings"][0]["output"] == str(output)


def test_a_run_without_a_report_cannot_be_verified(busy):
    with pytest.raises(UsageError, match="has published no report"):
        verify(busy)


@pytest.mark.parametrize("share", ["10", "0%", "101%", "-1%", "a%", ""])
def test_a_share_that_is_none_is_refused_before_the_server_is_asked(share):
    with pytest.raises(UsageError, match="is not a share"):
        verify("any", share=share)


def test_a_run_is_named_after_its_parameters_unless_a_person_named_it(done, prefect_server, capsys):
    runs.show(done.run_id, json=True)
    shown = json.loads(capsys.readouterr().out)

    assert (shown["name"], shown["by"]) == ("parse-logs unit.tar.bz2 and 1 more known", "program")


def test_a_command_tags_its_run_but_not_the_tasks_of_it(prefect_server, tmp_path):
    from anabranch.run.lean import call as call_flow
    from flows.logs import parse_logs

    given = {"source": [str(LOGS / "s01_basic.tar.bz2")], "output": f"{tmp_path}/out/", "options": LogOptions()}
    state = call_flow(parse_logs, {**given, "run": RunOptions(work_dir=str(tmp_path / "work"))})
    run = state.result().run_id

    assert call(f"{prefect_server}/flow_runs/{run}")["tags"] == ["ad-hoc"]
    wish = {"flow_runs": {"id": {"any_": [run]}}}  # the server learns of tasks by events, a moment later
    tasks = next(found for _ in patiently(60) if (found := call(f"{prefect_server}/task_runs/filter", wish)))
    assert all(task["tags"] == [] for task in tasks)
