"""Before all else: find the files, leave out what need not be done again, and cut the big compressed ones in slices."""

from dataclasses import dataclass, replace
from pathlib import Path

from anabranch.core.errors import SourceError
from anabranch.core.parts import Job
from anabranch.core.storage import fingerprint
from anabranch.files.manifest import Entry, left_by_runs, output_key, read_record, record_path
from anabranch.files.options import ConvertOptions
from anabranch.files.versions import code_key
from anabranch.sources import remote
from anabranch.sources.finding import find
from anabranch.sources.unpack import Slices, slices


@dataclass(frozen=True, slots=True)
class Listing(Slices):
    """The sources to read, the parts that unpack the big compressed ones, and what is left out and why."""

    errors: tuple[SourceError, ...] = ()
    unchanged: tuple[Entry, ...] = ()  # outputs of an earlier run that need not be made again
    remarks: tuple[str, ...] = ()  # on folders and patterns that gave nothing


def listed(job: Job[ConvertOptions]) -> Listing:
    """Find the files, and plan the unpacking; reads only. Raises UsageError where a source is missing."""
    found, code = find(job.source, leave_out=left_by_runs(job.output)), code_key()
    standing = {} if job.refresh else _standing(job)
    groups = [found.sources] if job.options.combine else [(source,) for source in found.sources]
    keys = {output_key(code, group, job.options): group for group in groups}
    folder = job.work_dir / "files" / fingerprint(code, found.sources, job.output, job.options)
    left = [source for key, group in keys.items() if key not in standing for source in group]
    cut = slices(
        [replace(source, work=str(folder), most=job.options.max_unpacked or "") for source in left],
        folder,
        job.threads,
        code,
    )
    return Listing(
        cut.parts,
        cut.folder,
        reads=cut.reads,
        sources=cut.sources,
        errors=found.errors,
        unchanged=tuple(standing[key] for key in keys if key in standing),
        remarks=found.remarks,
    )


def _standing(job: Job[ConvertOptions]) -> dict[str, Entry]:
    """Return the outputs of earlier runs that are as they were left, by what they depend on."""
    output = job.output or ""
    record, place = read_record(record_path(job.options, output)), Path(remote.without_scheme(output))
    # the record may be one that was copied with its folder
    return {entry.key: entry for entry in record.standing if Path(entry.output).is_relative_to(place)}
