"""SIGTERM in every phase of a command: it ends as stopped, with one line that says how to go on, and no half output."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from anabranch.run.background import patiently

pytestmark = pytest.mark.server

FUNCTION = """
import pathlib, time

def step(record):
    pathlib.Path("called").touch()
    while record["n"] == "1" and not pathlib.Path("go").exists():
        time.sleep(0.02)
    return record
"""
RESUMES = "Run the same command again to resume."
ROWS = "n\n" + "".join(f"{number}\n" for number in range(20_000))


def _any(folder, pattern):
    return lambda: any(folder.glob(pattern))


PHASES = {  # and what shows that the command has come so far
    "it imports its modules": None,
    "the run begins": lambda folder: _any(folder, "state/runs/*/*.json"),
    "the files are looked at": lambda folder: _any(folder, "work/anabranch/**/*.catalogue"),
    "the parts are mapped": lambda folder: _any(folder, "called"),
    "the outputs are published": lambda folder: _any(folder, "out/*"),
    "it tells how the run ended": lambda folder: _any(folder, "out/in.jsonl"),
}
GO = ("the outputs are published", "it tells how the run ended")  # for which the function must end


SHORT = ("the parts are mapped",)  # the others are for the soak


@pytest.mark.parametrize(
    "phase", [phase if phase in SHORT else pytest.param(phase, marks=pytest.mark.soak) for phase in PHASES]
)
def test_sigterm_ends_a_command_as_stopped_or_after_it_is_done(phase, prefect_server, tmp_path):
    (tmp_path / "waiting.py").write_text(FUNCTION)
    (tmp_path / "in.csv").write_text(ROWS)
    process = begun(tmp_path)
    try:
        shows = PHASES[phase]
        has_come = shows(tmp_path) if shows else lambda: handles_sigterm(process.pid)
        assert any(has_come() or process.poll() is not None for _ in moments(tmp_path, phase))
        process.send_signal(signal.SIGTERM)
        said, wrong = process.communicate(timeout=150)
    finally:
        process.kill()

    output = tmp_path / "out" / "in.jsonl"
    report = json.loads(said) if said else {}
    assert "Traceback" not in wrong
    assert "defect" not in said + wrong, said + wrong
    assert process.returncode == 5 or (process.returncode == 0 and phase in GO)
    assert process.returncode == 0 or RESUMES in wrong + " ".join(report.get("warnings", ()))
    assert not output.exists() or len(output.read_text().splitlines()) == 20_000
    (tmp_path / "go").touch()
    again = begun(tmp_path)
    assert (again.communicate(timeout=150)[0] != "", again.returncode) == (True, 0)
    assert len(output.read_text().splitlines()) == 20_000


LOST = """
import os, signal, sys
from anabranch.command.interrupts import handle, interrupt, note_all, seen

class Destroyed:
    def __del__(self):
        if "signal" in sys.argv:
            os.kill(os.getpid(), signal.SIGTERM)
        raise ValueError("a defect")

note_all()
handle(interrupt, signal.SIGTERM)
Destroyed()
print(seen())
"""


@pytest.mark.parametrize(("word", "noted", "told"), [("signal", "True", False), ("none", "False", True)])
def test_a_signal_whose_exception_is_lost_is_noted_without_a_traceback_and_a_defect_is_told(word, noted, told):
    done = subprocess.run([sys.executable, "-c", LOST, word], capture_output=True, text=True, check=True)

    assert (done.stdout.strip(), "Traceback" in done.stderr) == (noted, told)


def handles_sigterm(pid):
    """Whether the process has come to our first line; before that, the system ends it as it ends any program."""
    caught = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def moments(folder: Path, phase: str):
    """Yield until it is too late, as often as can be where the phase is short."""
    for _ in patiently(120):
        if phase in GO and (folder / "called").exists():
            (folder / "go").touch()
            for _ in range(100_000):
                yield
        yield


def begun(folder):
    command = [sys.executable, "-m", "anabranch.command.cli", "run-pipeline", "in.csv", "out/", "--json"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "ANABRANCH_WORK_DIR": str(folder / "work"),
        "ANABRANCH_STATE_DIR": str(folder / "state"),
    }
    return subprocess.Popen(
        [*command, "--function", "waiting:step", "--mode", "inline"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
