"""Do the parts of a plan in this process, with threads, as `map_parts` does with tasks on a cluster."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Event
from typing import Any, Protocol, TypeVar

from anabranch.core.errors import Stopped, as_ours
from anabranch.core.parts import Manifest, Outcome, Part, Plan

P = TypeVar("P", bound=Part)
Work = Callable[[P, Callable[[], bool]], Manifest]
Seen = Callable[[Outcome], object]


class Mapped(Protocol):
    """How the parts of a plan are mapped: by tasks on a cluster, or by threads of this process."""

    def __call__(self, work: Work[P], plan: Plan[P], /) -> list[Outcome]:
        """Do every part; return one outcome for each, in the plan's order."""


def on_threads(workers: int) -> Mapped:
    """Map the parts by that many threads of this process."""
    return lambda work, plan: map_here(work, plan, workers)


def only(*works: Work[Any], workers: int) -> Mapped:
    """Map only these steps, by threads; a dry run names those that write nothing."""
    return lambda work, plan: map_here(work, plan, workers) if work in works else []


def map_here(work: Work[P], plan: Plan[P], workers: int = 1, seen: Seen = lambda _: None) -> list[Outcome]:
    """Do every part of the plan, heaviest first, on that many threads; return the outcomes in the plan's order.

    With one worker that is the calling thread, since the user's functions may hold objects that are bound to a thread.
    A part that fails becomes an outcome with its error and does not stop the others. `seen` is called in this thread
    with each outcome as it arrives; an exception from it, or Ctrl-C, stops the parts in flight at their next item.
    """
    plan.save()
    heaviest = sorted(plan.parts, key=lambda part: -part.cost)
    if workers <= 1:
        outcomes = [_shown(_outcome(work, part, lambda: False), seen) for part in heaviest]
    else:
        outcomes = _on_threads(work, heaviest, workers, seen)
    return sorted(outcomes, key=lambda outcome: outcome.part.index)


def _on_threads(work: Work[P], parts: Sequence[P], workers: int, seen: Seen) -> list[Outcome]:
    stop = Event()
    with ThreadPoolExecutor(max(1, min(workers, len(parts)))) as pool:
        futures = {pool.submit(_outcome, work, part, stop.is_set): part for part in parts}
        try:
            return [_shown(future.result(), seen) for future in as_completed(futures)]
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _outcome(work: Work[Any], part: Part, stop: Callable[[], bool]) -> Outcome:
    try:
        return Outcome(part, manifest=work(part, stop))
    except Stopped:
        raise
    except Exception as error:  # noqa: BLE001  the other parts go on, as in map_parts
        ours = as_ours(error, part.label)
        ours.part = ours.part or part.label
        return Outcome(part, error=ours)


def _shown(outcome: Outcome, seen: Seen) -> Outcome:
    seen(outcome)
    return outcome
