"""Servers that end with the test run that started them, however it ends."""

import os
import sys
from collections.abc import Sequence

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
