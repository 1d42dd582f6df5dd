"""How many pieces one process sends at the same time: a fixed number, or one that follows what is measured."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from anabranch.uploads.memory import used_percent
from anabranch.uploads.pieces import SendPart
from anabranch.uploads.stores.base import BusyError

STEP = 2  # by which the number grows, once doubling it did not pay or the store was overloaded
WORTH = 0.2  # share of a rise in proportion to the number, below which growing did not pay
REST = 5  # rounds until it is tried again
ROUND_SECONDS = 0.25  # that a round takes at least: some small files are too few to judge by
_PER_PIECE = 64 << 10  # bytes that a request counts for besides its own
_KEPT = 16  # runs whose number one process remembers


@dataclass(slots=True)
class Turn:
    """A piece that was sent: the number in flight at most, and its seconds once it has ended."""

    in_flight: int
    seconds: float = 0.0


class Concurrency:
    """Lets that many pieces be sent at the same time, and a quarter more be read and summed.

    Between `first` and `most` the number follows the throughput, round by round: a round is as many pieces as are in
    flight. It doubles while that pays, and later grows by STEP (additive increase); it halves when the store says that
    it is overloaded (multiplicative decrease), once for all pieces that were in flight then. While `has_memory` returns
    False, it does not grow.
    """

    def __init__(
        self,
        first: int,
        most: int,
        has_memory: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit, self._most, self._has_memory, self._clock = first, most, has_memory, clock
        self._adapts = first < most
        self._changed = threading.Condition()
        self._reading = self._sending = 0
        self._doubles, self._resting = True, 0
        self._before: tuple[int, float] | None = None  # the last number that paid, and the throughput with it
        self._era: object = None  # another whenever the number changes
        self._new_round()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Wait for a turn to read a piece; hold it inside the block, in which the piece is sent too."""
        with self._changed:
            self._changed.wait_for(lambda: self._reading < self.limit + -(-self.limit // 4))
            self._reading += 1
        try:
            yield
        finally:
            with self._changed:
                self._reading -= 1
                self._changed.notify_all()

    @contextmanager
    def sending(self, size: int) -> Iterator[Turn]:
        """Wait for a turn to send a piece of that many bytes; hold it inside the block, and time it."""
        with self._changed:
            self._changed.wait_for(lambda: self._sending < self.limit)
            self._sending += 1
            self._full |= self._sending >= self.limit
            start, turn, era = self._clock(), Turn(self.limit), self._era
        try:
            yield turn
        except BusyError as error:
            if error.overloaded:
                self._shrink(era)
            raise
        else:
            turn.seconds = self._clock() - start
            self._measured(size, turn.seconds, era)
        finally:
            with self._changed:
                self._sending -= 1
                self._changed.notify_all()

    def _shrink(self, era: object) -> None:
        with self._changed:
            if self._adapts and era is self._era:
                self._doubles, self._before = False, None
                self._set(max(self.limit // 2, 1))

    def _measured(self, size: int, seconds: float, era: object) -> None:
        with self._changed:
            if not self._adapts or era is not self._era:  # most of it was sent beside more, or fewer, others
                return
            self._pieces += 1
            self._work += size + _PER_PIECE
            self._seconds += seconds
            if self._pieces >= self.limit and self._clock() - self._began >= ROUND_SECONDS:
                self._decide(self._work / max(self._seconds, 1e-9) * self.limit)

    def _decide(self, rate: float) -> None:
        """Choose the number of the next round from the throughput of this one, if so many were in flight at all."""
        before, full = self._before, self._full
        self._new_round()
        if before and self.limit > before[0] and rate < before[1] * (1 + WORTH * (self.limit / before[0] - 1)):
            self._doubles, self._resting = False, REST
            self._set(before[0])
        elif full:
            self._before = self.limit, rate
            if self._resting:
                self._resting -= 1
            elif self.limit < self._most and self._has_memory():
                self._set(min(self.limit * 2 if self._doubles else self.limit + STEP, self._most))

    def _set(self, limit: int) -> None:
        self.limit, self._era = limit, object()
        self._new_round()
        self._changed.notify_all()

    def _new_round(self) -> None:
        self._began, self._full = self._clock(), False
        self._pieces, self._work, self._seconds = 0, 0, 0.0


_all: OrderedDict[str, Concurrency] = OrderedDict()
_lock = threading.Lock()


def concurrency_of(part: SendPart) -> Concurrency:
    """Return that of the part's run, which all its parts in this process share."""
    with _lock:
        if part.run not in _all:
            _all[part.run] = Concurrency(
                part.in_flight, part.most_in_flight, lambda: used_percent() <= part.max_memory_percent
            )
        while len(_all) > _KEPT:
            _all.popitem(last=False)
        return _all[part.run]
