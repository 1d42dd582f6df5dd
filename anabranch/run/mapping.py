"""Map a task over a plan's parts, and gather every outcome in the plan's order."""

import errno
import queue
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from prefect import Task
from prefect.cache_policies import CacheKeyFnPolicy
from prefect.client.schemas.objects import State
from prefect.context import TaskRunContext
from prefect.filesystems import LocalFileSystem
from prefect.futures import PrefectFuture
from prefect.results import ResultStore
from prefect.states import Cancelled

from anabranch.core.config import RunOptions, cluster_address, work_dir
from anabranch.core.errors import AnabranchError, Stopped, TemporaryError, as_ours
from anabranch.core.here import Mapped, Seen, Work
from anabranch.core.moving import listening
from anabranch.core.parts import Manifest, Outcome, Part, Plan
from anabranch.core.storage import prune, touch, unchanged
from anabranch.run.cancelling import CancelWatch
from anabranch.run.cluster import fit_workers
from anabranch.run.moving import Moved, hearing, saying
from anabranch.run.progress import Progress
from anabranch.run.runner import runner_for, using
from anabranch.run.stopping import stop_requested

TICK = 0.25  # seconds between looks at the clock and at a request to stop

Tasks = Mapping[Work[Any], Task[..., Any]]  # the task that does each step
P = TypeVar("P", bound=Part)
M = TypeVar("M", bound=Manifest)

BY_PART = CacheKeyFnPolicy(cache_key_fn=lambda _context, parameters: parameters["part"].key)
"""Cache policy of mapped tasks: the key of their parameter, `part`, covers everything that the result depends on."""

MAY_PASS = {
    errno.EAGAIN, errno.EBUSY, errno.EMFILE, errno.ENFILE,  # in use by others
    errno.ENOSPC, errno.EDQUOT,  # space may be freed
    errno.EIO, errno.ESTALE, errno.ENOTCONN,  # a network folder is not available
    errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT,
}  # fmt: skip
"""What the system refuses now and may allow a second later."""


@dataclass(frozen=True, slots=True)
class Done:
    """A part's manifest, and which attempt produced it."""

    manifest: Manifest
    attempt: int


def carry_out(work: Callable[[P, Callable[[], bool]], M], part: P) -> Done:
    """Do one part inside its task; return Done, or a Cancelled state if the part is no longer wanted.

    Every error gets the part's name, and the number of the attempt.
    """
    context = TaskRunContext.get()
    attempt = context.task_run.run_count if context else 1
    try:
        with listening(saying(part)):
            return Done(work(part, stop_requested), attempt)
    except Stopped as stopped:
        # a state, which Prefect takes as the outcome: an exception would be retried
        return Cancelled(message=str(stopped))  # type: ignore[return-value]
    except AnabranchError as error:
        error.part = error.part or part.label
        error.attempt = attempt
        raise


def is_temporary(_task: Any, _task_run: Any, state: State[Any]) -> bool:
    """Whether a failed attempt may succeed when repeated: for our own temporary errors and some of the system's."""
    error = state.result(raise_on_failure=False)
    if isinstance(error, OSError):
        return error.errno in MAY_PASS or isinstance(error, ConnectionError | TimeoutError)
    return isinstance(error, TemporaryError)


def by_tasks(tasks: Tasks, run: RunOptions, seen: Seen = lambda _: None, moved: Moved | None = None) -> Mapped:
    """Map the parts of each step by its Prefect task in `tasks`, see `map_parts`."""
    return lambda work, plan: map_parts(tasks[work], plan, run, seen, moved)


def map_parts(
    task: Task[..., Any],
    plan: Plan[Part],
    run: RunOptions,
    seen: Seen = lambda _: None,
    moved: Moved | None = None,
) -> list[Outcome]:
    """Run the task for every part of the plan, heaviest first; return the outcomes in the plan's order.

    A part that fails becomes an outcome with its error and does not stop the others. `seen` is called in this thread
    with each outcome as it arrives, `moved` in another with what parts in flight say of how far they are. Raises
    Stopped if the run is cancelled from the UI or the API, TemporaryError "cluster-lost" if the scheduler is lost;
    then, as after any exception here, parts in flight stop at their next item.
    """
    if not plan.parts:
        return []
    prune(work_dir(run))
    plan.save()
    results = work_dir(run) / "results"
    task = task.with_options(result_storage=results, persist_result=True)
    progress = Progress(task.name, plan)
    outcomes: dict[int, Outcome] = {}
    runner = runner_for(plan, run)
    with using(runner), CancelWatch() as cancelled, ExitStack() as heard:
        if moved:
            heard.enter_context(hearing(runner.client, plan, moved))
        if cluster_address(run):
            runner.workers = fit_workers(runner.client, plan)
        for future, part in _settled(_submit(task, plan, results, refresh=run.refresh), cancelled, progress):
            outcomes[part.index] = outcome = _outcome(future, part)
            seen(outcome)
            progress.add(outcome)
    progress.close()
    return [outcomes[part.index] for part in plan.parts]


def _submit(task: Task[..., Any], plan: Plan[Part], results: Path, *, refresh: bool) -> dict[PrefectFuture[Any], Part]:
    """Submit the heaviest parts first, so that none of them starts when the others are nearly done."""
    again = task.with_options(refresh_cache=True)
    return {
        (again if refresh or _is_stale(results, part.key) else task).submit(part): part
        for part in sorted(plan.parts, key=lambda part: -part.cost)
    }


def _is_stale(results: Path, key: str) -> bool:
    """Whether the cache has a result that must not be used: files are missing or changed, or items had failed."""
    cache = ResultStore(result_storage=LocalFileSystem(basepath=str(results)))
    if not cache.exists(key):
        return False
    try:
        manifest: Manifest = cache.read(key).result.manifest
    except Exception:  # noqa: BLE001  whatever is wrong with a record, the part runs again
        return True
    ours = results.parent  # the user's outputs are not ours to touch
    touch(results / key, *{Path(file.path).parent for file in manifest.files if ours in Path(file.path).parents})
    return bool(manifest.errors) or not all(unchanged(file) for file in manifest.files)


def _settled(
    futures: dict[PrefectFuture[Any], Part], cancelled: CancelWatch, progress: Progress
) -> Iterator[tuple[PrefectFuture[Any], Part]]:
    """Yield each future as its part ends; check the clock and requests to stop in between."""
    ended: queue.SimpleQueue[PrefectFuture[Any]] = queue.SimpleQueue()
    for future in futures:
        future.add_done_callback(ended.put)
    for _ in futures:
        while True:
            cancelled.check()
            progress.show()
            with suppress(queue.Empty):
                future = ended.get(timeout=TICK)
                break
        yield future, futures[future]


def _outcome(future: PrefectFuture[Any], part: Part) -> Outcome:
    state = future.state
    if state.is_cancelled():
        raise Stopped
    result = state.result(raise_on_failure=False)
    if isinstance(result, Done):
        return Outcome(part, result.manifest, attempts=result.attempt, cached=state.name == "Cached")
    if isinstance(result, TemporaryError) and result.code == "cluster-lost":
        raise result  # no other part can be done either
    return Outcome(part, error=_error(state, result, part), attempts=getattr(result, "attempt", 1))


def _error(state: State[Any], result: BaseException, part: Part) -> AnabranchError:
    if state.is_crashed() and not isinstance(result, AnabranchError):
        return AnabranchError(
            "worker-died",
            f"the worker died or could not load the part ({state.message})",
            "Check whether the worker ran out of memory, or use fewer --workers, and run again.",
            part.label,
        )
    return as_ours(result, part.label)
