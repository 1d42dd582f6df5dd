"""Let files begin one after another: when memory, the locks of their ledgers and the limits of all runs allow it."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Protocol, Self

from anabranch.core.errors import AnabranchError, Stopped, TemporaryError
from anabranch.uploads.beginning import begin
from anabranch.uploads.context import Context
from anabranch.uploads.memory import used_percent
from anabranch.uploads.plan import Opened, Unit
from anabranch.uploads.stores.base import Stop

MOST_UNITS = 20  # under way at the same time, where places are not limited
MEMORY_SECONDS = 600  # to wait for memory
_LOOK = 0.25  # seconds between two looks at a request to stop


class Slots(Protocol):
    """Grants places for uploads."""

    def take(self, stop: Stop) -> AbstractContextManager[None]:
        """Hold a place inside the block, after waiting for one; Stopped when `stop` says so."""


class Unlimited:
    """Grant every place: for runs without shared limits."""

    @contextmanager
    def take(self, stop: Stop) -> Iterator[None]:  # noqa: ARG002  as the others take it
        """Wait for nothing."""
        yield


@dataclass(eq=False, slots=True)
class Admitted:
    """A unit that holds a place: `begun` is what became of the upload of a big file."""

    unit: Unit
    held: ExitStack = field(repr=False)
    begun: Opened | str | AnabranchError | None = None


class Admission:
    """Admit the units one after another, in a thread of its own, while others are sent.

    What is under way waits for nothing, and what waits holds only the locks of one unit, taken in the same order by all
    runs, and perhaps a place of its user; so no run waits for ever.
    """

    def __init__(self, context: Context, units: Sequence[Unit], slots: Slots, note: Callable[[str], object]) -> None:
        self._context, self._units, self._slots, self._note = context, units, slots, note
        self._room = threading.Semaphore(1 if context.options.mode == "sequential" else MOST_UNITS)
        self._ready: SimpleQueue[Admitted | BaseException | None] = SimpleQueue()
        self._over = threading.Event()
        self._thread = threading.Thread(target=copy_context().run, args=(self._admit,), name="admission", daemon=True)
        self.active: dict[int, Admitted] = {}  # by their identity: those that hold a place
        self.ended = False  # whether no more will be admitted
        self.error: BaseException | None = None  # for which no more were admitted

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        for admitted in tuple(self.active.values()):
            self.release(admitted)

    def close(self) -> None:
        """Admit no more."""
        self._over.set()
        self._thread.join()

    def next(self, seconds: float) -> Admitted | None:
        """Return a unit that was admitted; None where none is, for that many seconds, or no more will be."""
        if self.ended:
            return None
        try:
            found = self._ready.get(timeout=seconds) if seconds else self._ready.get_nowait()
        except Empty:
            return None
        if isinstance(found, Admitted):
            return found
        self.ended, self.error = True, found
        return None

    def release(self, admitted: Admitted) -> None:
        """Give back a unit's place and locks."""
        del self.active[id(admitted)]
        admitted.held.close()

    def _stop(self) -> bool:
        return self._over.is_set() or self._context.stop()

    def _admit(self) -> None:
        try:
            for unit in self._units:
                with ExitStack() as held:
                    self._await_room(held)
                    self._await_memory()
                    self._take(unit, held)
                    admitted = Admitted(unit, held.pop_all())
                self.active[id(admitted)] = admitted
                admitted.begun = self.begun(unit) if unit.is_big else None
                self._ready.put(admitted)
            self._ready.put(None)
        except BaseException as error:  # noqa: BLE001  raised in the thread that maps
            self._ready.put(error)

    def _await_room(self, held: ExitStack) -> None:
        while not self._room.acquire(timeout=_LOOK):
            if self._stop():
                raise Stopped
        held.callback(self._room.release)

    def _await_memory(self) -> None:
        """Begin no further file while more of the memory is in use than the run may see."""
        most, end = self._context.options.max_memory_percent, time.monotonic() + MEMORY_SECONDS
        while (used := used_percent()) > most:
            if time.monotonic() > end:
                raise TemporaryError(
                    "memory-short",
                    f"{used:.0f}% of the memory is in use, and no file is started above {most:.0f}%",
                    "Free some, or choose another --max-memory, and run the same command again.",
                )
            self._note(f"Files waited for memory: more than {most:.0f}% was in use.")
            if self._over.wait(_LOOK) or self._stop():
                raise Stopped

    def _take(self, unit: Unit, held: ExitStack) -> None:
        """Take the locks of the unit's files, and then its place."""
        locked = unit.files if unit.is_big or self._context.store.in_order else ()
        for file in sorted(locked, key=lambda file: file.key):
            held.enter_context(self._context.ledger(file).locked(self._stop))
        held.enter_context(self._slots.take(self._stop))

    def begun(self, unit: Unit) -> Opened | str | AnabranchError:
        """Begin a big file's upload; return why it is not sent, or the error, where it cannot be."""
        try:
            return begin(self._context, unit)
        except AnabranchError as error:
            return error
