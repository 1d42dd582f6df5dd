"""The first map: look at every file, and scan big ones in ranges for the quotes that decide where they can be cut."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

from anabranch.core.batches import contiguous, part_count
from anabranch.core.errors import AnabranchError, Stopped, as_ours
from anabranch.core.parts import Job, Manifest, Outcome, Part, Plan, first_to_last
from anabranch.core.storage import fingerprint
from anabranch.files.listing import Listing, unpacked
from anabranch.files.options import ConvertOptions, ReadOptions
from anabranch.formats.delimited import quotes
from anabranch.formats.model import BLOCK, Look, Source, require_bounded
from anabranch.formats.reading import cuttable, look_at
from anabranch.sources import codecs
from anabranch.sources.finding import require_unchanged

_LOOK_SECONDS = 0.01  # per file
_SCAN_RATE = 800e6  # bytes that one core scans for quotes in a second
_BIG = 4  # blocks; a longer delimited file is scanned by several parts
_PIECE = 1 << 20  # bytes of a line that are read at once
_RANGE = 16  # blocks that one part scans


@dataclass(frozen=True, slots=True)
class Glance:
    """A file to look at, or a range of one whose head is known to be scanned."""

    source: Source
    look: Look | None = None
    start: int = 0
    stop: int = 0


@dataclass(frozen=True, slots=True)
class LookPart(Part):
    """Many files to look at, or a range of a big one."""

    glances: tuple[Glance, ...]
    options: ReadOptions


@dataclass(frozen=True, slots=True)
class Seen:
    """What a glance saw: the look where it was not known, the scan of each block's range where one is due."""

    look: Look | None
    scans: tuple[quotes.Scan, ...] = ()
    cuts: tuple[int, ...] = ()  # where no scan is needed to know them
    error: AnabranchError | None = None


@dataclass(frozen=True, slots=True)
class LookManifest(Manifest):
    """What was seen, glance by glance."""

    seen: tuple[Seen, ...] = ()


@dataclass(frozen=True, slots=True)
class Survey(Plan[LookPart]):
    """All files to look at."""

    listing: Listing = field(default_factory=lambda: Listing((), ""))
    unpacked: tuple[Outcome, ...] = ()


def survey(listing: Listing, outcomes: Sequence[Outcome], job: Job[ConvertOptions], key: str) -> Survey:
    """Peek into the big files, and plan who looks at what; writes names in the work folder at most.

    `key` names the code that will look.
    """
    glances = [glance for source in unpacked(listing, outcomes) for glance in _glances(source, job.options)]
    costs = [_seconds(glance) for glance in glances]
    batches = contiguous(costs, part_count(sum(costs), job.threads))
    parts = [_part(index, glances[batch.start : batch.stop], job.options, key) for index, batch in enumerate(batches)]
    return Survey(tuple(parts), listing.folder, reads=listing.reads, listing=listing, unpacked=tuple(outcomes))


def look(part: LookPart, stop: Callable[[], bool] = lambda: False) -> LookManifest:
    """Look at the part's files and ranges; a file that cannot be read gives an error of the manifest, and no look."""
    seen = []
    for glance in part.glances:
        if stop():
            raise Stopped
        try:
            seen.append(_see(glance, part.options))
        except (AnabranchError, OSError) as error:
            ours = as_ours(error, glance.source.label)
            ours.part = ours.part or glance.source.label
            seen.append(Seen(None, error=ours))
    return LookManifest((), {"files": len(seen)}, seen=tuple(seen))


def _glances(source: Source, options: ReadOptions) -> Iterator[Glance]:
    if source.text_size < _BIG * BLOCK:
        yield Glance(source)
        return
    try:
        known = look_at(source, options)
    except (AnabranchError, OSError):
        yield Glance(source)  # whose part reports the error
        return
    if not scannable(source, known):
        yield Glance(source, known)
        return
    for start in range(0, source.text_size, _RANGE * BLOCK):
        yield Glance(source, known, start, min(start + _RANGE * BLOCK, source.text_size))


def scannable(source: Source, known: Look) -> bool:
    """Whether only the quotes tell where the file's records end."""
    return cuttable(source, known) and known.dialect is not None


def _seconds(glance: Glance) -> float:
    return _LOOK_SECONDS + (glance.stop - glance.start or min(glance.source.text_size, _BIG * BLOCK)) / _SCAN_RATE


def _see(glance: Glance, options: ReadOptions) -> Seen:
    source, known = glance.source, glance.look or look_at(glance.source, options)
    scans: tuple[quotes.Scan, ...] = ()
    cuts: tuple[int, ...] = ()
    if scannable(source, known):
        ranges = range(glance.start, glance.stop or source.text_size, BLOCK)
        with codecs.open_source(source) as raw:
            scans = tuple(quotes.scan_range(raw, start, source.text_size, known, BLOCK) for start in ranges)
    elif cuttable(source, known):
        with codecs.open_source(source) as raw:
            cuts = line_cuts(raw, known.data_start, source.text_size, BLOCK)
    require_unchanged(source)
    return Seen(known if not glance.start else None, scans, cuts)


def line_cuts(raw: IO[bytes], start: int, size: int, block: int) -> tuple[int, ...]:
    """Find the first line that begins at or behind each multiple of a block's size; the text's begin and end, too.

    SourceError where a line is too long.
    """
    cuts = [start]
    for nominal in range(block, size, block):
        cuts.append(cuts[-1] if cuts[-1] >= nominal else _line_end(raw, cuts[-1], nominal - 1))
    return (*cuts, size)


def _line_end(raw: IO[bytes], before: int, at: int) -> int:
    """Give the place behind the line that holds the byte `at`, and begins at or behind `before`, where one begins."""
    raw.seek(at)
    while (piece := raw.readline(_PIECE)) and not piece.endswith(b"\n"):
        require_bounded(raw.tell() - at, f"the line at byte {at}", quotes.ONE_TEXT)
    end = raw.tell()
    if end - at > BLOCK:  # else it is no longer than two blocks
        raw.seek(before)
        begin = before + raw.read(at - before).rfind(b"\n") + 1
        require_bounded(end - begin, f"the record that begins at byte {begin}", quotes.ONE_TEXT)
    return end


def _part(index: int, glances: Sequence[Glance], options: ReadOptions, code: str) -> LookPart:
    label = first_to_last(glance.source.label for glance in glances)
    if len(glances) == 1 and glances[0].start:
        label = f"{label} from {glances[0].start >> 20} MiB"
    key = fingerprint("look", code, glances, options)
    return LookPart(index, label, sum(map(_seconds, glances)), key, tuple(glances), options)
