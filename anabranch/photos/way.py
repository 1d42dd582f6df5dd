"""The steps of an extraction, however its parts are mapped: list, read what is not known, join."""

import time

from anabranch.core.here import Mapped
from anabranch.core.parts import Job, Report
from anabranch.photos.join import join
from anabranch.photos.options import PhotoOptions
from anabranch.photos.plan import Extraction, plan
from anabranch.photos.work import work
from anabranch.sftp import hosts
from anabranch.sftp.hosts import Unlock, no_blocks


def way(job: Job[PhotoOptions], mapped: Mapped, unlock: Unlock = no_blocks) -> Report:
    """Read the photos of the job's sources, and write their table."""
    try:
        extraction = plan(job, unlock)
        started = time.monotonic()
        outcomes = mapped(work, extraction)
        return join(extraction, outcomes, time.monotonic() - started)
    finally:
        hosts.close_idle()


def preview(job: Job[PhotoOptions]) -> Extraction:
    """List the photos, and plan the reading; reads only."""
    try:
        return plan(job, no_blocks)
    finally:
        hosts.close_idle()
