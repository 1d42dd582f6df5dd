"""Map a task over a plan's parts, and gather every outcome in the plan's order."""

import errno
import queue
from collections.abc import Callable, Mapping, Sequence
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
from prefect.states import Cancelled, Failed

from anabranch.core.config import RunOptions, cluster_address, work_dir
from anabranch.core.errors import AnabranchError, Stopped, TemporaryError, as_ours, is_full
from anabranch.core.here import ENDS_THE_RUN, Mapped, Seen, Work
from anabranch.core.moving import listening
from anabranch.core.parts import Manifest, Outcome, Part, Plan
from anabranch.core.storage import prune, touch, unchanged
from anabranch.core.words import many
from anabranch.run.cancelling import CancelWatch
from anabranch.run.cluster import fit_workers, needs_of
from anabranch.run.joining import Members
from anabranch.run.moving import Moved, hearing, saying
from anabranch.run.progress import Progress
from anabranch.run.runner import runner_for, using
from anabranch.run.stopping import stop_requested

TICK = 0.25  # seconds between looks at the clock and at a request to stop
GROWING_TICK = 0.05  # of a plan that may bring further parts

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

    A part of which some items failed is Done as well, within a state that Prefect's pages show as failed. Every error
    gets the part's name, and the number of the attempt.
    """
    context = TaskRunContext.get()
    attempt = context.task_run.run_count if context else 1
    try:
        with listening(saying(part)):
            done = Done(work(part, stop_requested), attempt)
    except Stopped as stopped:
        # a state, which Prefect takes as the outcome: an exception would be retried
        return Cancelled(message=str(stopped))  # type: ignore[return-value]
    except OSError as error:
        if is_full(error) and error.filename is None:
            error.filename = getattr(part, "folder", None)
        raise
    except AnabranchError as error:
        error.part = error.part or part.label
        error.attempt = attempt
        raise
    if failures := done.manifest.failures:
        message = f"{many(len(failures), 'item')} failed, the rest is done. {failures[0]}"
        return Failed(name="PartlyFailed", message=message, data=done)  # type: ignore[return-value]
    return done


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

    A plan may bring further parts meanwhile. A part that fails becomes an outcome with its error and does not stop the
    others. `seen` is called in this thread with each outcome as it arrives, `moved` in another with how far parts
    in flight say that they are. Raises Stopped if the run is cancelled from the UI or the API, TemporaryError
    "cluster-lost" if the scheduler is lost, and "disk-full"; then, as after any exception here, parts in flight stop at
    their next item.
    """
    further = plan.further(None)
    if not plan.parts and further is None:
        return []
    prune(work_dir(run))
    plan.save()
    results = work_dir(run) / "results"
    task = task.with_options(result_storage=results, persist_result=True)
    progress = Progress(task.name, plan)
    outcomes: dict[int, Outcome] = {}
    runner = runner_for(plan, run, grows=further is not None)
    with using(runner), CancelWatch() as cancelled, ExitStack() as heard:
        flying = _Flying(task, results, refresh=run.refresh)
        if moved:
            heard.enter_context(hearing(runner.client, flying.by_key, moved))
        members: Members | None = None
        if cluster_address(run):
            members = Members(runner, fit_workers(runner.client, plan))
            runner.needs = heard.enter_context(needs_of(plan))
        flying.submit(plan.parts)
        while further is not None or flying.parts:
            progress.expect(flying.submit(further or ()))
            cancelled.check()
            progress.show()
            ended = None
            if members:
                members.require_some()
            landed = flying.landed(TICK if further is None else GROWING_TICK)
            if landed and members and members.gave_back(landed[0].state):
                flying.submit([landed[1]])
            elif landed:
                outcomes[landed[1].index] = ended = _outcome(*landed)
                seen(ended)
                progress.add(ended)
            further = plan.further(ended)
    progress.close()
    return [outcomes[index] for index in sorted(outcomes)]


class _Flying:
    """The parts that were submitted and have not ended."""

    def __init__(self, task: Task[..., Any], results: Path, *, refresh: bool) -> None:
        self._task, self._again = task, task.with_options(refresh_cache=True)
        self._results, self._refresh = results, refresh
        self._ended: queue.SimpleQueue[PrefectFuture[Any]] = queue.SimpleQueue()
        self.parts: dict[PrefectFuture[Any], Part] = {}
        self.by_key: dict[str, Part] = {}  # those that have ended too

    def submit(self, parts: Sequence[Part]) -> Sequence[Part]:
        """Submit the heaviest first, so that none of them starts when the others are nearly done; return them."""
        for part in sorted(parts, key=lambda part: -part.cost):
            again = self._refresh or _is_stale(self._results, part.key)
            future = (self._again if again else self._task).submit(part)
            self.parts[future] = self.by_key[part.key] = part
            future.add_done_callback(self._ended.put)
        return parts

    def landed(self, seconds: float) -> tuple[PrefectFuture[Any], Part] | None:
        """Wait that long for a part to end, and return it; None where none has, at once where none is in flight."""
        if not self.parts:
            return None
        with suppress(queue.Empty):
            future = self._ended.get(timeout=seconds)
            return future, self.parts.pop(future)
        return None


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


def _outcome(future: PrefectFuture[Any], part: Part) -> Outcome:
    state = future.state
    if state.is_cancelled():
        raise Stopped
    result = state.result(raise_on_failure=False)
    if isinstance(result, Done):
        return Outcome(part, result.manifest, attempts=result.attempt, cached=state.name == "Cached")
    error = _error(state, result, part)
    if error.code in ENDS_THE_RUN:
        raise error
    return Outcome(part, error=error, attempts=getattr(result, "attempt", 1))


def _error(state: State[Any], result: BaseException, part: Part) -> AnabranchError:
    if state.is_crashed() and not isinstance(result, AnabranchError):
        if not (state.message or "").startswith("KilledWorker"):
            return AnabranchError(
                "part-crashed",
                f"a worker could not carry out the part ({state.message})",
                "See the worker's log; `anabranch doctor --cluster ADDRESS` checks the workers of a cluster.",
                part.label,
            )
        return AnabranchError(
            "worker-died",
            f"the worker died ({state.message})",
            "Check whether the worker ran out of memory, or use fewer --workers, and run again.",
            part.label,
        )
    return as_ours(result, part.label)
