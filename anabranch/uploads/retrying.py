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
TRIPS = 5  # faults in a row, after which a destination is left in peace for a while
RESENT = 2  # times that a part is read and sent again since its checksum was refused
SKEWED = 3  # times that a request is signed again since the clocks differ
_LOOK = 0.25  # seconds between looks at a request to stop
_KEPT = 64

T = TypeVar("T")


class Health:
    """What a destination has answered lately, as all threads of this process have seen it: a circuit breaker.

    closed     everything is sent; TRIPS faults in a row open it
    open       nothing is sent for a while: longer each time, and at least as long as the destination asks
    half-open  one call is let through: if it succeeds everything is sent again, else nothing for another while

    When nothing has succeeded for PATIENCE seconds, it stays open, and each further call ends at once.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._faults, self._wait, self._open_until = 0, FIRST_WAIT, 0.0
        self._failing_since: float | None = None
        self._probing = False  # whether the one call is under way
        self._last: BusyError | None = None  # the fault after which it stays open

    def admit(self, stop: Stop) -> bool:
        """Wait until a call may be made; return whether it is the one that is let through.

        Raises Stopped, and TemporaryError "destination-away".
        """
        with self._changed:
            while not stop():
                if self._last:
                    raise _away(self._last)
                if self._faults < TRIPS:
                    return False
                left = self._open_until - time.monotonic()
                if left <= 0 and not self._probing:
                    self._probing = True
                    return True
                self._changed.wait(min(left, _LOOK) if left > 0 else _LOOK)
        raise Stopped

    def succeeded(self) -> None:
        """Note an answer that was no fault."""
        with self._changed:
            self._faults, self._wait, self._failing_since, self._probing = 0, FIRST_WAIT, None, False
            self._changed.notify_all()

    def failed(self, error: BusyError, *, probe: bool) -> bool:
        """Note a fault; return whether nothing is sent for now.

        Raises TemporaryError "destination-away" where nothing has succeeded for PATIENCE seconds.
        """
        with self._changed:
            now = time.monotonic()
            self._failing_since = now if self._failing_since is None else self._failing_since
            self._faults += 1
            if probe or self._faults == TRIPS:  # the others were under way when it opened
                self._open_until = now + _drawn(self._wait, error)
                self._wait = min(self._wait * 2, LONGEST_WAIT)
            if now - self._failing_since >= PATIENCE:
                self._last = error
            self._ended(probe=probe)
            if self._last:
                raise _away(error) from error
            return self._faults >= TRIPS

    def left(self, *, probe: bool) -> None:
        """Note a call that ended without an answer to judge by."""
        with self._changed:
            self._ended(probe=probe)

    def _ended(self, *, probe: bool) -> None:
        self._probing &= not probe
        self._changed.notify_all()


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
        probe = health.admit(stop)
        try:
            found = send()
        except ChecksumRefusedError as error:
            health.succeeded()
            refused += 1
            if refused > RESENT:
                raise _damaged(error) from error
        except BusyError as error:
            is_open = health.failed(error, probe=probe)
            skewed += bool(error.clocks)
            if skewed >= SKEWED:
                raise _skewed(error) from error
            if not is_open:
                _pause(_drawn(wait, error), stop)
                wait = min(wait * 2, LONGEST_WAIT)
        except BaseException:
            health.left(probe=probe)
            raise
        else:
            health.succeeded()
            return found


def _drawn(wait: float, error: BusyError) -> float:
    """Return the seconds to wait: from half of `wait` to all of it, and at least as long as the destination asks."""
    return max(wait * random.uniform(0.5, 1), error.after)  # noqa: S311  no secret


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
