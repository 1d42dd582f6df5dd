"""Before all else: find the files, leave out what need not be done again, and cut the big compressed ones in slices."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from anabranch.core.errors import AnabranchError, SourceError
from anabranch.core.parts import Job, Outcome, Plan, WorkFile
from anabranch.core.storage import fingerprint
from anabranch.files.manifest import Entry, output_key, read_record, record_path
from anabranch.files.options import ConvertOptions
from anabranch.files.versions import code_key
from anabranch.formats.model import Source
from anabranch.sources import codecs, remote
from anabranch.sources.finding import find
from anabranch.sources.unpack import BIG, SlicePart, SourceSlice, slice_parts, slices, spans

_MAGIC = 16  # bytes that tell a codec


@dataclass(frozen=True, slots=True)
class Listing(Plan[SlicePart[SourceSlice]]):
    """All files to read, the parts that unpack the big compressed ones, and what is left out and why."""

    sources: tuple[Source, ...] = ()
    errors: tuple[SourceError, ...] = ()
    unchanged: tuple[Entry, ...] = ()  # outputs of an earlier run that need not be made again


def listed(job: Job[ConvertOptions]) -> Listing:
    """Find the files, and plan the unpacking; reads only. Raises UsageError where a source is missing."""
    found, code = find(job.source, job.output), code_key()
    standing = {} if job.refresh else _standing(job)
    groups = [found.sources] if job.options.combine else [(source,) for source in found.sources]
    keys = {output_key(code, group, job.options): group for group in groups}
    folder = job.work_dir / "files" / fingerprint(code, found.sources, job.output, job.options)
    left = [source for key, group in keys.items() if key not in standing for source in group]
    fresh = tuple(replace(source, work=str(folder)) for source in left)
    packed = [one for source in fresh for one in _slices(source, folder, job.threads, code)]
    return Listing(
        slice_parts(packed, job.threads),
        str(folder),
        reads=tuple(WorkFile(source.path, source.size, 0) for source in fresh),
        sources=fresh,
        errors=found.errors,
        unchanged=tuple(standing[key] for key in keys if key in standing),
    )


def unpacked(listing: Listing, outcomes: Sequence[Outcome]) -> list[Source]:
    """Give the sources, those that were unpacked with the place of their text."""
    of_source: dict[Source, list[SourceSlice]] = {}
    for part in listing.parts:
        for one in part.slices:
            of_source.setdefault(one.source, []).append(one)
    return [_unpacked(source, of_source.get(source, ()), outcomes) for source in listing.sources]


def _standing(job: Job[ConvertOptions]) -> dict[str, Entry]:
    """Give the outputs of earlier runs that are as they were left, by what they depend on."""
    output = job.output or ""
    record, place = read_record(record_path(job.options, output)), Path(remote.without_scheme(output))
    # the record may be one that was copied with its folder
    return {entry.key: entry for entry in record.standing if Path(entry.output).is_relative_to(place)}


def _slices(source: Source, folder: Path, threads: int, key: str) -> list[SourceSlice]:
    if source.size < BIG:
        return []
    try:
        with codecs.open_source(source) as raw:
            return slices(source, codecs.sniff(raw.read(_MAGIC)), folder, threads, key)
    except (AnabranchError, OSError):  # who looks at the file reports it
        return []


def _unpacked(source: Source, cut: Sequence[SourceSlice], outcomes: Sequence[Outcome]) -> Source:
    found = spans(cut, outcomes) if cut else None
    return replace(source, spans=tuple(found), packed=cut[0].codec) if found else source
