"""Fail the N-th system call of a program, for N = 1, 2, 3 … until the fault no longer comes (SQLite's method)."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KILL, FULL, BROKEN = "signal=SIGKILL", "error=ENOSPC", "error=EIO"
MOST = 500  # more calls than any small program makes; reaching it means that the fault came for ever


@dataclass(frozen=True)
class Injected:
    """One run of the program with a fault: `number` of the call that failed, and how the program ended."""

    number: int
    returncode: int
    stderr: str


def injected(program: list[str], call: str, fault: str, log: Path, **environment: str) -> Iterator[Injected]:
    """Run the Python program again and again, each time with the fault at the next `call`; yield after each run."""
    for number in range(1, MOST):
        # -f: all threads and children; the trace is written to a file, so that stderr stays the program's own
        # no --seccomp-bpf: with it strace 6.1 on newer kernels lets the call pass without its signal
        strace = ["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={call}"]
        done = subprocess.run(
            [*strace, "-e", f"inject={call}:{fault}:when={number}", sys.executable, *program],
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        trace = log.read_text()
        if "(INJECTED)" not in trace and "killed by SIGKILL" not in trace:
            return
        yield Injected(number, done.returncode, done.stderr)
    raise AssertionError(f"{call} never ran out")
