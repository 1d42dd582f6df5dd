"""The whole pipeline over files without Prefect and Dask: on threads of this process, or on a pool of processes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from anabranch.core.errors import AnabranchError
from anabranch.core.here import Work, map_here
from anabranch.core.parts import Job, Outcome, Report
from anabranch.files.listing import listed
from anabranch.files.pipeline.agree import agreed, agreeing
from anabranch.files.pipeline.agree import work as agree
from anabranch.files.pipeline.decision import START_SECONDS
from anabranch.files.pipeline.functions import why_here
from anabranch.files.pipeline.join import join, results
from anabranch.files.pipeline.options import PipelineOptions
from anabranch.files.pipeline.plan import Applying, applying, probing
from anabranch.files.pipeline.preview import check
from anabranch.files.pipeline.tally import Tally
from anabranch.files.pipeline.work import work
from anabranch.files.plan import gathered
from anabranch.files.rounds import settle
from anabranch.files.versions import code_key
from anabranch.files.work import work as convert
from anabranch.formats.survey import look, survey
from anabranch.library.processes import WorkerDiedError, Workers, are_kept
from anabranch.sources.unpack import unpack

_APPLY: Work[Any] = work


def run_here(job: Job[PipelineOptions], tally: Tally | None = None) -> tuple[Applying, Report]:
    """Carry out the job on its number of threads or processes, all of it anew; `tally` counts the records."""
    check(job.source, job.output, job.options)
    listing = listed(replace(job, refresh=True))
    looks = survey(listing, map_here(unpack, listing, job.threads), job, code_key())
    known = gathered(looks, map_here(look, looks, job.threads), job)
    types = agreeing(known, job.threads)
    types.save()
    probe = probing(agreed(known, map_here(agree, types, job.threads)))
    probe.save()
    start = 0.0 if are_kept(job.threads, job.options.code) else START_SECONDS
    pipeline = applying(probe, map_here(_APPLY, probe), job.threads, start)
    pipeline = results(pipeline, _mapped(pipeline, job.threads), job.threads)
    while pipeline.parts:
        pipeline.save()
        pipeline = settle(pipeline, map_here(convert, pipeline, job.threads), job.threads)
    return pipeline, join(pipeline, tally)


def _mapped(plan: Applying, workers: int) -> list[Outcome]:
    if plan.decision.mode == "process" and len(plan.parts) > 1 and not why_here(()):
        return list(_on_processes(plan, workers))
    return map_here(_APPLY, plan, workers)


def _on_processes(plan: Applying, workers: int) -> Iterator[Outcome]:
    with Workers(workers, processes=True, code=plan.options.code) as pool:
        for part, came in pool.map(work, plan.parts):
            if isinstance(came, WorkerDiedError):
                remedy = "Look for lack of memory, or for what in the function ends its process."
                yield Outcome(part, error=AnabranchError("worker-died", str(came), remedy, part.label), attempts=2)
            elif isinstance(came, AnabranchError):
                yield Outcome(part, error=came)
            elif isinstance(came, BaseException):
                raise came
            else:
                yield Outcome(part, came)
