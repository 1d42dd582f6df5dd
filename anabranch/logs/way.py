"""The steps for log archives, however parts are mapped: find and split them, unpack, list their logs, parse, join."""

from collections import Counter
from pathlib import Path

from anabranch.core.here import Mapped
from anabranch.core.parts import Job, Report
from anabranch.core.sharing import sharing
from anabranch.core.storage import fingerprint
from anabranch.logs.done import Done
from anabranch.logs.join import join
from anabranch.logs.options import LogOptions
from anabranch.logs.plan import plan
from anabranch.logs.unpack import Survey, clear, incomplete, replaced, survey, unpack_logs
from anabranch.logs.work import work
from anabranch.sources.source import Source
from anabranch.sources.unpack import uncut, unpack


def planned(job: Job[LogOptions]) -> Survey:
    """Find the archives, and plan their unpacking; a dry run shows it."""
    return survey(job.source, job.work_dir, job.threads, job.options.max_unpacked or "", Done(job).has)


def way(job: Job[LogOptions], mapped: Mapped) -> Report:
    """Parse the job's archives, and publish their reports; the one report goes to the work folder without an output."""
    slices = planned(job)
    if slices.unchanged and not slices.archives and not slices.errors:
        items = {"unchanged": slices.unchanged}
        return Report(flow="parse-logs", status="nothing_to_do", items=items, warnings=list(slices.remarks))
    with sharing(Path(slices.folder)) as alone:
        unpacking = mapped(unpack_logs, slices)
        unpacking = [*unpacking, *mapped(unpack_logs, uncut(slices, unpacking))]
        unpacking = replaced(unpacking, mapped(unpack, incomplete(slices, unpacking)))
        logs = plan(slices, unpacking, job.options, job.threads)
        output = job.output or f"{slices.folder}/{fingerprint(job.options)}.txt"
        report = join(logs, mapped(work, logs), output)
        Done(job).add(logs, report)
        if slices.unchanged:
            report.items["unchanged"] = slices.unchanged
        if not report.errors and alone():  # else the text may be needed to resume, or by the other run
            sizes = Counter[Source]()
            for piece in logs.catalogue.pieces:
                sizes[slices.archives[piece.archive].source] += piece.size
            clear(unpacking, sizes)
    return report
