"""Do the parts of a plan in this process, with threads, as `map_parts` does with tasks on a cluster."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Event
from typing import Any, Protocol, TypeVar

from anabranch.core.errors import Stopped, as_ours
from anabranch.core.parts import Manifest, Outcome, Part, Plan

ENDS_THE_RUN = ("cluster-lost", "disk-full")  # codes of errors after which no other part can be done, either
TICK = 0.05  # seconds after which a plan is asked for further parts though none has ended

P = TypeVar("P", bound=Part)
Work = Callable[[P, Callable[[], bool]], Manifest]
Seen = Callable[[Outcome], object]


class Mapped(Protocol):
    """How the parts of a plan are mapped: by tasks on a cluster, or by threads of this process."""

    def __call__(self, work: Work[P], plan: Plan[P], /) -> list[Outcome]:
        """Do every part, those that the plan brings meanwhile too; return their outcomes in the order of the parts."""


def on_threads(workers: int) -> Mapped:
    """Map the parts by that many threads of this process."""
    return lambda work, plan: map_here(work, plan, workers)


def only(*works: Work[Any], workers: int) -> Mapped:
    """Map only these steps, by threads; a dry run names those that write nothing."""
    return lambda work, plan: map_here(work, plan, workers) if work in works else []


def map_here(work: Work[P], plan: Plan[P], workers: int = 1, seen: Seen = lambda _: None) -> list[Outcome]:
    """Do every part of the plan, heaviest first, on that many threads; return the outcomes in the plan's order.

    With one worker that is the calling thread, since the user's functions may hold objects that are bound to a thread.
    A part that fails becomes an outcome with its error and does not stop the others, unless a disk is full. `seen` is
    called in this thread with each outcome as it arrives; an exception from it, or Ctrl-C, stops the parts in flight at
    their next item.
    """
    plan.save()
    outcomes = _one_by_one(work, plan, seen) if workers <= 1 else _on_threads(work, plan, workers, seen)
    return sorted(outcomes, key=lambda outcome: outcome.part.index)


def _heaviest_first(parts: Sequence[P]) -> list[P]:
    return sorted(parts, key=lambda part: -part.cost)


def _one_by_one(work: Work[P], plan: Plan[P], seen: Seen) -> list[Outcome]:
    outcomes, waiting, ended = list[Outcome](), deque(_heaviest_first(plan.parts)), None
    while (further := plan.further(ended)) is not None or waiting:
        waiting += further or ()
        ended = _shown(_outcome(work, waiting.popleft(), lambda: False), seen) if waiting else None
        outcomes += [ended] if ended else []
    return outcomes


def _on_threads(work: Work[P], plan: Plan[P], workers: int, seen: Seen) -> list[Outcome]:
    stop, outcomes, flying = Event(), list[Outcome](), set[Future[Outcome]]()
    with ThreadPoolExecutor(workers) as pool:

        def fly(parts: Sequence[P] | None) -> bool:
            flying.update(pool.submit(_outcome, work, part, stop.is_set) for part in _heaviest_first(parts or ()))
            return parts is not None

        fly(plan.parts)
        try:
            while fly(plan.further(None)) or flying:
                for future in wait(flying, TICK, FIRST_COMPLETED).done if flying else ():
                    flying.discard(future)
                    outcomes.append(_shown(future.result(), seen))
                    fly(plan.further(outcomes[-1]))
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return outcomes


def _outcome(work: Work[Any], part: Part, stop: Callable[[], bool]) -> Outcome:
    try:
        return Outcome(part, manifest=work(part, stop))
    except Stopped:
        raise
    except Exception as error:  # the other parts go on, as in map_parts
        ours = as_ours(error, part.label)
        ours.part = ours.part or part.label
        if ours.code in ENDS_THE_RUN:
            raise ours from error
        return Outcome(part, error=ours)


def _shown(outcome: Outcome, seen: Seen) -> Outcome:
    seen(outcome)
    return outcome
