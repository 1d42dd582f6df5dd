"""Demos: those of the workloads as whole commands, and what a demo may ask for."""

import functools
import http.server
import os
import re
import resource
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import psutil
import pytest

from anabranch.command.demo import NAMES, play
from anabranch.command.workloads import WORKLOADS
from anabranch.core.demo import Run, Say, Show

SHOWN = {
    "parse-logs": "Start Only (no session id found): 2025-09-26 15:44:41.280000+00:00",
    "convert-files": "ordered_at: timestamp[us, tz=UTC]",
    "run-pipeline": '"total":2080.68',
    "extract-gps": "name,status,reason,lat,lon,alt_msl_m,",
    "import-table": "13.01.1950,Łódź,3000000000",
}
COMMAND = [sys.executable, "-m", "anabranch.command.cli"]


class Slow(http.server.SimpleHTTPRequestHandler):
    """Serves files; with an `asked` it sets that at the first request, which then waits until the client is gone."""

    asked = None

    def do_GET(self):
        if self.asked and not self.asked.is_set():
            self.asked.set()
            self.rfile.read(1)
        else:
            super().do_GET()

    do_HEAD = do_GET  # noqa: N815  the name that http.server calls


@contextmanager
def served(folder, log, asked=None):
    """Serve the folder on a free port; the log gets one line when the server is up, and one when it is closed."""
    handler = type("Handler", (Slow,), {"asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=folder)) as server:
        threading.Thread(target=server.serve_forever).start()
        log("up")
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            log("closed")


def killed_once(folder, log=print):
    """Run a command that is killed while it waits for its source, and the same again."""
    (folder / "a.csv").write_text("a\n1\n")
    asked = threading.Event()
    with served(folder, log, asked) as url:
        command = ("convert-files", f"{url}/a.csv", str(folder / "out"), "--dry-run")
        yield Run(command, kill_when=asked.is_set)
        yield Show("again")
        yield Run(command)


def stuck(folder):
    """Run a command that waits for its source, and tell when it does."""
    asked = threading.Event()
    with served(folder, print, asked) as url:
        threading.Thread(target=lambda: (asked.wait(), os.write(1, b"asked\n")), daemon=True).start()
        yield Run(("convert-files", f"{url}/a.csv", str(folder / "out"), "--dry-run"))


@pytest.mark.server
@pytest.mark.parametrize("name", [
    pytest.param(name, marks=pytest.mark.soak) if name in ("convert-files", "run-pipeline") else name for name in NAMES
])  # fmt: skip
def test_the_demo_of_each_workload_runs_and_shows_a_result(prefect_server, tmp_path, name):
    done = subprocess.run([*COMMAND, "demo", name], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert SHOWN.get(name, "") in done.stdout
    assert re.search(rf"^\$ (\w+=\S+ )*anabranch {name} ", done.stderr, re.MULTILINE)


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
    assert b"[disk-full]" in done.stderr
    assert [path.name for path in (tmp_path / "anabranch-demo").iterdir()] == [".part.unit.tar.bz2"]


def test_a_demo_may_serve_its_sample_and_run_a_command_twice(tmp_path, capfd):
    log = []

    def demo(folder):
        (folder / "a.csv").write_text("a\n1\n")
        with served(folder, log.append) as url:
            yield Say("twice")
            for _ in range(2):
                yield Run(("convert-files", f"{url}/a.csv", str(folder / "out"), "--dry-run"))
        yield Show("shown")

    assert play(demo, tmp_path) == 0
    said = capfd.readouterr()
    assert said.out.count("Planned so far: 1 part") == 2
    assert said.out.endswith("shown\n")
    assert said.err.count("$ anabranch convert-files http://127.0.0.1:") == 2
    assert log == ["up", "closed"]


def test_a_command_that_fails_ends_the_demo_with_its_code_and_closes_its_server(tmp_path, capfd):
    log = []

    def demo(folder):
        with served(folder, log.append):
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


def test_a_demo_may_kill_a_command_and_run_it_again(tmp_path, capfd):
    assert play(killed_once, tmp_path) == 0
    said = capfd.readouterr()
    assert said.out.startswith("up\nagain\n")
    assert said.out.count("Planned so far: 1 part") == 1
    assert said.err.count("killed, as planned") == 1


def test_a_command_that_is_quicker_than_its_kill_is_no_error(tmp_path, capfd):
    def demo(folder):
        yield Run(("--version",), kill_when=lambda: False)

    assert play(demo, tmp_path) == 0
    assert "killed" not in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_stops_its_command_and_closes_its_server(tmp_path, number):
    script = (
        "import pathlib, sys\n"
        "from anabranch.command import interrupts\n"
        "from anabranch.command.demo import play\n"
        "from tests.test_demo import stuck\n"
        "interrupts.handle(interrupts.interrupt, *interrupts.SIGNALS)  # as the command does\n"
        "try:\n    play(stuck, pathlib.Path(sys.argv[1]))\n"
        "except KeyboardInterrupt:\n    sys.exit(5)"
    )
    words = [sys.executable, "-c", script, str(tmp_path)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert any(line == "asked\n" for line in process.stdout)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    shown, said = process.communicate()

    assert process.returncode == 5
    assert shown == "closed\n"
    assert said.endswith("stopped. Run the same command again to resume.\n")
    assert children
    assert not any(child.is_running() for child in children)
