"""The whole conversion in this process, without Prefect and Dask: for the library's functions and the benchmarks."""

from collections.abc import Callable
from functools import partial

from anabranch.core.here import map_here
from anabranch.core.parts import Job, Outcome
from anabranch.files.join import publish
from anabranch.files.listing import listed
from anabranch.files.manifest import Entry
from anabranch.files.options import ConvertOptions
from anabranch.files.plan import Conversion, plan
from anabranch.files.preview import check
from anabranch.files.rounds import settle
from anabranch.files.versions import code_key
from anabranch.files.work import work
from anabranch.formats.survey import look, survey
from anabranch.sources.unpack import unpack


def convert(
    job: Job[ConvertOptions], seen: Callable[[Conversion, Outcome], object] = lambda _plan, _outcome: None
) -> tuple[Conversion, list[Entry]]:
    """Convert the job's sources on its number of threads.

    `seen` is called with the plan of the round and the outcome of every part, as it comes.
    """
    check(job.source, job.output, job.options)
    listing = listed(job)
    looks = survey(listing, map_here(unpack, listing, job.threads), job, code_key())
    conversion = plan(looks, map_here(look, looks, job.threads), job)
    while conversion.parts:
        conversion.save()
        conversion = settle(conversion, map_here(work, conversion, job.threads, partial(seen, conversion)), job.threads)
    return conversion, publish(conversion)
