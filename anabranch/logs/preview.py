"""What a run would do, without doing it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from anabranch.core.parts import Job, Part, Plan
from anabranch.logs.options import LogOptions
from anabranch.logs.plan import plan
from anabranch.logs.way import planned


@dataclass(frozen=True, slots=True)
class Preview(Plan[Part]):
    """The parts that are known before anything is unpacked, and what is known of the sources."""

    about: tuple[tuple[str, str], ...] = ()

    def notes(self) -> Iterator[tuple[str, str]]:
        """Yield why an archive cannot be read, and why a folder or a pattern gave nothing."""
        yield from self.about


def preview(job: Job[LogOptions]) -> Preview:
    """Plan the unpacking of the archives that are packed, and the reading of the others; reads only."""
    slices = planned(job)
    own = tuple(archive for archive in slices.archives if archive.is_read_itself)
    logs = plan(replace(slices, archives=own), [], job.options, job.threads)
    parts: tuple[Part, ...] = (*slices.parts, *logs.parts)
    errors = [*logs.errors, *(source.error for source in logs.sources if source.error)]
    about = [("fails", str(error)) for error in errors] + [("warning", remark) for remark in logs.remarks]
    numbered = tuple(replace(part, index=index) for index, part in enumerate(parts))
    return Preview(numbered, slices.folder, reads=slices.reads, about=tuple(about))
