"""The steps of a record pipeline: examine files, agree on types, try the function, call it for all, settle types."""

from dataclasses import replace
from typing import Any

from anabranch.core.here import Mapped, Work
from anabranch.core.parts import Job
from anabranch.files import way as conversion
from anabranch.files.pipeline.agree import agreed, agreeing
from anabranch.files.pipeline.agree import work as agree
from anabranch.files.pipeline.join import limited, results
from anabranch.files.pipeline.options import PipelineOptions
from anabranch.files.pipeline.plan import START_SECONDS, Applying, applying, probing
from anabranch.files.pipeline.work import work
from anabranch.files.rounds import settle
from anabranch.files.work import work as convert

_CALL: Work[Any] = work  # the parts of a plan that applies a function are ApplyParts


def planned(job: Job[PipelineOptions], mapped: Mapped, start_seconds: float = START_SECONDS) -> Applying:
    """Plan the parts that call the function, by what the first records took.

    A stateful function sees every record again, so nothing is left out as unchanged. A mapping that does not call the
    function gives the plan for one of 20 µs, and a dry run shows it.
    """
    known = conversion.known(replace(job, refresh=job.refresh or job.options.stateful), mapped)
    types = agreeing(known, job.threads)
    probe = probing(agreed(known, mapped(agree, types)))
    return applying(probe, mapped(_CALL, probe), job.threads, start_seconds)


def way(job: Job[PipelineOptions], mapped: Mapped, start_seconds: float = START_SECONDS) -> Applying:
    """Call the function for every record; what comes back has no parts left, and is to be joined.

    `start_seconds` is how long new worker processes take to start: 0 if they already run.
    """
    pipeline = planned(job, mapped, start_seconds)
    pipeline = limited(results(pipeline, mapped(_CALL, pipeline), job.threads))
    while pipeline.parts:  # once, unless rows need wider types than was known
        pipeline = settle(pipeline, mapped(convert, pipeline), job.threads)
    return pipeline
