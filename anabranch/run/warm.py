"""What a Dask worker runs: one task under Prefect's engine, with settings and an API client that stay warm.

Prefect would read all settings and build two API clients for each task, which takes about 100 ms. Here every worker
process reads the settings once, every worker thread builds its client once per flow run, and each task runs in a copy
of that context, so that nothing it sets reaches the next task.
"""

import asyncio
import contextvars
import pickle
import threading
from collections import OrderedDict
from functools import lru_cache
from typing import Any

from prefect.client.schemas.objects import State
from prefect.context import SettingsContext, SyncClientContext
from prefect.task_engine import run_task_async, run_task_sync
from prefect.tasks import Task

from anabranch.run.joining import require_fit
from anabranch.run.payload import pack_state, unpack_call
from anabranch.run.stopping import mark_part

WARM_RUNS = 4  # flow runs that one thread of a shared cluster keeps warm

_thread = threading.local()
_reading = threading.Lock()  # two threads reading the same settings would take twice as long


def run_task(flow_run: bytes, task: bytes, call: bytes, upstream: list[bytes], needs: bytes = b"") -> bytes:
    """Run one task and return its final state, packed; raise RuntimeError if no engine could report the outcome.

    No other error is raised, since Dask would exit on SystemExit and cannot transport every class. `needs` is what this
    worker must have, see `joining`.
    """
    try:
        if needs:
            require_fit(needs)
        warm = _warm_run(flow_run)
        return warm.context.copy().run(_run, warm.flow_run, _unpickled(task), call, upstream)
    except BaseException as error:  # noqa: BLE001
        raise RuntimeError(f"{type(error).__name__}: {error}") from None


class WarmRun:
    """Settings and an open API client for one flow run, entered once per worker thread."""

    def __init__(self, flow_run: bytes) -> None:
        self.flow_run: dict[str, Any] = pickle.loads(flow_run)  # noqa: S301  from our own flow
        with _reading:
            read = _settings(self.flow_run.pop("settings_context"))
        self.context = contextvars.copy_context()
        self.context.run(SettingsContext(profile=read.profile, settings=read.settings).__enter__)
        self._client = self.context.run(SyncClientContext)
        self.context.run(self._client.__enter__)

    def __del__(self) -> None:
        # when the thread ends or keeps other runs; objects of the run may still hold the client
        if client := self.__dict__.get("_client"):  # not if its settings could not be read
            self.context.run(client.__exit__, None, None, None)


@lru_cache(maxsize=WARM_RUNS)
def _settings(packed: bytes) -> SettingsContext:
    return SettingsContext(**pickle.loads(packed))  # noqa: S301  from our own flow


def _warm_run(flow_run: bytes) -> WarmRun:
    kept: OrderedDict[bytes, WarmRun] = _thread.__dict__.setdefault("kept", OrderedDict())
    if flow_run not in kept:
        kept[flow_run] = WarmRun(flow_run)
    kept.move_to_end(flow_run)
    if len(kept) > WARM_RUNS:
        kept.popitem(last=False)
    return kept[flow_run]


@lru_cache(maxsize=64)
def _unpickled(task: bytes) -> Task[Any, Any]:
    return pickle.loads(task)  # type: ignore[no-any-return]  # noqa: S301  # pickle knows no types


def _run(flow_run: dict[str, Any], task: Task[Any, Any], call: bytes, upstream: list[bytes]) -> bytes:
    mark_part()
    own_context, arguments = unpack_call(call, upstream)
    context = {**flow_run, **own_context}
    state: State[Any]
    if task.isasync:
        state = asyncio.run(run_task_async(task=task, context=context, return_type="state", **arguments))  # type: ignore[arg-type]  # a state, as asked
    else:
        state = run_task_sync(task=task, context=context, return_type="state", **arguments)  # type: ignore[assignment]
    return pack_state(state)
