"""The whole pipeline over files without Prefect and Dask: on threads of this process, or on a pool of processes."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from anabranch.core.errors import AnabranchError
from anabranch.core.here import P, Work, map_here
from anabranch.core.parts import Job, Outcome, Plan, Report
from anabranch.files.pipeline.decision import START_SECONDS
from anabranch.files.pipeline.functions import why_here
from anabranch.files.pipeline.join import join
from anabranch.files.pipeline.options import PipelineOptions
from anabranch.files.pipeline.plan import Applying
from anabranch.files.pipeline.preview import check
from anabranch.files.pipeline.tally import Tally
from anabranch.files.pipeline.way import way
from anabranch.files.pipeline.work import work
from anabranch.library.processes import WorkerDiedError, Workers, are_kept


def run_here(job: Job[PipelineOptions], tally: Tally | None = None) -> tuple[Applying, Report]:
    """Carry out the job on its number of threads or processes, all of it again; `tally` counts the records."""
    check(job.source, job.output, job.options)
    start_seconds = 0.0 if are_kept(job.threads, job.options.code) else START_SECONDS
    pipeline = way(replace(job, refresh=True), partial(_mapped, job.threads), start_seconds)
    return pipeline, join(pipeline, tally)


def _mapped(workers: int, step: Work[P], plan: Plan[P], /) -> list[Outcome]:
    """Map by threads, but the function by processes where that was decided, and its first records in this thread."""
    if isinstance(plan, Applying) and step is work:
        if plan.decision.mode == "process" and len(plan.parts) > 1 and not why_here(()):
            return list(_on_processes(plan, workers))
        if not plan.is_decided:
            workers = 1
    return map_here(step, plan, workers)


def _on_processes(plan: Applying, workers: int) -> Iterator[Outcome]:
    plan.save()
    with Workers(workers, processes=True, code=plan.options.code) as pool:
        for part, came in pool.map(work, plan.parts):
            if isinstance(came, WorkerDiedError):
                remedy = "Check whether memory ran out, or whether the function ends its process."
                yield Outcome(part, error=AnabranchError("worker-died", str(came), remedy, part.label), attempts=2)
            elif isinstance(came, AnabranchError):
                yield Outcome(part, error=came)
            elif isinstance(came, BaseException):
                raise came
            else:
                yield Outcome(part, came)
