"""A server that dies or stands still in the middle of a run costs the run its history, and nothing else."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prefect import flow

from anabranch.run.api import call
from anabranch.run.background import patiently
from anabranch.run.orphans import end_orphans
from anabranch.run.server import ensure_server, find_server, stop_server
from anabranch.run.telling import INCOMPLETE, telling

pytestmark = [pytest.mark.server, pytest.mark.faults]

FUNCTION = """
import pathlib, time

def step(record):
    pathlib.Path("started").touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.05)
    return record
"""


@pytest.fixture(autouse=True)
def _own_server(monkeypatch, home):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("ANABRANCH_STATE_DIR", str(home))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("lost") / "state"
    yield home
    stop_server(home)


@contextmanager
def in_the_middle(folder):
    """A command whose function waits for the file `go`, and the process of its server."""
    url = ensure_server()
    (folder / "waiting.py").write_text(FUNCTION)
    (folder / "in.csv").write_text("n\n1\n2\n")
    command = [sys.executable, "-m", "anabranch.command.cli", "run-pipeline", "in.csv", "out", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "ANABRANCH_WORK_DIR": str(folder / "work")}
    with subprocess.Popen(
        [*command, "--function", "waiting:step", "--mode", "inline"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert any((folder / "started").exists() for _ in patiently(90))
            yield process, url, find_server().pid
        finally:
            process.kill()


@contextmanager
def standing_still(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def require_done(folder, code, output):
    report = json.loads(output)
    assert (code, report["status"]) == (0, "completed")
    assert INCOMPLETE in report["warnings"]
    assert len((folder / "out" / "in.jsonl").read_text().splitlines()) == 2
    return report["run_id"]


@pytest.mark.soak
def test_a_run_whose_server_stands_still_ends_as_it_should_and_the_next_command_tells_the_server(tmp_path):
    with in_the_middle(tmp_path) as (process, url, server):
        with standing_still(server):
            (tmp_path / "go").touch()
            output, errors = process.communicate(timeout=150)
        run = require_done(tmp_path, process.returncode, output)
        assert "Traceback" not in errors

    end_orphans(url)

    assert call(f"{url}/flow_runs/{run}")["state_type"] == "COMPLETED"


def test_a_run_whose_server_was_killed_ends_as_it_should_and_the_next_server_hears_of_it(tmp_path):
    with in_the_middle(tmp_path) as (process, _, server):
        os.kill(server, signal.SIGKILL)
        (tmp_path / "go").touch()
        output, errors = process.communicate(timeout=150)
        run = require_done(tmp_path, process.returncode, output)
        assert "Traceback" not in errors

    url = ensure_server()
    end_orphans(url)

    assert call(f"{url}/flow_runs/{run}")["state_type"] == "COMPLETED"
    assert not list(Path(os.environ["ANABRANCH_STATE_DIR"]).glob("runs/*/*"))


@pytest.mark.soak
def test_ctrl_c_ends_a_run_whose_server_stands_still(tmp_path):
    with in_the_middle(tmp_path) as (process, _, server), standing_still(server):
        process.send_signal(signal.SIGINT)
        (tmp_path / "go").touch()

        assert process.wait(timeout=150) == 5
    assert not (tmp_path / "out").exists()


def test_a_report_that_waits_gives_way_to_a_later_one_and_no_caller_waits(prefect_server):
    free, began, told = threading.Event(), threading.Event(), []

    def slow():
        began.set()
        free.wait(60)

    def unheard():
        raise httpx.ConnectError("gone")

    @flow
    def tell():
        with telling() as teller:
            teller.tell("slow", slow)
            assert began.wait(60)
            for number in range(3):
                teller.tell("page", lambda number=number: told.append(number))
            assert told == []
            free.set()
            assert teller.finish(60)
            teller.tell("page", unheard)
            return teller.finish(60)

    assert tell() is False
    assert told == [2]
