import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from anabranch.command import runs
from anabranch.core.errors import SetupError, TemporaryError, UsageError
from anabranch.run import api, deploying
from anabranch.run.api import call
from anabranch.run.background import patiently
from anabranch.run.deploying import deploy, down, status, up, write_project_file
from anabranch.run.handover import _find, hand_over
from anabranch.run.secret import FILE, read_secret
from anabranch.run.server import find_server
from tests.logs.archives import flow, tar_of
from tests.run.faulty_proxy import before

ROOT = Path(__file__).parents[2]
LOGS = ROOT / "tests" / "data" / "logs"

pytestmark = pytest.mark.server

FLOW = """
import json, os, time
from pathlib import Path
from prefect import flow
from pydantic import BaseModel

class Options(BaseModel):
    number: int = 1

@flow(name="small-work")
def small_work(output: str, options: Options = Options(), seconds: int = 0):
    Path(output).write_text(json.dumps({"folder": os.getcwd(), "number": options.number}))
    for _ in range(seconds * 10):
        time.sleep(0.1)
"""

DEPLOYMENTS = """
definitions:
  common: &common
    entrypoint: small.small_work
    work_pool: {name: anabranch}
    concurrency_limit: {limit: 1, collision_strategy: ENQUEUE}
    parameters: {output: out.json, options: {number: 7}}
    pull: [{prefect.deployments.steps.set_working_directory: {directory: "{{ $PWD }}"}}]
deployments:
  - <<: *common
    name: default
    schedules: [{slug: nightly, cron: "0 3 * * *", timezone: UTC, active: false}]
  - <<: *common
    name: hourly
    schedules: [{slug: hourly, interval: 3600, anchor_date: "2020-01-01T00:30:00+00:00", active: true}]
"""


@pytest.fixture(autouse=True)
def _no_other_server(monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "small.py").write_text(FLOW)
    (folder / "prefect.yaml").write_text(DEPLOYMENTS)
    return folder


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    home = tmp_path_factory.mktemp("state")
    yield home
    down(home)


@pytest.fixture
def url(project, state):
    """The API of a server with the project's deployments and a worker."""
    found = status(state)
    return (found if found.worker else up(project, state)).server.url


def awaited(url, run, *states):
    """Wait until the run is in one of the states, and return its state."""
    for _ in patiently(90):
        if (state := call(f"{url}/flow_runs/{run}")["state"])["type"] in (*states, "FAILED", "CRASHED"):
            return state
    pytest.fail(f"the run is still {state['type']}")


def switch(url, *, active):
    found = call(f"{url}/deployments/name/small-work/default")
    schedule = found["schedules"][0]["id"]
    call(f"{url}/deployments/{found['id']}/schedules/{schedule}", {"active": active}, method="PATCH")


def test_up_deploys_everything_and_can_be_repeated(url, project, state):
    before = status(state)

    assert up(project, state) == before
    assert before.server.healthy
    schedules = {deployment.name: deployment.schedules for deployment in before.deployments}
    assert schedules["small-work/default"] == {"nightly": False}
    assert schedules["small-work/hourly"] == {"hourly": True}


def test_a_schedule_stays_as_people_switched_it(url, project, state):
    switch(url, active=True)

    for each in (up, deploy):
        each(project, state)

        assert {deployment.name: deployment.schedules for deployment in status(state).deployments}[
            "small-work/default"
        ] == {"nightly": True}
    switch(url, active=False)


