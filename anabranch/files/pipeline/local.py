"""The whole pipeline over files without Prefect and Dask: in this process, or on a pool of processes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from anabranch.files.listing import listed
from anabranch.files.pipeline.join import join, results
from anabranch.files.pipeline.options import PipelineOptions
from anabranch.files.pipeline.plan import Applying, applying, probing
from anabranch.files.pipeline.preview import check
from anabranch.files.pipeline.work import work
from anabranch.files.plan import gathered
from anabranch.files.rounds import settle
from anabranch.files.survey import look, survey
from anabranch.files.unpack import unpack
from anabranch.files.work import work as convert
from anabranch.here import Work, map_here
from anabranch.parts import Job, Outcome, Report

_APPLY: Work[Any] = work

Map = Callable[[Applying], list[Outcome]]


def run_here(job: Job[PipelineOptions], elsewhere: Map | None = None) -> Report:
    """Carry out the job on its number of threads; `elsewhere` maps `work` over parts that shall go to processes."""
    check(job.source, job.output, job.options)
    listing = listed(replace(job, refresh=job.refresh or job.options.stateful))
    looks = survey(listing, map_here(unpack, listing, job.threads), job)
    probe = probing(gathered(looks, map_here(look, looks, job.threads), job))
    probe.save()
    pipeline = applying(probe, map_here(_APPLY, probe), job.threads)
    outcomes = (
        elsewhere(pipeline)
        if elsewhere and pipeline.decision.mode == "process"
        else map_here(_APPLY, pipeline, job.threads)
    )
    pipeline = results(pipeline, outcomes, job.threads)
    while pipeline.parts:
        pipeline.save()
        pipeline = settle(pipeline, map_here(convert, pipeline, job.threads), job.threads)
    return join(pipeline)
