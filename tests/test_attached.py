"""A server of the tests ends with the run that started it."""

import subprocess
import sys
import time
from pathlib import Path

import psutil

STARTER = """
import subprocess
from tests.attached import attached
print(subprocess.Popen(attached(["sleep", "600"]), start_new_session=True).pid, flush=True)
input()
"""


def test_a_killed_starter_takes_its_server_along():
    command = [sys.executable, "-c", STARTER]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        server = psutil.Process(int(starter.stdout.readline()))
        starter.kill()

    deadline = time.monotonic() + 30
    while server.is_running() and server.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE
