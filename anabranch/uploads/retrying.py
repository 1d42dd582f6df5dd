"""Send again what a busy destination refused: later and later, obeying Retry-After, and not for ever."""

import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from anabranch.core.errors import AnabranchError, SetupError, Stopped, TemporaryError
from anabranch.uploads.stores.base import BusyError, ChecksumRefusedError, Stop

PATIENCE = 120.0  # seconds in which nothing that is sent to a destination succeeds
FIRST_WAIT, LONGEST_WAIT = 0.5, 20.0  # seconds; doubled each time, and from half to all of it is waited
RESENT = 2  # times that a part is read and sent again since its checksum was refused
SKEWED = 3  # times that a request is signed again since the clocks differ
_LOOK = 0.25  # seconds between looks at a request to stop
_KEPT = 64

T = TypeVar("T")


class Health:
    """How long a destination has answered nothing but faults, as all threads of this process have seen it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failing_since: float | None = None

    def succeeded(self) -> None:
        """Note an answer that was no fault."""
        with self._lock:
            self._failing_since = None

    def failed(self) -> float:
        """Note a fault; return for how many seconds there has been nothing else."""
        with self._lock:
            now = time.monotonic()
            self._failing_since = self._failing_since if self._failing_since is not None else now
            return now - self._failing_since


_healths: OrderedDict[str, Health] = OrderedDict()
_lock = threading.Lock()


def health_of(run: str) -> Health:
    """Return the health of one run's destination: every part of the run in this process shares it."""
    with _lock:
        health = _healths.setdefault(run, Health())
        _healths.move_to_end(run)
        while len(_healths) > _KEPT:
            _healths.popitem(last=False)
        return health


def retried(send: Callable[[], T], health: Health, stop: Stop = lambda: False) -> T:
    """Call `send` until it succeeds or fails for good; each call starts again.

    Raises TemporaryError "destination-away" when nothing has succeeded for PATIENCE seconds, SetupError
    "clock-skew" where the clocks stay different, AnabranchError "upload-damaged" where a checksum is refused each time.
    """
    wait, refused, skewed = FIRST_WAIT, 0, 0
    while True:
        if stop():
            raise Stopped
        try:
            found = send()
        except ChecksumRefusedError as error:
            refused += 1
            if refused > RESENT:
                raise _damaged(error) from error
        except BusyError as error:
            skewed += bool(error.clocks)
            if skewed >= SKEWED:
                raise _skewed(error) from error
            if health.failed() >= PATIENCE:
                raise _away(error) from error
            _pause(max(wait * random.uniform(0.5, 1), error.after), stop)  # noqa: S311  no secret
            wait = min(wait * 2, LONGEST_WAIT)
        else:
            health.succeeded()
            return found


def _pause(seconds: float, stop: Stop) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not stop():
        time.sleep(min(left, _LOOK))


def _away(error: BusyError) -> TemporaryError:
    return TemporaryError(
        "destination-away",
        f"nothing that was sent has succeeded for {PATIENCE:.0f} seconds; last, {error.reason}",
        "Run the same command again when the destination answers: it resumes.",
    )


def _skewed(error: BusyError) -> SetupError:
    return SetupError("clock-skew", error.clocks, "Set the clock of this machine, and run the same command again.")


def _damaged(error: ChecksumRefusedError) -> AnabranchError:
    return AnabranchError(
        "upload-damaged",
        f"sent {RESENT + 1} times, the bytes never arrived as they were sent: {error.reason}",
        "Check whether a proxy, a network card or memory damages data.",
        error.part,
    )