def test_an_active_schedule_makes_its_runs(url):
    wish = {"deployments": {"name": {"any_": ["hourly"]}}, "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}

    assert any(call(f"{url}/flow_runs/filter", wish) for _ in patiently(120))


def test_a_run_handed_over_is_carried_out_in_the_projects_folder(url, project, state, tmp_path):
    run = hand_over(url, "small-work", "default", {"output": str(tmp_path / "out.json")})

    assert awaited(url, run.id, "COMPLETED")["type"] == "COMPLETED"
    assert json.loads((tmp_path / "out.json").read_text()) == {"folder": str(project), "number": 7}
    secret = read_secret(state).partition(":")[2].encode()
    assert [file for file in state.rglob("*") if file.is_file() and secret in file.read_bytes()] == [state / FILE]
    assert run.url == f"{url.removesuffix('/api')}/runs/flow-run/{run.id}"


def test_a_run_is_carried_out_again_with_the_same_parameters(url, state, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ANABRANCH_STATE_DIR", str(state))
    given = {"output": str(tmp_path / "out.json"), "options": {"number": 8}}
    first = hand_over(url, "small-work", "default", given)
    with pytest.raises(UsageError, match="has not ended"):
        runs.retry(first.id)
    assert awaited(url, first.id, "COMPLETED")["type"] == "COMPLETED"
    (tmp_path / "out.json").unlink()

    runs.retry(first.id)

    assert awaited(url, capsys.readouterr().out.split()[0], "COMPLETED")["type"] == "COMPLETED"
    assert json.loads((tmp_path / "out.json").read_text())["number"] == 8


def test_what_is_not_deployed_says_how_to_deploy_it(url):
    with pytest.raises(
        SetupError, match=r"has no deployment small-work/weekly, but default, hourly.*`anabranch up`"
    ) as caught:
        hand_over(url, "small-work", "weekly", {})

    assert caught.value.code == "not-deployed"


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"options": {"number": "many"}}, "options.number"),
        ({"seconds": None}, "seconds"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_parameters_that_the_flow_does_not_take_are_refused_with_the_reason(url, parameters, named):
    with pytest.raises(UsageError, match=named) as caught:
        hand_over(url, "small-work", "default", parameters)

    assert caught.value.code == "bad-parameters"


@pytest.fixture
def idle(url):
    """Make a deployment whose runs wait, since no worker is told of them; count its runs, and remove it."""
    flow = call(f"{url}/flows/", {"name": "small-work"})["id"]
    deployment = call(f"{url}/deployments/", {"name": "idle", "flow_id": flow})["id"]
    yield lambda: call(f"{url}/flow_runs/count", {"deployments": {"id": {"any_": [deployment]}}})
    call(f"{url}/deployments/{deployment}", method="DELETE")


@pytest.fixture
def through(url, state, monkeypatch):
    """Hand a run over through a proxy with these faults in its requests to create the run."""
    monkeypatch.setattr(api, "PAUSES", (0.01, 0.01))

    def handed_over(*turns, word="create_flow_run"):
        with before(url, word, turns) as proxy:
            api.log_in(proxy, read_secret(state))
            return hand_over(proxy, "small-work", "idle", {})

    return handed_over


@pytest.mark.faults
@pytest.mark.parametrize(
    "turns",
    [
        ("lost", "on"),
        ("lost", "lost", "on"),
        ("reset", "on"),
        ("503", "on"),
        ("503 1", "on"),
        ("429", "503", "on"),
        ("lost", "503", "on"),
        ("503 Mon, 30 Nov 2026 00:00:00 GMT", "on"),
        ("503 soon", "on"),
    ],
)
def test_a_run_whose_creation_is_refused_or_loses_its_reply_is_created_once(idle, through, turns):
    through(*turns)

    assert idle() == 1


@pytest.mark.faults
@pytest.mark.parametrize(("turn", "created"), [("lost", 1), ("reset", 0), ("503", 0), ("503 3600", 0), ("429", 0)])
def test_a_server_that_stays_busy_is_temporary_and_the_user_is_told_to_look_first(idle, through, turn, created):
    with pytest.raises(TemporaryError, match="look among the runs of http") as caught:
        through(turn)

    assert caught.value.code == "server-busy"
    assert caught.value.exit_code == 5
    assert idle() == created


@pytest.mark.faults
def test_whatever_a_submission_asks_is_asked_again(idle, through):
    for turns in (("lost", "on"), ("reset", "on"), ("503", "on")):
        through(*turns, word="deployments/name/")

    assert idle() == 3


@pytest.mark.faults
def test_a_pool_that_was_made_though_the_reply_was_lost_is_no_error(url, state, monkeypatch):
    monkeypatch.setattr(api, "PAUSES", (0.01,))
    monkeypatch.setattr(deploying, "POOL", "another")
    with before(url, "/api/work_pools/", ("404", "lost", "on")) as proxy:
        api.log_in(proxy, read_secret(state))
        deploying._ensure_pool(proxy)

    assert call(f"{url}/work_pools/another", method="DELETE") is None


def test_ten_runs_that_are_submitted_at_once_are_all_accepted(idle, url):
    with ThreadPoolExecutor(10) as threads:
        runs = list(threads.map(lambda _: hand_over(url, "small-work", "idle", {}).id, range(10)))

    assert len(set(runs)) == idle() == 10


@pytest.mark.faults
def test_a_detached_command_ends_with_5_where_the_server_is_busy(url, state, tmp_path):
    with before(url, "/deployments/", ("503 3600",)) as proxy:
        environment = {**os.environ, "PREFECT_API_URL": proxy, "PREFECT_API_AUTH_STRING": read_secret(state)}
        command = [sys.executable, "-m", "anabranch.command.cli", "parse-logs", "a.tar", "--output", "b", "--detach"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 5
    assert "[server-busy]" in done.stderr


@pytest.mark.soak
@pytest.mark.faults
def test_a_worker_that_died_is_replaced(url, project, state):
    before = status(state)
    os.kill(before.worker, signal.SIGKILL)
    assert any(status(state).worker is None for _ in patiently(30))

    after = up(project, state)

    assert after.worker != before.worker
    assert after.server == before.server


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A folder without prefect.yaml, with packages of the names of ours, as many users of Prefect have."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for name in ("flows", "tasks"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise RuntimeError('this is not the package')")
    return folder


@pytest.fixture(scope="module")
def deployed(state, elsewhere):
    """What is there after `up` in a folder without prefect.yaml."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("PREFECT_API_URL", raising=False)
        return up(elsewhere, state)


def test_the_packages_own_deployments_are_made_for_a_folder_that_has_none(url, deployed):
    schedules = {deployment.name: deployment.schedules for deployment in deployed.deployments}
    assert schedules["parse-logs/parse-logs"] == {}
    assert schedules["parse-logs/nightly-archives"] == {"nightly": False}
    assert schedules["import-table/inbox-import"] == {"every-15-minutes": False}
    assert _find(url, "run-pipeline", "of-an-older-version")["name"] == "run-pipeline"  # the only one of this flow


@pytest.fixture
def detach(deployed, state, tmp_path):
    """Hand the command over from a folder of its own, without importing Prefect; return the run's id."""
    code = (
        "import sys; from anabranch.command.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: assert 'prefect' not in sys.modules"
    )

    def run(*arguments):
        command = [sys.executable, "-c", code, *map(str, arguments), "--detach", "--json"]
        environment = {**os.environ, "ANABRANCH_STATE_DIR": str(state)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
        return json.loads(done.stdout)["run_id"]

    return run


def test_a_detached_command_is_carried_out_with_the_callers_paths(detach, url, tmp_path):
    shutil.copy(LOGS / "s01_basic.tar.bz2", tmp_path / "unit.tar.bz2")

    run = detach("parse-logs", "unit.tar.bz2", "--output", "out/report.txt", "--work-dir", "work")

    assert awaited(url, run, "COMPLETED")["type"] == "COMPLETED"
    expected = (LOGS / "expected" / "s01_basic.tar.bz2.known.UTC.txt").read_bytes()
    assert (tmp_path / "out" / "report.txt").read_bytes() == expected
    assert (tmp_path / "work" / "anabranch" / "results").is_dir()


@pytest.mark.parametrize(
    ("flow", "options"),
    [
        ("convert-files", ["--to", "jsonl"]),
        pytest.param("run-pipeline", ["--function", "builtins:dict"], marks=pytest.mark.soak),
    ],
)
def test_each_flow_that_reads_data_files_takes_its_options_from_a_detached_command(
    detach, url, tmp_path, flow, options
):
    (tmp_path / "a.csv").write_text("n\n7\n")
    (tmp_path / "types.json").write_text('{"n": "string"}')

    run = detach(flow, "a.csv", "out", *options, "--schema", "types.json", "--work-dir", "work")

    assert awaited(url, run, "COMPLETED")["type"] == "COMPLETED"
    assert (tmp_path / "out" / "a.jsonl").read_text() == '{"n":"7"}\n'


@pytest.mark.soak
def test_a_deployed_run_that_is_cancelled_leaves_no_report(detach, url, tmp_path):
    busy = flow(1) * 500_000  # every line is looked at: seconds of work
    (tmp_path / "unit.tar").write_bytes(tar_of({"messages.log": busy}))
    run = detach("parse-logs", "unit.tar", "--mode", "bw,known,sessions", "--output", "reports/", "--work-dir", "work")
    assert any(list((tmp_path / "work").glob("anabranch/logs/*/.*.part")) for _ in patiently(60))

    call(f"{url}/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}, "force": True})

    assert awaited(url, run, "CANCELLED")["type"] == "CANCELLED"
    assert not (tmp_path / "reports").exists()


def test_the_file_of_deployments_is_written_once(tmp_path):
    assert write_project_file(tmp_path).read_bytes() == (ROOT / "prefect.yaml").read_bytes()

    (tmp_path / "prefect.yaml").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        write_project_file(tmp_path)
    assert (tmp_path / "prefect.yaml").read_text() == "mine"


def test_a_deployment_that_cannot_be_made_is_an_error_with_its_log(url, state, tmp_path):
    (tmp_path / "prefect.yaml").write_text(DEPLOYMENTS.replace("small.small_work", "missing_module.flow"))

    with pytest.raises(SetupError, match="missing_module") as caught:
        up(tmp_path, state)

    assert caught.value.code == "deploy-failed"
    assert str(state / "deploy.log") in caught.value.remedy


@pytest.mark.soak
def test_down_cancels_the_run_in_progress_and_leaves_no_process(url, state, tmp_path):
    output = tmp_path / "out.json"
    run = hand_over(url, "small-work", "default", {"output": str(output), "seconds": 300})
    assert any(output.exists() for _ in patiently(60))
    pids = [find_server(state).pid, status(state).worker, int(call(f"{url}/flow_runs/{run.id}")["infrastructure_pid"])]

    down(state)

    with sqlite3.connect(state / "prefect" / "prefect.db") as history:
        assert history.execute("select state_type from flow_run where id = ?", [run.id]).fetchone() == ("CANCELLED",)
    assert not [
        pid for pid in pids if Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    assert status(state).server is None
    assert status(state).worker is None
