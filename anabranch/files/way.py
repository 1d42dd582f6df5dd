"""The steps of a conversion, however its parts are mapped: find, unpack, look, convert until the types fit."""

from dataclasses import replace

from anabranch.core.here import Mapped
from anabranch.core.parts import Job
from anabranch.files.listing import listed
from anabranch.files.manifest import left_by_runs
from anabranch.files.options import ConvertOptions
from anabranch.files.plan import Conversion, first_round, gathered
from anabranch.files.rejected import limited
from anabranch.files.rounds import settle
from anabranch.files.targets import as_named
from anabranch.files.versions import code_key
from anabranch.files.work import work
from anabranch.formats.survey import look, survey
from anabranch.sources.finding import find
from anabranch.sources.unpack import unpack, unpacked


def known(job: Job[ConvertOptions], mapped: Mapped) -> Conversion:
    """Find the sources, and look at each; no parts yet."""
    sources = find(job.source, leave_out=left_by_runs(job.output)).sources
    job = replace(job, options=as_named(job.options, job.output, sources))
    listing = listed(job)
    unpacking = mapped(unpack, listing)
    looks = survey(unpacked(listing, unpacking), job.options, listing.folder, job.threads, code_key())
    return gathered(listing, unpacking, looks, mapped(look, looks), job)


def planned(job: Job[ConvertOptions], mapped: Mapped) -> Conversion:
    """Plan the first round; a dry run shows it."""
    return first_round(known(job, mapped), job.threads)


def way(job: Job[ConvertOptions], mapped: Mapped) -> Conversion:
    """Convert the job's sources; what comes back has no parts left, and is to be joined."""
    conversion = planned(job, mapped)
    while conversion.parts:  # once, unless rows need wider types than the first rows of their files showed
        conversion = settle(conversion, mapped(work, conversion), job.threads)
    return limited(conversion)
