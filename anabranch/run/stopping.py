"""How a part learns, between two items, that its result is no longer wanted.

A runner that closes releases its Dask futures; a flow process that dies loses its connection, with the same effect.
Dask then marks the running tasks as cancelled in the memory of their worker, on every kind of cluster, so a check
needs no network.
"""

import threading
import time
from collections.abc import Collection
from contextvars import ContextVar

from dask.typing import Key
from distributed import Client, Worker, get_worker

_POLL_SECONDS = 0.1

_part: ContextVar[tuple[Worker, Key] | None] = ContextVar("part", default=None)


def stop_requested() -> bool:
    """Whether to stop: true once the calling part is no longer wanted; false outside any worker.

    Works in the part's own thread and in a copy of its context, such as that of asyncio.to_thread.
    """
    part = _part.get()
    if part is None:
        return False
    worker, key = part
    task = worker.state.tasks.get(key)
    return task is None or task.state == "cancelled"


def current_worker() -> Worker | None:
    """Return the worker that does the calling part; none outside any worker."""
    part = _part.get()
    return part[0] if part else None


def mark_part() -> None:
    """Note, on a worker, which Dask task this context belongs to."""
    worker = get_worker()
    _part.set((worker, worker.get_current_task()))


def wait_until_stopped(client: Client, keys: Collection[Key], seconds: float) -> None:
    """Wait until no worker runs a task with one of these keys, but at most that long."""
    # in a separate thread: a call to a worker that no longer answers would never return
    watcher = threading.Thread(target=_watch, args=(client, frozenset(keys), time.monotonic() + seconds), daemon=True)
    watcher.start()
    watcher.join(seconds)


def _watch(client: Client, keys: frozenset[Key], deadline: float) -> None:
    while client.status == "running" and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)  # first, since the release of the keys is still on its way to the workers
        running = client.run(_running_keys, on_error="ignore")
        if keys.isdisjoint(key for some in running.values() for key in some):
            return


def _running_keys(dask_worker: Worker) -> list[Key]:
    return list(dask_worker.active_threads.values())
