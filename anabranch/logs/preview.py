"""What a run would do, without doing it."""

from anabranch.core.parts import Job
from anabranch.logs.options import LogOptions
from anabranch.logs.unpack import Survey
from anabranch.logs.way import planned


def preview(job: Job[LogOptions]) -> Survey:
    """Plan the first map; reads only."""
    return planned(job)
