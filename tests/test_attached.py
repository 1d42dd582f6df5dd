"""A server of the tests ends with the run that started it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

STARTER = """
import subprocess
from tests.attached import attached
print(subprocess.Popen(attached(["sleep", "600"]), start_new_session=True).pid, flush=True)
input()
"""

LAUNCHER = """
import os, pathlib, sys
from anabranch.run.background import launch
from tests.attached import watching
folder = pathlib.Path(sys.argv[1])
(folder / "state").mkdir()
with watching(folder):
    note = folder / "state/server.json"
    sleep = ["-c", "import time; time.sleep(600)"]
    print(launch(sleep, note, folder / "log", "http://there", os.environ).pid, flush=True)
    input()
"""


@pytest.mark.parametrize("script", [STARTER, LAUNCHER])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_starter_takes_its_server_along_however_it_ends(script, number, tmp_path):
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        server = psutil.Process(int(starter.stdout.readline()))
        starter.send_signal(number)

    deadline = time.monotonic() + 30
    while server.is_running() and server.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE
