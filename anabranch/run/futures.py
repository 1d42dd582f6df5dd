"""Prefect futures that fetch their final state as soon as Dask has it, and let Dask forget the task.

A task that Dask still remembers runs again when the worker that holds its result dies.
"""

import threading
from collections.abc import Callable
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, TypeVar
from uuid import UUID

import distributed
from dask.typing import Key
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Crashed
from prefect_dask.task_runners import PrefectDaskFuture

from anabranch.core.errors import TemporaryError
from anabranch.run.crashes import Origin
from anabranch.run.payload import pack_state, unpack_state
from anabranch.run.telling import END_SECONDS

R = TypeVar("R")


class WarmFuture(PrefectDaskFuture[R]):
    """Wait on an event of its own: releasing a Dask future while a thread waits for it is an error."""

    def __init__(self, task_run_id: UUID, wrapped_future: distributed.Future[bytes], origin: Origin) -> None:
        super().__init__(task_run_id=task_run_id, wrapped_future=wrapped_future)
        self.origin = origin
        self._settled, self._lock = threading.Event(), threading.Lock()
        self._callbacks: list[Callable[[PrefectFuture[R]], None]] = []

    def dependency(self) -> bytes | distributed.Future[bytes]:
        """Return what a later task waits for: the packed state, or a second handle that outlives our release."""
        with self._lock:
            if self._final_state:
                return pack_state(self._final_state)
            return distributed.Future(self._wrapped_future.key, client=self._wrapped_future.client)

    def settle(self, state: State[R]) -> bool:
        """Store the final state, release the Dask future, call the callbacks; return false if it was known."""
        with self._lock:
            if self._final_state:
                return False
            self._final_state = state
            self._wrapped_future.release()
            self._settled.set()
        for callback in self._callbacks:
            callback(self)
        return True

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the final state, at most `timeout` seconds."""
        self._settled.wait(timeout)

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:
        """Return the task's result; raise its exception, or TimeoutError after `timeout` seconds."""
        if not self._settled.wait(timeout):
            raise TimeoutError(f"Task run {self.task_run_id} did not complete within {timeout} seconds")
        return super().result(raise_on_failure=raise_on_failure)

    def add_done_callback(self, fn: Callable[[PrefectFuture[R]], None]) -> None:
        """Call `fn` with this future once its state is final: at once, or in the collector's thread."""
        with self._lock:
            if not self._final_state:
                self._callbacks.append(fn)
                return
        fn(self)


class Collector:
    """Fetch the final state of every future that it watches, in its own thread.

    All futures wait in Dask's event loop, where Dask merges their requests; unpickling and callbacks stay out
    of that loop.
    """

    def __init__(self, client: distributed.Client) -> None:
        self._client = client
        self._open: dict[WarmFuture[Any], None] = {}  # in order of submission
        self._arrived: SimpleQueue[tuple[WarmFuture[Any], bytes | BaseException] | None] = SimpleQueue()
        # the context of the flow: its settings and its API client
        self._thread = threading.Thread(target=copy_context().run, args=(self._collect,), name="collector", daemon=True)
        self._thread.start()

    def watch(self, future: WarmFuture[Any]) -> None:
        """Settle this future as soon as its task has ended."""
        self._open[future] = None
        self._client.loop.add_callback(self._fetch, future)  # type: ignore[union-attr]  # a started client has one

    def close(self, state: State[Any]) -> list[Key]:
        """Settle the open futures with `state`, end the thread, and return the Dask keys of these futures."""
        # last first: otherwise the slot of a stopped task would go to a waiting one that is dropped next
        still_open = reversed(tuple(self._open))
        dropped = [future.wrapped_future.key for future in still_open if future.settle(state)]
        self._arrived.put(None)
        self._thread.join(END_SECONDS)  # it may be telling the server of a crash
        return dropped

    async def _fetch(self, future: WarmFuture[Any]) -> None:
        try:
            self._arrived.put((future, await future.wrapped_future))
        except BaseException as error:  # noqa: BLE001  a lost connection is a CancelledError
            self._arrived.put((future, error))

    def _collect(self) -> None:
        while arrived := self._arrived.get():
            future, outcome = arrived
            state, crashed = _final_state(outcome)
            if future.settle(state) and crashed:
                future.origin.report(future.task_run_id, state)
            self._open.pop(future, None)


def _final_state(outcome: bytes | BaseException) -> tuple[State[Any], bool]:
    """Return the state, and whether it was created here, so that Prefect does not know it yet."""
    try:
        if isinstance(outcome, bytes):
            return unpack_state(outcome), False
        error = outcome
    except Exception as unreadable:  # noqa: BLE001  unpickling runs any code
        error = unreadable
    reason = f"{type(error).__name__}: {error}"
    lost = getattr(error, "reason", "") == "scheduler-connection-lost"
    return Crashed(message=reason, data=_cluster_lost() if lost else RuntimeError(reason)), True


def _cluster_lost() -> TemporaryError:
    return TemporaryError(
        "cluster-lost",
        "the connection to the Dask scheduler was lost during the run",
        "Make sure that it runs, and run the same command again; what is done is kept.",
    )
