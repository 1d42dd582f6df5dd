"""How far a run is with each of its files: bytes and parts, how fast, and how long it may still take."""

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice

WAITING, ACTIVE, FAILED = "waiting", "active", "failed"  # any other state is the one that a file ended in
NOTED_EVERY = 1.0  # seconds between two notes of how far a part in flight is
MOST_STEPS = 120  # of time, for which the speed is known
_FIRST_STEP = 0.125  # seconds; doubled whenever the run outlasts all steps
_SUMMED = ("parts", "done", "failed", "bytes_done", "bytes_moved", "bytes_moving", "bytes_given_up")


@dataclass(slots=True)
class FileProgress:
    """One file, or all of them together."""

    name: str
    size: int = 0  # bytes
    state: str = WAITING
    parts: int = 0
    done: int = 0  # parts
    failed: int = 0  # parts
    bytes_done: int = 0  # those that need no more work
    bytes_moved: int = 0  # of them, those that this run moved
    bytes_moving: int = 0  # of parts that are not done yet
    bytes_given_up: int = 0  # since the file failed
    began: float | None = None
    seconds: float = 0.0  # since it began, until it ended

    @property
    def bytes_so_far(self) -> int:
        """The bytes that are done, and those of parts in flight."""
        return min(self.bytes_done + self.bytes_moving, self.size)

    @property
    def fraction(self) -> float:
        """The share of its bytes so far, 0 to 1."""
        if not self.size:
            return float(self.state not in (WAITING, ACTIVE))
        return self.bytes_so_far / self.size

    @property
    def bytes_per_second(self) -> float:
        """How fast its bytes were moved, since it began."""
        return (self.bytes_moved + self.bytes_moving) / self.seconds if self.seconds else 0.0

    @property
    def parts_per_second(self) -> float:
        """How many of its parts were done each second, since it began."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """How long it will take if it goes on like this; None where that is not known."""
        if self.state != ACTIVE or not self.bytes_per_second:
            return None
        return (self.size - self.bytes_so_far - self.bytes_given_up) / self.bytes_per_second


class Tally:
    """Count bytes and parts of each file and of all; may be read while another thread counts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._files: dict[str, FileProgress] = {}
        self._by_state: dict[str, dict[str, FileProgress]] = {ACTIVE: {}, FAILED: {}, WAITING: {}}
        self._all = FileProgress("all")
        self._moving: dict[str, dict[int, tuple[int, float]]] = {}  # bytes of parts in flight, and when they were noted
        self._over: dict[str, set[int]] = {}  # the parts that are done or failed, by file
        self._start = clock()
        self._step, self._steps = _FIRST_STEP, [0.0]
        self._memory: list[tuple[float, float]] = []

    def expect(self, key: str, name: str, size: int) -> None:
        """Note a file of that many bytes."""
        with self._lock:
            self._files[key] = self._by_state[WAITING][key] = FileProgress(name, size)
            self._all.size += size

    def begin(self, key: str, parts: int) -> None:
        """Note that work on a file begins, in so many parts; what was counted of it before does not count any more."""
        with self._lock, self._changed(key) as file:
            file.state, file.parts, file.began = ACTIVE, parts, self._clock()
            file.done = file.failed = file.bytes_done = file.bytes_moved = file.bytes_given_up = 0
            self._moving.pop(key, None)
            self._over[key] = set()
            if self._all.began is None:
                self._all.state, self._all.began = ACTIVE, file.began

    def moving(self, key: str, part: int, size: int) -> None:
        """Note how many bytes of a part in flight this run has moved so far; about once a second."""
        with self._lock, self._changed(key) as file:
            if file.state == ACTIVE and part not in self._over[key]:  # which a late note would count twice
                self._moved(file, key, part, size)

    def add(self, key: str, part: int, size: int, moved: int) -> None:
        """Count a part that is done, once: its bytes, and how many of them this run moved."""
        with self._lock, self._changed(key) as file:
            if part in self._over.get(key, ()):
                return
            self._moved(file, key, part, moved)
            del self._moving[key][part]
            self._over.setdefault(key, set()).add(part)
            file.done += 1
            file.bytes_done += size
            file.bytes_moved += moved

    def fail(self, key: str, part: int) -> None:
        """Count a part that failed, unless it was done before."""
        with self._lock, self._changed(key) as file:
            if part in self._over.get(key, ()):
                return
            self._moving.get(key, {}).pop(part, None)
            self._over.setdefault(key, set()).add(part)
            file.failed += 1

    def end(self, key: str, state: str) -> None:
        """Note what became of a file: either all its bytes are done now, or the rest is given up."""
        with self._lock, self._changed(key) as file:
            self._moving.pop(key, None)
            self._over.pop(key, None)
            if file.began is not None:
                file.seconds = self._clock() - file.began
            file.state = state
            if state == FAILED:
                file.bytes_given_up = file.size - file.bytes_done
            else:
                file.bytes_done = file.size

    @contextmanager
    def _changed(self, key: str) -> Iterator[FileProgress]:
        """Carry what changes of one file over to all."""
        file = self._files[key]
        before = replace(file)
        yield file
        if file.state != before.state:
            del self._by_state[before.state][key]
            self._by_state.setdefault(file.state, {})[key] = file
        file.bytes_moving = sum(size for size, _ in self._moving.get(key, {}).values())
        for name in _SUMMED:
            setattr(self._all, name, getattr(self._all, name) + getattr(file, name) - getattr(before, name))

    def _moved(self, file: FileProgress, key: str, part: int, size: int) -> None:
        """Note what was moved of a part, evenly since it was last noted; the last second where it never was."""
        now = self._clock()
        known, since = self._moving.setdefault(key, {}).get(
            part, (0, max(now - NOTED_EVERY, file.began or self._start))
        )
        self._moving[key][part] = (size, now)
        self._spread(max(size - known, 0), since - self._start, now - self._start)

    def _spread(self, moved: int, since: float, until: float) -> None:
        while until / self._step >= MOST_STEPS:
            self._step *= 2
            self._memory = self._memory[::2]
            pairs = [*self._steps, 0.0][: len(self._steps) + len(self._steps) % 2]
            self._steps = [first + second for first, second in zip(pairs[::2], pairs[1::2], strict=True)]
        last = int(until / self._step)
        self._steps += [0.0] * (last + 1 - len(self._steps))
        if until <= since:
            self._steps[last] += moved
            return
        for index in range(int(since / self._step), last + 1):
            shared = min(until, (index + 1) * self._step) - max(since, index * self._step)
            self._steps[index] += moved * shared / (until - since)

    @property
    def all(self) -> FileProgress:
        """All files together, as they are now."""
        with self._lock:
            return self._now(self._all)

    def files(self, most: int, states: Collection[str] = ()) -> list[FileProgress]:
        """Return some files as they are now: under way, failed, waiting, ended; or only those in these states."""
        with self._lock:
            wanted = (files.values() for state, files in self._by_state.items() if not states or state in states)
            return [self._now(file) for file in islice(chain.from_iterable(wanted), most)]

    def counts(self) -> dict[str, int]:
        """Return how many files are in each state."""
        with self._lock:
            return {state: len(files) for state, files in self._by_state.items()}

    def speeds(self) -> tuple[float, list[float]]:
        """Return the seconds of one step of time, and the bytes per second in each step since the run began."""
        with self._lock:
            return self._step, [moved / self._step for moved in self._steps]

    def note_memory(self, percent: float) -> None:
        """Note how much of the memory is in use now."""
        with self._lock:
            since = self._clock() - self._start
            if not self._memory or since - self._memory[-1][0] >= self._step:
                self._memory.append((since, percent))

    def memory(self) -> list[tuple[float, float]]:
        """Return the seconds since the run began, and the percent of the memory in use then."""
        with self._lock:
            return list(self._memory)

    def _now(self, file: FileProgress) -> FileProgress:
        found = replace(file)
        if found.state == ACTIVE and found.began is not None:
            found.seconds = self._clock() - found.began
        return found
