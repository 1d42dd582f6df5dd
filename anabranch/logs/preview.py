"""What a run would do, told without doing anything."""

from anabranch.core.parts import Job
from anabranch.logs.options import LogOptions
from anabranch.logs.unpack import Survey, survey


def preview(job: Job[LogOptions]) -> Survey:
    """Plan the first map; reads only."""
    return survey(job.source, job.work_dir, job.threads)
