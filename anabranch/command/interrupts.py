"""Ctrl-C and similar signals in a command: the interrupted code may turn them into another error or lose them."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

STOPPED = 5  # exit code
MESSAGE = "stopped. Run the same command again to resume."
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_seen: list[int] = []
_noted: list[int] = []  # descriptor from which the numbers of signals can be read
_hasty: list[bool] = []


def leave_without_farewell() -> None:
    """Let the command end without what libraries do at the end: Prefect would try to send what is left, for minutes."""
    _hasty.append(True)


def hasty() -> bool:
    """Whether the command is to end so."""
    return bool(_hasty)


def note_all() -> None:
    """Note every signal from here on, also where a library sets a handler in place of ours, as Prefect does."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    _noted.append(reader)
    sys.unraisablehook = _unless_interrupted


def _unless_interrupted(lost: Any) -> None:
    """Say nothing of an exception that Python lost, in a destructor for example, where a signal was noted."""
    if not seen():
        sys.__unraisablehook__(lost)


def seen() -> bool:
    """Whether this process was interrupted, even if the exception was lost or turned into another."""
    for reader in _noted:
        with suppress(BlockingIOError):
            _seen.extend(number for number in os.read(reader, 4096) if number in SIGNALS)
    return bool(_seen)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, and remember it."""
    _seen.append(number)
    signal.default_int_handler(number, frame)


def handle(handler: Callable[[int, FrameType | None], object], *numbers: signal.Signals) -> None:
    """Call the handler for these signals, except those that the parent, such as nohup, has set to be ignored."""
    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


@contextmanager
def leaving() -> Iterator[None]:
    """Exit at once if interrupted within the block, which only imports modules, so that no work is lost.

    Otherwise an imported module would get the exception, and some turn it into an exception of their own.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    handle(_leave, *SIGNALS)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(_number: int, _frame: FrameType | None) -> None:
    os.write(2, f"{MESSAGE}\n".encode())
    os._exit(STOPPED)
