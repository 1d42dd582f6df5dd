"""Servers that end with the test run that started them, however it ends."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

# PR_SET_PDEATHSIG (linux/prctl.h) lets the kernel kill a process when the thread that started it ends; one that has
# ended before that is noticed by its place in the family
_ATTACH = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""


def attached(command: Sequence[str]) -> list[str]:
    """Return the command that runs `command` so that it is killed when this process, or its main thread, ends."""
    return [sys.executable, "-c", _ATTACH, str(os.getpid()), *command]


# Its input ends with the process that holds the other end, also when that is killed
_WATCH = """
import pathlib, sys
sys.stdin.buffer.read()
from anabranch.run.background import stop
for folder in sys.argv[1:]:
    for name in ("worker.json", "server.json"):
        for note in pathlib.Path(folder).rglob(name):
            stop(note)
"""


@contextmanager
def watching(*folders: Path) -> Iterator[None]:
    """Stop the servers and workers whose notes lie below the folders once the block, or this process, has ended."""
    command = [sys.executable, "-c", _WATCH, *map(str, folders)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True):
        yield
