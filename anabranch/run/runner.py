"""Where parts run: in this process, one process per core, or a cluster; with the Prefect task runner for all three."""

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from math import ceil
from typing import Any, Self
from uuid import UUID, uuid4

import cloudpickle
import dask
from dask._expr import LLGExpr
from dask._task_spec import Task as DaskTask
from dask._task_spec import parse_input
from prefect.client.schemas.objects import RunInput
from prefect.context import AssetContext, FlowRunContext, TagsContext, TaskRunContext, serialize_context
from prefect.exceptions import MissingContextError
from prefect.states import Cancelled
from prefect.task_runners import TaskRunner
from prefect.tasks import Task
from prefect.utilities.engine import collect_task_run_inputs_sync
from prefect_dask.client import PrefectDaskClient
from prefect_dask.task_runners import DaskTaskRunner

from anabranch.core.config import RunOptions, cluster_address, cores
from anabranch.core.parts import Plan
from anabranch.run.cluster import require_scheduler
from anabranch.run.crashes import Origin
from anabranch.run.futures import Collector, WarmFuture
from anabranch.run.payload import Unseen, pack_call
from anabranch.run.stopping import wait_until_stopped
from anabranch.run.travelling import travelling_settings, without_local_storage
from anabranch.run.warm import run_task

STOP_SECONDS = 10  # for parts in flight to reach their next item when the run stops
PROCESS_START_SECONDS = 3.7  # a small run takes that much longer on two processes: docs/decisions/0001

CLUSTER_SETTINGS = {
    # a part that kills its worker twice is the cause; Dask's default of 3 costs two more workers
    "distributed.scheduler.allowed-failures": 1,
    # by default a worker that is down 15 s after a death is given up, and without workers the tasks wait forever
    "distributed.deploy.lost-worker-timeout": "5 minutes",
    # no task queues on a worker after a running one: it would be blamed as well if that one kills the worker; `submit`
    # below sees to it that this holds for each task
    "distributed.scheduler.worker-saturation": 1.0,
}
"""Dask's settings for the clusters that we start; recommended for the scheduler of a permanent cluster as well."""


class WarmDaskTaskRunner(DaskTaskRunner):
    """Run tasks on Dask at a tenth of the stock runner's cost; decision 0001 explains how, and what else it fixes.

    Takes the arguments of DaskTaskRunner. Connects or starts its cluster at the first submitted task, and raises
    SetupError if it cannot. On leaving, drops what has not ended and waits for the parts in flight to stop.
    """

    workers: Sequence[str] | None = None  # those that get tasks, if not all
    needs = Unseen()  # what each worker is to look for before its first part

    def __enter__(self) -> Self:
        self._collector: Collector | None = None
        self._flow_run = b""
        self._packed_tasks: dict[int, tuple[Task[Any, Any], bytes]] = {}
        self._starting = threading.Lock()
        return super().__enter__()  # type: ignore[no-any-return, no-untyped-call]  # prefect_dask

    def __exit__(self, *error: object) -> None:
        if self._collector:
            dropped = self._collector.close(Cancelled(message="the run ended before this task"))
            if dropped:
                wait_until_stopped(self.client, dropped, STOP_SECONDS)
        super().__exit__(*error)

    @property
    def client(self) -> PrefectDaskClient:
        """The Dask client; the cluster is started or reached at the first access."""
        if self._client is None:
            # Prefect's root handlers would show Dask's INFO lines
            logging.getLogger("distributed").setLevel(logging.WARNING)
            if self.address:
                require_scheduler(self.address, self.client_kwargs.get("security"))
            else:
                # until the end, since Dask reads the timeout only when a worker is lost
                self._exit_stack.enter_context(dask.config.set(CLUSTER_SETTINGS))
            return super().client
        return self._client

    def submit(  # type: ignore[override]  # its type variables do not describe our futures
        self,
        task: Task[Any, Any],
        parameters: dict[str, Any],
        wait_for: Iterable[Any] | None = None,
        dependencies: dict[str, set[RunInput]] | None = None,
    ) -> WarmFuture[Any]:
        """Send one task to the cluster; return its future at once."""
        if not self._started:
            raise RuntimeError("The task runner must be started before submitting work.")
        collector = self._start()
        task_run_id = uuid4()
        inputs = {
            name: collect_task_run_inputs_sync(value) | (dependencies or {}).get(name, set())
            for name, value in parameters.items()
        }
        arguments = {
            "task_run_id": task_run_id,
            "parameters": parameters,
            "wait_for": wait_for,
            "dependencies": inputs,
        }
        call, upstream = pack_call((_own_context(task, task_run_id, inputs), arguments), WarmFuture)
        key = f"{task.name}-{task_run_id.hex}"
        sent = (self._flow_run, self._packed(task), call, parse_input(upstream), self.needs)
        # Not by submit: Prefect's wraps the task again, and with Dask's own the first tasks of a map, twice as many as
        # there are threads, wait behind others on a worker whatever the saturation is. A data producer never does.
        graph = LLGExpr({key: DaskTask(key, run_task, *sent, _data_producer=True)}, _determ_token=key)  # else a hash
        dask_future = self.client.get(  # type: ignore[no-untyped-call]
            graph,
            key,
            sync=False,
            workers=self.workers,
            fifo_timeout="100 ms",  # as submit has it: what came first runs first
        )
        future = WarmFuture[Any](task_run_id, dask_future, Origin.here(task))
        collector.watch(future)
        return future

    def _start(self) -> Collector:
        with self._starting:
            if self._collector is None:
                self._flow_run = Unseen(cloudpickle.dumps(_shared_context()))  # with the login of the server
                self._collector = Collector(self.client)
            return self._collector

    def _packed(self, task: Task[Any, Any]) -> bytes:
        # by identity; keeping the task ensures that its id is not reused
        if id(task) not in self._packed_tasks:
            self._packed_tasks[id(task)] = task, cloudpickle.dumps(task)
        return self._packed_tasks[id(task)][1]


