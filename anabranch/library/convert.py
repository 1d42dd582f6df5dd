"""The whole conversion in this process, without Prefect and Dask: for the library's functions and the benchmarks."""

from collections.abc import Callable
from functools import partial

from anabranch.core.here import P, Work, map_here
from anabranch.core.parts import Job, Outcome, Plan
from anabranch.files.join import publish
from anabranch.files.manifest import Entry
from anabranch.files.options import ConvertOptions
from anabranch.files.plan import Conversion
from anabranch.files.preview import check
from anabranch.files.way import way


def convert(
    job: Job[ConvertOptions], seen: Callable[[Conversion, Outcome], object] = lambda _plan, _outcome: None
) -> tuple[Conversion, list[Entry]]:
    """Convert the job's sources on its number of threads.

    `seen` is called with the plan of the round and the outcome of every part, as it comes.
    """
    check(job.source, job.output, job.options)

    def mapped(step: Work[P], plan: Plan[P], /) -> list[Outcome]:
        watch = partial(seen, plan) if isinstance(plan, Conversion) else (lambda _outcome: None)
        return map_here(step, plan, job.threads, watch)

    conversion = way(job, mapped)
    return conversion, publish(conversion)
