"""Plan to undo the outer compression: every archive is cut into slices, each a range of its tar stream."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from anabranch.core import versions
from anabranch.core.errors import AnabranchError, SourceError, as_ours
from anabranch.core.parts import Outcome, Part, WorkFile
from anabranch.core.storage import fingerprint
from anabranch.logs.archive import Archive, archives, look
from anabranch.logs.leaving_out import leave_out
from anabranch.logs.members import Member, listing
from anabranch.sources import remote
from anabranch.sources.source import Source
from anabranch.sources.unpack import (
    Manner,
    Packed,
    SliceManifest,
    SlicePart,
    Slices,
    SourceSlice,
    preceding,
    unpack,
    unpacking,
)

# Compressed bytes that one core unpacks in a second (measured with logs that are gzipped inside).
_RATES = {"bz2": 14e6, "gz": 60e6, "xz": 40e6, "zst": 200e6, "lz4": 400e6, "": 400e6}
_QUICK = ("gz", "zst", "lz4")
_WHOLE = 4 << 20  # bytes; a smaller file is not worth cutting
_LIBRARIES = ("ahocorasick-rs", "isal", "pyarrow", "python-dateutil")  # what they find decides what is written


@dataclass(frozen=True, slots=True)
class Survey(Slices):
    """The slices to unpack, and all archives; a plain one needs no slice.

    `errors` are of the archives that cannot even be opened, and are left out; `remarks` tell of what is not read.
    """

    archives: tuple[Archive, ...] = ()
    errors: tuple[AnabranchError, ...] = ()
    remarks: tuple[str, ...] = ()
    unchanged: int = 0  # archives that are done


IsDone = Callable[[Source, Sequence[Source]], bool]  # whether an archive, or a folder with these logs, is done


def survey(
    source: Sequence[str], work_dir: Path, threads: int, most: str = "", done: IsDone = lambda *_: False
) -> Survey:
    """Find the archives, read each once for its fingerprint, and cut the work of unpacking; writes nothing.

    Those that are `done` are only counted.
    Raises UsageError where a source is missing or two archives have the same name.
    """
    found = archives(source)
    looked, errors = list[Archive](), list[AnabranchError](found.errors)
    left = [one for one in found.sources if not done(one, found.logs.get(one, ()))]
    for one in left:
        try:
            looked.append(look(one, found.logs.get(one, ())))
        except OSError as error:
            reason = error.strerror or str(error)
            errors.append(SourceError("source-unreadable", reason, "Fix that, and run again.", one.label))
        except AnabranchError as error:
            errors.append(as_ours(error, one.label))
    facts = [(one.source.path, one.source.size, one.codec, one.digest) for one in looked]
    folder = work_dir / "logs" / fingerprint(code_key(), facts)
    packed = [Packed(replace(one.source, most=most), one.codec, one.digest) for one in looked if not one.is_read_itself]
    return Survey(
        unpacking(packed, Manner(_RATES, _WHOLE, keeps=True), folder, threads, code_key()),
        str(folder),
        reads=tuple(WorkFile(file.path, file.size, 0) for one in looked for file in one.files),
        sources=tuple(one.source for one in looked),
        archives=tuple(looked),
        errors=tuple(errors),
        remarks=found.remarks,
        unchanged=len(found.sources) - len(left),
    )


def unpack_logs(part: SlicePart, stop: Callable[[], bool] = lambda: False) -> SliceManifest:
    """Write what the part's slices hold, as `sources.unpack` does, but leave out big entries that are not logs."""
    return unpack(part, stop, leave_out)


def incomplete(slices: Survey, outcomes: Sequence[Outcome]) -> Survey:
    """Plan to unpack again, with everything in them, the slices of which a link of a log's name needs what is left out.

    The parts have the place of those that they replace, and write the same files.
    """
    holes = {name: found for one in outcomes if one.done for name, found in one.manifest.holes.items() if found}
    needed = set[str]()
    for told in preceding(outcomes).values() if holes else ():
        first = told.spans[0].path if told.spans else ""
        left_out = holes.get(Path(first).name, ())
        if left_out and any(_overlap(member, left_out) for member in listing(told.spans).members):
            needed.add(first)
    parts = [part for one in outcomes if isinstance(part := one.part, SlicePart) and needed.intersection(_files(part))]
    return replace(slices, parts=tuple(replace(part, key=fingerprint("complete", part.key)) for part in parts))


def replaced(outcomes: Sequence[Outcome], again: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes, and in place of some of them those of the parts that write the same files."""
    written = {file for outcome in again for file in _files(outcome.part)}
    return [*(outcome for outcome in outcomes if not written.intersection(_files(outcome.part))), *again]


def _files(part: Part) -> list[str]:
    return [one.target for one in part.slices] if isinstance(part, SlicePart) else []


def clear(outcomes: Sequence[Outcome], logs: Mapping[Source, int]) -> None:
    """Remove the unpacked text that the next run would hardly miss; `logs` has the bytes of each archive's logs.

    That is the text that is unpacked again as fast as a disk reads it, and what is less than half logs. The rest stays
    until no run has used it for a week: that of bz2 and xz, and what came from a server.
    """
    written, found = Counter[Source](), list[SourceSlice]()
    for outcome in outcomes:
        sizes = {Path(file.path).name: file.size for file in outcome.manifest.files}
        for one in outcome.part.slices if isinstance(outcome.part, SlicePart) else ():
            name = Path(one.target).name
            written[one.source] += sizes.get(name, 0) - sum(size for _, size in outcome.manifest.holes.get(name, ()))
            found.append(one)
    for one in found:
        is_quick = one.codec in _QUICK and not remote.is_url(one.source.path)
        if is_quick or 2 * logs.get(one.source, 0) < written[one.source]:
            Path(one.target).unlink(missing_ok=True)


def _overlap(member: Member, holes: Sequence[tuple[int, int]]) -> bool:
    stop = member.start + member.size
    return any(begin < stop and member.start < begin + size for begin, size in holes)


def code_key() -> str:
    """Fingerprint the code, the rules and the libraries that decide the bytes of the reports."""
    return versions.code_key("core", "sources", "logs", libraries=_LIBRARIES)
