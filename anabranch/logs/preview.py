"""What a run would do, told without doing anything."""

from anabranch.logs.options import LogOptions
from anabranch.logs.unpack import Survey, survey
from anabranch.parts import Job


def preview(job: Job[LogOptions]) -> Survey:
    """Plan the first map; reads only."""
    return survey(job.source, job.work_dir, job.threads)
