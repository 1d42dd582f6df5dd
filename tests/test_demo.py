"""Demos: those of the workloads as whole commands, and what a demo may ask for."""

import functools
import http.server
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from anabranch.command.demo import NAMES, play
from anabranch.command.workloads import WORKLOADS
from anabranch.core.demo import Run, Say, Show

COMMAND = [sys.executable, "-m", "anabranch.command.cli"]


@contextmanager
def served(folder, log):
    """Serve the folder on a free port; the log gets one line when the server is up, and one when it is closed."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        log.append("up")
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            log.append("closed")


@pytest.mark.server
@pytest.mark.parametrize(("name", "shown"), [
    ("parse-logs", "Start Only (no session id found): 2025-09-26 15:44:41.280000+00:00"),
    ("convert-files", "ordered_at: timestamp[us, tz=UTC]"),
    ("run-pipeline", '"total":2080.68'),
])  # fmt: skip
def test_the_demo_of_each_workload_runs_and_shows_a_result(prefect_server, tmp_path, name, shown):
    done = subprocess.run([*COMMAND, "demo", name], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert shown in done.stdout
    assert f"\n$ anabranch {name} anabranch-demo/" in f"\n{done.stderr}"


def test_every_workload_has_a_demo():
    assert tuple(workload.name for workload in WORKLOADS) == NAMES


def test_an_unknown_demo_is_refused_with_the_known_ones(tmp_path):
    done = subprocess.run([*COMMAND, "demo", "nonsense"], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert "parse-logs, convert-files" in done.stderr


def test_an_interrupted_demo_leaves_no_half_archive_to_the_next(tmp_path):
    limit = 200_000  # bytes of any file, far below the sample's 10 MB
    done = subprocess.run(
        [*COMMAND, "demo"],
        cwd=tmp_path, capture_output=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip

    assert done.returncode == 5
    assert b"[system-error]" in done.stderr
    assert [path.name for path in (tmp_path / "anabranch-demo").iterdir()] == [".part.unit.tar.bz2"]


def test_a_demo_may_serve_its_sample_and_run_a_command_twice(tmp_path, capfd):
    log = []

    def demo(folder):
        (folder / "a.csv").write_text("a\n1\n")
        with served(folder, log) as url:
            yield Say("twice")
            for _ in range(2):
                yield Run(("convert-files", f"{url}/a.csv", str(folder / "out"), "--dry-run"))
        yield Show("shown")

    assert play(demo, tmp_path) == 0
    said = capfd.readouterr()
    assert said.out.count("The first step has 1 parts") == 2
    assert said.out.endswith("shown\n")
    assert said.err.count("$ anabranch convert-files http://127.0.0.1:") == 2
    assert log == ["up", "closed"]


def test_a_command_that_fails_ends_the_demo_with_its_code_and_closes_its_server(tmp_path, capfd):
    log = []

    def demo(folder):
        with served(folder, log):
            yield Run(("parse-logs", "missing.tar"), expected=(2,))
            yield Run(("parse-logs", "missing.tar"))
            yield Show("never")

    assert play(demo, tmp_path) == 2
    assert "never" not in capfd.readouterr().out
    assert log == ["up", "closed"]


def test_a_command_gets_the_variables_of_its_demo(tmp_path, capfd):
    def demo(folder):
        yield Run(("parse-logs", "missing.tar"), {"ANABRANCH_DEMO": "a b"}, expected=(2,))

    assert play(demo, tmp_path) == 0
    assert "$ ANABRANCH_DEMO='a b' anabranch parse-logs missing.tar" in capfd.readouterr().err


@pytest.mark.server
def test_a_demo_may_kill_a_command_and_resume_it(prefect_server, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("ANABRANCH_WORK_DIR", str(tmp_path / "work"))

    def demo(folder):
        from anabranch.logs.sample import write_sample

        write_sample(folder / "unit.tar.bz2", megabytes=30)
        command = ("parse-logs", str(folder / "unit.tar.bz2"), "--output", str(folder / "report"))
        yield Run(command, kill_when=lambda: any((folder / "work").glob("anabranch/results/*")))
        assert not (folder / "report").exists()
        yield Run(command)
        yield Show(f"{len((folder / 'report').read_text().splitlines())} lines")

    assert play(demo, tmp_path) == 0
    said = capfd.readouterr()
    assert said.out == "294 lines\n"
    assert "killed, as planned" in said.err


def test_a_command_that_is_quicker_than_its_kill_is_no_error(tmp_path, capfd):
    def demo(folder):
        yield Run(("--version",), kill_when=lambda: False)

    assert play(demo, tmp_path) == 0
    assert "killed" not in capfd.readouterr().err


@pytest.mark.server
def test_an_interrupted_demo_stops_its_command_too_and_ends_with_5(prefect_server, tmp_path):
    work = tmp_path / "work"
    process = subprocess.Popen(
        [*COMMAND, "demo"], cwd=tmp_path, env={**os.environ, "ANABRANCH_WORK_DIR": str(work)}, stderr=subprocess.PIPE
    )
    while not list(work.glob("anabranch/results/*")):
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    said = process.communicate()[1]

    assert process.returncode == 5
    assert b"parse-logs: cancelled" in said
