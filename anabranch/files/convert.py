"""The whole conversion in this process, without Prefect and Dask: for the library's functions and the benchmarks."""

from anabranch.files.join import join
from anabranch.files.options import ConvertOptions
from anabranch.files.plan import plan
from anabranch.files.preview import check
from anabranch.files.rounds import settle
from anabranch.files.survey import look, survey
from anabranch.files.work import work
from anabranch.here import Seen, map_here
from anabranch.parts import Job, Report


def convert(job: Job[ConvertOptions], seen: Seen = lambda _: None) -> Report:
    """Convert the job's sources on its number of threads; `seen` is called with the outcome of every part."""
    check(job.source, job.output, job.options)
    looks = survey(job)
    conversion = plan(looks, map_here(look, looks, job.threads), job)
    while conversion.parts:
        conversion.save()
        conversion = settle(conversion, map_here(work, conversion, job.threads, seen), job.threads)
    return join(conversion)