_OWN_CONTEXT = ("task_run_context", "tags_context", "asset_context")  # what differs between the tasks of one flow run


def _shared_context() -> dict[str, Any]:
    context = {name: value for name, value in serialize_context().items() if name not in _OWN_CONTEXT}
    if flow_run := context["flow_run_context"]:
        # without its body, which no task needs; it may not pickle, or may need a module that workers do not have
        flow_run["flow"] = copy(flow_run["flow"])
        flow_run["flow"].fn = flow_run["flow"].__wrapped__ = _no_body
        flow_run["result_store"] = without_local_storage(flow_run["result_store"])
    settings = travelling_settings(context["settings_context"]["settings"])
    context["settings_context"] = cloudpickle.dumps(settings)  # as bytes, which a worker can compare
    return context


def _no_body() -> None:
    """Take the place of a flow's body on workers."""


def _own_context(task: Task[Any, Any], task_run_id: UUID, inputs: dict[str, set[RunInput]]) -> dict[str, Any]:
    parent = TaskRunContext.get()
    assets = AssetContext.from_task_and_inputs(
        task=task, task_run_id=task_run_id, task_inputs=inputs, copy_to_child_ctx=True
    )
    values = (parent.serialize() if parent else {}, TagsContext.get().serialize(), assets.serialize())
    return dict(zip(_OWN_CONTEXT, values, strict=True))


@contextmanager
def using(runner: TaskRunner[Any]) -> Iterator[TaskRunner[Any]]:
    """Send every task.submit and task.map inside the block to `runner`; open and close it.

    When the block ends, with or without an exception, parts that have not started are dropped, parts in flight see
    `stop_requested()`, and the block waits at most STOP_SECONDS for them to reach their next item.
    """
    context = FlowRunContext.get()
    if context is None:
        raise MissingContextError("using() sets the task runner of a flow run, and there is no flow run here")
    with runner, context.model_copy(update={"task_runner": runner}):
        yield runner


def runner_for(plan: Plan[Any], run: RunOptions, *, grows: bool = False) -> WarmDaskTaskRunner:
    """Choose where the plan's parts run: on the named cluster, in processes if that pays, or in this process."""
    if address := cluster_address(run):
        return WarmDaskTaskRunner(address=address)
    workers = run.workers or plan.at_once or cores()
    if not grows:
        workers = max(1, min(workers, len(plan.parts)))
    processes = min(workers, run.workers or cores())  # parts that wait share one
    saved = plan.python_seconds * (1 - 1 / processes)
    if saved > PROCESS_START_SECONDS:
        return _local_runner(n_workers=processes, threads_per_worker=ceil(workers / processes))
    # no memory limit: pausing the only worker of this process would not help
    return _local_runner(processes=False, n_workers=1, threads_per_worker=workers, memory_limit=0)


def _local_runner(**cluster: Any) -> WarmDaskTaskRunner:
    # Dask serves HTTP even without a dashboard: on all addresses, and with a warning if its usual port is taken
    here = {
        "dashboard_address": None,
        "scheduler_kwargs": {"dashboard_address": "127.0.0.1:0"},
        "worker_dashboard_address": "127.0.0.1:0",
    }
    return WarmDaskTaskRunner(cluster_kwargs={**cluster, **here})
