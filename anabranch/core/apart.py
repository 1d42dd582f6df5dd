"""Call a function, or iterate over a generator, in a separate process, so that a crash there ends nothing else.

A process takes half a second to start, so it waits a few seconds for the next call before it ends.
"""

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, ParamSpec, TypeVar

from anabranch.core.errors import TemporaryError

Arguments = ParamSpec("Arguments")
Item = TypeVar("Item")

CRASHES = {
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
}  # signals that a program causes itself

IDLE_SECONDS = 5

_idle: deque["_Process"] = deque()


class CrashedError(Exception):
    """The process crashed."""


def iterate(
    function: Callable[Arguments, Iterator[Item]], *arguments: Arguments.args, **named: Arguments.kwargs
) -> Iterator[Item]:
    """Yield what `function(*arguments)` yields in a separate process, and raise what it raises there.

    Function, arguments, items and errors are pickled. Raises CrashedError if the process crashes, TemporaryError if it
    is killed from outside. A caller that stops early ends the process.
    """
    process = _process_with(function, arguments, named)
    try:
        yield from process.answers()
    finally:
        if process.idle:
            _idle.append(process)


def call(function: Callable[Arguments, Item], *arguments: Arguments.args, **named: Arguments.kwargs) -> Item:
    """Return what `function(*arguments)` returns in a separate process; otherwise like `iterate`."""
    [answer] = iterate(_once, function, arguments, named)
    return answer


def _once(function: Callable[..., Item], arguments: tuple[Any, ...], named: dict[str, Any]) -> Iterator[Item]:
    yield function(*arguments, **named)


def _process_with(*call: Any) -> "_Process":
    with suppress(IndexError):
        while True:  # until no idle process is left
            process = _idle.pop()
            if process.takes(call):
                return process
    process = _Process()
    process.takes(call)
    return process


class _Process:
    idle = False  # whether it waits for a call, and not for its last items to be taken

    def __init__(self) -> None:
        self._pipe, theirs = Pipe()
        with theirs:
            self._popen = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, str(theirs.fileno()), str(IDLE_SECONDS)],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)},
                pass_fds=[theirs.fileno()],
                process_group=0,  # Ctrl-C is meant for the process that waits for this one
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # the signal says enough about a crash
            )

    def __del__(self) -> None:
        self._pipe.close()
        self._popen.kill()
        self._popen.wait()

    def takes(self, call: tuple[Any, ...]) -> bool:
        """Send the call; return false if the process has ended or is about to."""
        self.idle = False
        try:
            self._pipe.send(call)
            return bool(self._pipe.recv())
        except (EOFError, ConnectionError):
            return False

    def answers(self) -> Iterator[Any]:
        """Yield the items of the call that was sent, and raise its error."""
        while (received := self._received()) is not None:
            item, error = received
            if error is not None:
                self.idle = True
                raise error
            yield item
        self.idle = True

    def _received(self) -> Any:
        try:
            return self._pipe.recv()
        except (EOFError, ConnectionError):
            raise self._why() from None

    def _why(self) -> Exception:
        code = self._popen.wait()
        if -code in CRASHES:
            return CrashedError(f"its reader crashed ({signal.Signals(-code).name})")
        return TemporaryError(
            "reader-ended",
            f"the process that read it was ended by {signal.Signals(-code).name if code < 0 else f'exit code {code}'}",
            "Check whether memory ran out, and run the same command again.",
        )


def _serve(pipe: Connection, idle_seconds: float) -> None:
    with suppress(EOFError, ConnectionError):  # the process that called us is gone
        while pipe.poll(idle_seconds):
            call = pipe.recv()
            pipe.send(True)  # from here on, the end of this process concerns this call
            for answer in _answers(*call):
                pipe.send(answer)


def _answers(
    function: Callable[..., Iterator[Any]], arguments: tuple[Any, ...], named: dict[str, Any]
) -> Iterator[tuple[Any, Exception | None] | None]:
    try:
        for item in function(*arguments, **named):
            yield item, None
    except Exception as error:  # noqa: BLE001  the calling process raises it
        yield None, error
    else:
        yield None


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])), float(sys.argv[2]))
