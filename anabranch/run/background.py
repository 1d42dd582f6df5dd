"""Programs of ours that keep running after the command that started them.

A note file says which process it is. A pid alone is not enough, since the system reuses it: the note also holds the
time at which the process started, and only a process that matches both is ours.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from anabranch.core.errors import TemporaryError
from anabranch.core.storage import published

Say = Callable[[str], None]

LARGEST_LOG = 10_000_000  # bytes; a larger one is set aside when its program starts next
EMPTY = ("", "An exception occurred.")  # the second is the last line of a traceback of Prefect's commands
SAY_SECONDS = 10  # between two messages while waiting

# Started with `&` from a script, we inherit an ignored SIGINT, and so would Prefect, whose worker stops by that signal
_LAUNCHER = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""

_children: dict[int, subprocess.Popen[bytes]] = {}  # kept to be reaped: an unreaped child still looks alive


@dataclass(frozen=True, slots=True)
class Program:
    """A background process, and the API address that it serves or works for."""

    pid: int
    started: int  # clock ticks since boot
    url: str

    @classmethod
    def this(cls, url: str) -> "Program":
        """Return this process, which works for that server."""
        return cls(os.getpid(), _started(os.getpid()) or 0, url)


def launch(arguments: Sequence[str], note: Path, log: Path, url: str, environment: Mapping[str, str]) -> Program:
    """Start `python ARGUMENTS` in its own session, so that Ctrl-C here does not reach it, and write its note."""
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        log.replace(log.with_suffix(".old.log"))
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCHER, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=note.parent,
            env=environment,
            start_new_session=True,
        )
    _children[process.pid] = process
    program = Program(process.pid, _started(process.pid) or 0, url)
    try:
        note_down(note, program)
    except BaseException:
        process.kill()  # without a note no command could find it
        raise
    return program


def note_down(note: Path, program: Program) -> None:
    """Write the note of a program."""
    with published(note) as file:
        file.write(json.dumps(asdict(program)).encode())


def noted(note: Path) -> Program | None:
    """Return the noted program, which may have ended; None if the note is missing or damaged."""
    try:
        return Program(**json.loads(note.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def running(note: Path) -> Program | None:
    """Return the noted program if it still runs."""
    program = noted(note)
    return program if program and alive(program) else None


def alive(program: Program) -> bool:
    """Whether exactly this process still runs."""
    if (child := _children.get(program.pid)) and child.poll() is not None:
        return False
    return _started(program.pid) == program.started


def stop(note: Path, patience: float = 20) -> bool:
    """End the noted program, by force after `patience` seconds; return whether there was one."""
    program = running(note)
    if program:
        _signal(program, signal.SIGTERM)
        for _ in patiently(patience):
            if not alive(program):
                break
        # also after it ended normally, so that nothing of its session stays
        _signal(program, signal.SIGKILL)
        for _ in patiently(patience):
            if not alive(program):
                break
    note.unlink(missing_ok=True)
    return program is not None


def patiently(
    seconds: float, waiting_for: str = "", say: Say | None = None, sign: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Yield several times a second until `seconds` are over in which `sign` returned the same.

    Say from time to time what we are waiting for.
    """
    start = said = moved = time.monotonic()
    last = sign()
    while (now := time.monotonic()) - moved < seconds:
        yield
        if (current := sign()) != last:
            last, moved = current, now
        if say and now - said >= SAY_SECONDS:
            say(f"still waiting for {waiting_for} ({now - start:.0f} s)")
            said = now
        time.sleep(0.1)


@contextmanager
def locked(
    path: Path, seconds: float, say: Say | None = None, sign: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Hold a lock against other commands; raise TemporaryError "busy" after so long, see `patiently`."""
    with path.open("ab") as file:
        for _ in patiently(seconds, "another anabranch command", say, sign):
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
        else:
            reason = f"another command has held {path} for {seconds:.0f} s"
            raise TemporaryError("busy", reason, "Wait for it, or stop it.")
        yield


def last_line(log: Path) -> str:
    """Return the last meaningful line of a log."""
    try:
        lines = log.read_text(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip() not in EMPTY), "")


def _started(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None if it does not exist or is a zombie."""
    try:
        # the name before the last ")" may contain anything, also spaces and brackets
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _signal(program: Program, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        if number == signal.SIGKILL:
            os.killpg(program.pid, number)
        else:
            os.kill(program.pid, number)
