"""Do the parts of a plan in this process: what `map_parts` does with tasks on a cluster, done with threads."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from threading import Event
from typing import Any, TypeVar

from anabranch.errors import Stopped, as_ours
from anabranch.parts import Manifest, Outcome, Part, Plan

P = TypeVar("P", bound=Part)
Work = Callable[[P, Callable[[], bool]], Manifest]
Seen = Callable[[Outcome], object]


def map_here(work: Work[P], plan: Plan[P], workers: int = 1, seen: Seen = lambda _: None) -> list[Outcome]:
    """Do every part of the plan, heaviest first, on that many threads; return the outcomes in the plan's order.

    A part that fails becomes an outcome with its error and stops no other part. `seen` is called with each outcome as
    it comes, from this thread; an exception from it, or Ctrl-C, stops the parts in flight at their next item.
    """
    stop = Event()
    heaviest = sorted(plan.parts, key=lambda part: -part.cost)
    with ThreadPoolExecutor(max(1, min(workers, len(heaviest)))) as pool:
        futures = {pool.submit(_outcome, work, part, stop.is_set): part for part in heaviest}
        try:
            outcomes = [_told(future, seen) for future in as_completed(futures)]
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return sorted(outcomes, key=lambda outcome: outcome.part.index)


def _outcome(work: Work[Any], part: Part, stop: Callable[[], bool]) -> Outcome:
    try:
        return Outcome(part, manifest=work(part, stop))
    except Stopped:
        raise
    except Exception as error:  # noqa: BLE001  whatever it is, the other parts go on, as they do in map_parts
        ours = as_ours(error, part.label)
        ours.part = ours.part or part.label
        return Outcome(part, error=ours)


def _told(future: Future[Outcome], seen: Seen) -> Outcome:
    outcome = future.result()
    seen(outcome)
    return outcome
