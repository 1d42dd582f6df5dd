"""Items that threads hand to each other, in lanes, bounded by their weight, until the lanes are closed."""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

RUN = 256  # items that are taken at once, so that locks are few
RECORD = 256  # bytes of a record besides its texts
ITEM = 64  # bytes of what is nested in a record, besides its texts
SHARE = 4  # and at most this part of the limit, so that others can go on meanwhile

Taken = Sequence[tuple[int, Any]]  # each item with its lane


class ClosedError(Exception):
    """The lanes are closed, and nothing is taken any more."""


class Lanes:
    """Items from several threads on their way to one, which takes lane after lane, or whatever is there.

    What lies here or was taken last weighs at most `limit` bytes, and one item per lane's thread. In order, the lane
    whose turn it is may always put an item, so that later lanes never block it.
    """

    def __init__(self, limit: int, threads: int, *, ordered: bool) -> None:
        self._limit, self._ordered = limit, ordered
        self._threads = threads  # that may still put something
        self._changed = threading.Condition()
        self._items: dict[int, deque[tuple[int, Any, int]]] = {}
        self._open: set[int] = set()
        self._count = 0  # lanes so far
        self._turn = 0  # the lane to take from
        self._used = self._taken = 0  # weight of all, and of what was taken last
        self._error: BaseException | None = None
        self.closed = False

    def begin(self) -> int:
        """Open the next lane, give its number."""
        with self._changed:
            lane, self._count = self._count, self._count + 1
            self._items.setdefault(self._place(lane), deque())
            self._open.add(lane)
            return lane

    def put(self, lane: int, item: Any, weight: int) -> None:
        """Append an item to a lane; wait while there is too much already. ClosedError where the lane is not open."""
        with self._changed:
            self._changed.wait_for(lambda: self.closed or lane not in self._open or self._has_room(lane, weight))
            if self.closed or lane not in self._open:
                raise ClosedError
            self._items[self._place(lane)].append((lane, item, weight))
            self._used += weight
            self._changed.notify_all()

    def end(self, lane: int) -> None:
        """Mark a lane as complete."""
        with self._changed:
            self._open.discard(lane)
            self._changed.notify_all()

    def leave(self) -> None:
        """Note that a thread will open no more lanes."""
        with self._changed:
            self._threads -= 1
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Close, and raise this error in the taking thread; only the first counts."""
        with self._changed:
            if not self.closed:
                self._error = error
            self.close()

    def close(self) -> None:
        """Wake everybody who waits, and drop what lies here."""
        with self._changed:
            self.closed = True
            self._items.clear()
            self._changed.notify_all()

    def take(self) -> Taken:
        """Wait for the next items; none at the end. Raises the error of `fail`, or ClosedError."""
        with self._changed:
            self._used, self._taken = self._used - self._taken, 0
            self._changed.notify_all()
            self._changed.wait_for(self._settled)
            if self._error:
                raise self._error
            if self.closed:
                raise ClosedError
            lane = self._items.get(self._turn)
            run: list[tuple[int, Any]] = []
            while lane and len(run) < RUN and (not run or self._taken * SHARE < self._limit):
                number, item, weight = lane.popleft()
                run.append((number, item))
                self._taken += weight
            return run

    def _place(self, lane: int) -> int:
        return lane if self._ordered else 0

    def _has_room(self, lane: int, weight: int) -> bool:
        first = self._ordered and lane == self._turn and not self._items[lane]
        return first or not self._used or self._used + weight <= self._limit

    def _settled(self) -> bool:
        """Whether there is something to take, or never will be; move on to the next lane if one is complete."""
        while not self.closed:
            if self._items.get(self._turn):
                return True
            if not self._ordered or self._turn >= self._count:
                return not self._threads and not self._open
            if self._turn in self._open:
                return False
            self._items.pop(self._turn, None)
            self._turn += 1
            self._changed.notify_all()  # its thread may put an item now
        return True


def weight_of(item: Any) -> int:
    """Return the bytes of a batch, or roughly those of a record with everything nested in it."""
    if hasattr(item, "nbytes"):
        return int(item.nbytes)
    return RECORD + sum(map(_weight, item.values() if isinstance(item, Mapping) else (item,)))


def _weight(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, Mapping | list | tuple):
        return ITEM * len(value) + sum(map(_weight, value.values() if isinstance(value, Mapping) else value))
    return 0
