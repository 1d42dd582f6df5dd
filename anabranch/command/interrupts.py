"""Ctrl-C and its like, as a command takes them: code that they meet may make another error of them, or lose them."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPPED = 5  # exit code
MESSAGE = "stopped. Run the same command again to resume."
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_seen: list[int] = []


def seen() -> bool:
    """Say whether somebody interrupted this process, whatever became of it."""
    return bool(_seen)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, and remember it."""
    _seen.append(number)
    signal.default_int_handler(number, frame)


def handle(handler: Callable[[int, FrameType | None], object], *numbers: signal.Signals) -> None:
    """Call this for such signals, but for those that whoever started us, such as nohup, chose to ignore."""
    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


@contextmanager
def leaving() -> Iterator[None]:
    """End the process at once when it is interrupted in the block: where modules are imported, nothing else is begun.

    What is imported would otherwise get the exception, and some of it turns it into one of its own.
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
