"""Fail the N-th system call of one function, for N = 1, 2, 3 … as tests/faults.py does, at a tenth of the price.

One strace holds one Python process that imports everything once and forks for each N. strace counts the calls of each
process for itself, so a fork first makes AT - N calls that do nothing; the fault at call AT meets the function's N-th.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.faults import Injected

# More calls than the warm process makes itself, and more than a function makes that is tested so.
AT = {"write": 250, "fsync": 250, "rename": 250, "preadv2": 250, "openat": 6000, "read": 6000}
LASTING = "+"  # after a fault: it stays from the N-th call on


def injected_forks(
    function: str, arguments: Sequence[str], warm_up: Sequence[str], call: str, *, fault: str, log: Path
) -> Iterator[Injected]:
    """Call `module:function` in a new fork for each N, with the fault at its N-th `call`; yield after each fork.

    It ends when a fork met no fault. `warm_up` are arguments of a call before all forks, that they may find everything
    loaded.
    """
    when = f"when={AT[call]}{LASTING if fault.endswith(LASTING) else ''}"
    log.write_bytes(b"")
    with forking(function, warm_up, log, f"trace={call}", f"inject={call}:{fault.rstrip(LASTING)}:{when}") as run:
        for number in range(1, AT[call]):
            seen = log.stat().st_size
            ended = run(arguments, call, number)
            with log.open() as trace:
                trace.seek(seen)
                if ended.returncode != -signal.SIGKILL and "(INJECTED)" not in trace.read():
                    return
            yield ended
    raise AssertionError(f"{call} never ran out")


@contextmanager
def forking(function: str, warm_up: Sequence[str], log: Path, *expressions: str) -> Iterator[Callable[..., Injected]]:
    """Yield a function that calls `module:function` in a fork under strace with these expressions (`-e`)."""
    strace = [
        "strace",
        "-f",
        "-y",
        "-qq",
        "-s",
        "0",
        "-o",
        str(log),
        *(word for e in expressions for word in ("-e", e)),
    ]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [*strace, sys.executable, "-m", "tests.forks", function, *warm_up], cwd=Path(__file__).parent.parent,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
        ) as program,
    ):  # fmt: skip
        assert program.stdin
        assert program.stdout

        def run(arguments: Sequence[str], call: str = "", number: int = 0) -> Injected:
            seen = errors.seek(0, os.SEEK_END)
            print(json.dumps([call, number, list(arguments)]), file=program.stdin, flush=True)
            returncode = int(program.stdout.readline())
            errors.seek(seen)
            return Injected(number, returncode, errors.read().decode())

        yield run
        program.stdin.close()


def _serve(function: Callable[..., object]) -> None:
    """Fork for each line of standard input, and answer with how the fork ended."""
    for line in sys.stdin:
        call, number, arguments = json.loads(line)
        child = os.fork()
        if not child:
            if call:
                _make_idle(call, AT[call] - number)
            os._exit(_status(function, arguments))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _make_idle(call: str, count: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    idle: dict[str, Callable[[], object]] = {
        "write": lambda: os.write(null, b""),
        "fsync": lambda: os.fsync(null),
        "rename": lambda: Path().rename(""),
        "openat": lambda: os.close(os.open(os.devnull, os.O_RDONLY)),
        "read": lambda: os.read(null, 0),
        "preadv2": lambda: os.preadv(null, [bytearray()], 0),
    }
    already = {"openat": 1}.get(call, 0)  # the one above
    for _ in range(count - already):
        with suppress(OSError):  # such calls fail, and are counted all the same
            idle[call]()


def _status(function: Callable[..., object], arguments: Sequence[str]) -> int:
    try:
        function(*arguments)
    except BaseException as error:  # noqa: BLE001  whatever it is, the test reads it
        os.writev(2, [f"{error!r}\n".encode()])  # since a write may be what fails
        return 1
    return 0


if __name__ == "__main__":
    module, _, name = sys.argv[1].partition(":")
    tested = getattr(importlib.import_module(module), name)
    tested(*sys.argv[2:])
    _serve(tested)
