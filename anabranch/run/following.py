"""Keep the status of a run that counts its files up to date, in a thread, so that it goes on while the run waits."""

import json
import os
import platform
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from prefect.context import FlowRunContext
from prefect.exceptions import TerminationSignal

from anabranch.core.errors import Stopped
from anabranch.core.storage import published, touch
from anabranch.core.tally import Tally
from anabranch.run.background import Program
from anabranch.run.status import BEAT_SECONDS, FOLDER, RUNNING, counted, now, stop_counting

WRITE_EVERY = 1.0  # seconds; it is written no more often, and only when it has changed

Facts = Callable[[], Mapping[str, Any]]


class _Follower:
    """Writes the status of one run, from its start to its end."""

    def __init__(self, tally: Tally, folder: Path, facts: Facts, memory: Callable[[], float] | None) -> None:
        context = FlowRunContext.get()
        run = context.flow_run if context else None
        this = Program.this("")
        self.tally, self._facts, self._memory = tally, facts, memory
        self._about = {
            "run": str(run.id) if run else "",
            "name": run.name if run else "",
            "flow": context.flow.name if context and context.flow else "",
            "started": now(),
            "process": {"pid": this.pid, "started": this.started, "host": platform.node()},
        }
        self._path = folder / f"{run.id if run else os.getpid()}.json"
        self._last: dict[str, Any] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="status", daemon=True)
        self._write(RUNNING)
        self._thread.start()

    def end(self, state: str) -> None:
        """Write how the run ended."""
        if not self._over.is_set():
            self._over.set()
            self._thread.join()
            self._write(state)

    def _go_on(self) -> None:
        unchanged = 0.0
        self._look()
        while not self._over.wait(WRITE_EVERY):
            self._look()
            unchanged = 0.0 if self._write(RUNNING) else unchanged + WRITE_EVERY
            if unchanged >= BEAT_SECONDS:
                unchanged = 0.0
                touch(self._path)

    def _look(self) -> None:
        if self._memory:
            with suppress(OSError):
                self.tally.note_memory(self._memory())

    def _write(self, state: str) -> bool:
        """Write the status if it has changed; a full disk must not end the run."""
        found = {**self._about, "state": state, **counted(self.tally)}
        if state != RUNNING:
            stop_counting(found)
        if found == self._last:
            return False
        self._last = found
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with published(self._path, durable=False) as file:
                file.write(json.dumps({**found, **self._facts(), "updated": now()}).encode())
        return True


_follower: ContextVar[list[_Follower] | None] = ContextVar("follower", default=None)


def follow(tally: Tally, work_dir: Path, facts: Facts = dict, memory: Callable[[], float] | None = None) -> None:
    """Keep the status of this flow run up to date until it ends, with what `facts` returns beside the figures.

    The tally notes once a second what `memory` returns: the percent of the memory in use. Nothing secret may be in it:
    everyone who may read the work folder can read it.
    """
    if (followed := _follower.get()) is not None:
        followed.append(_Follower(tally, work_dir / FOLDER, facts, memory))


def followed() -> Tally | None:
    """Return the figures of this flow run, if it counts its files."""
    return follower[0].tally if (follower := _follower.get()) else None


@contextmanager
def following() -> Iterator[Callable[[str], None]]:
    """Within the block, which is a flow run, `follow` works; yield what notes the state that the run ended in."""
    followers: list[_Follower] = []
    token = _follower.set(followers)

    def end(state: str) -> None:
        for each in followers:
            each.end(state)

    try:
        yield end
    except (Stopped, KeyboardInterrupt, TerminationSignal):
        end("cancelled")
        raise
    finally:
        end("failed")  # unless it has ended
        _follower.reset(token)
