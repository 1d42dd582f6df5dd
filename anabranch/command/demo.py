"""The command `demo`: carry out the steps of a workload's demo."""

import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from anabranch.command.stdout import readers_may_leave
from anabranch.command.terminal import Terminal
from anabranch.command.workloads import WORKLOADS, load
from anabranch.core.demo import Demo, Run, Say
from anabranch.core.errors import UsageError

FOLDER = Path("anabranch-demo")
NAMES = tuple(workload.name for workload in WORKLOADS if workload.demo)
ASK_EVERY = 0.02  # seconds


def demo(workload: Annotated[str, Parameter(help=f"Of: {', '.join(NAMES)}.")] = "parse-logs", /) -> int:
    """Make sample input in ./anabranch-demo and run a workload on it: parse-logs, unless another is named."""
    found = next((known.demo for known in WORKLOADS if known.demo and known.name == workload), None)
    if not found:
        raise UsageError("bad-option", f"there is no demo of {workload!r}", f"Name one of: {', '.join(NAMES)}.")
    FOLDER.mkdir(exist_ok=True)
    return play(load(found), FOLDER)


def play(demo: Demo, folder: Path) -> int:
    """Carry out the demo's steps, up to the first command with an unexpected exit code; return that code, or 0."""
    terminal = Terminal()
    with closing(demo(folder)) as steps:
        for step in steps:
            if isinstance(step, Say):
                terminal.say(step.text)
            elif isinstance(step, Run):
                variables = [f"{name}={shlex.quote(value)}" for name, value in step.environment.items()]
                terminal.say(" ".join(["$", *variables, "anabranch", shlex.join(step.words)]))
                code, killed = _run(step)
                if killed:
                    terminal.say("killed, as planned")
                elif code not in step.expected:
                    return code
            else:
                with readers_may_leave():
                    print(step.text)
    return 0


def _run(step: Run) -> tuple[int, bool]:
    """Return the command's exit code, and whether it was killed as planned; forward an interrupt to it."""
    words = [sys.executable, "-m", "anabranch.command.cli", *step.words]
    environment = {**os.environ, **step.environment}
    with subprocess.Popen(words, env=environment, process_group=0) as running:
        try:
            while step.kill_when and running.poll() is None:
                if step.kill_when():
                    os.killpg(running.pid, signal.SIGKILL)
                    return running.wait(), True
                time.sleep(ASK_EVERY)
            return running.wait(), False
        except KeyboardInterrupt:
            running.send_signal(signal.SIGINT)  # Ctrl-C does not reach its process group
            running.wait()
            raise
        except BaseException:
            running.kill()
            raise
