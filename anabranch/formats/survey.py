"""The first map: look at every file, and scan big ones in ranges for the quotes that decide where they can be cut."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import IO

import pyarrow as pa

from anabranch.core.batches import contiguous, part_count
from anabranch.core.errors import AnabranchError, SourceError, Stopped, as_ours, is_full
from anabranch.core.parts import Manifest, Outcome, Part, Plan, WorkFile, first_to_last
from anabranch.core.storage import fingerprint
from anabranch.formats.catalogue import File
from anabranch.formats.delimited import quotes
from anabranch.formats.meaning import require_read
from anabranch.formats.model import BLOCK, Look, require_bounded
from anabranch.formats.options import ReadOptions
from anabranch.formats.reading import cuttable, look_at, rows_before, with_types
from anabranch.schema.schema import load_schema
from anabranch.sources import codecs
from anabranch.sources.finding import require_unchanged
from anabranch.sources.source import Source

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

    @property
    def failures(self) -> tuple[str, ...]:
        """See Manifest; an empty file is left to the survey, which may leave it out."""
        errors = [one.error for one in self.seen if one.error]
        return tuple(str(error) for error in errors if error.code != "empty-source")


@dataclass(frozen=True, slots=True)
class Survey(Plan[LookPart]):
    """All files to look at."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of every source that was looked at, in the order of the survey."""

    files: tuple[File, ...]
    empty: tuple[Source, ...]  # which hold nothing at all
    errors: tuple[AnabranchError, ...]  # of those that cannot be read


def survey(sources: Sequence[Source], options: ReadOptions, folder: str, threads: int, key: str) -> Survey:
    """Peek into the big sources, and plan who looks at what; writes names in the work folder at most.

    `key` names the code that will look.
    """
    glances = [glance for source in sources for glance in _glances(source, options)]
    costs = [_seconds(glance) for glance in glances]
    batches = contiguous(costs, part_count(sum(costs), threads))
    parts = [_part(index, glances[batch.start : batch.stop], options, key) for index, batch in enumerate(batches)]
    return Survey(tuple(parts), folder, reads=tuple(WorkFile(source.path, source.size, 0) for source in sources))


def known(outcomes: Sequence[Outcome], options: ReadOptions) -> Known:
    """Gather what was seen of each source.

    Raises UsageError where the schema that the user gave cannot be used, or an option means nothing for any source.
    """
    given = load_schema(options.schema_file) if options.schema_file else None
    files: list[File] = []
    empty: list[Source] = []
    errors: list[AnabranchError] = []
    for source, seen in _seen(outcomes).items():
        try:
            files.append(_file(source, seen, given))
        except AnabranchError as error:
            if error.code == "empty-source" and options.on_empty == "skip":
                empty.append(source)
            else:
                error.part = error.part or source.label
                errors.append(error)
    if not errors:  # else the option may be meant for what could not be read
        require_read(options, {file.look.format for file in files})
    return Known(tuple(files), tuple(empty), tuple(errors))


def look(part: LookPart, stop: Callable[[], bool] = lambda: False) -> LookManifest:
    """Look at the part's files and ranges; a file that cannot be read gives an error of the manifest, and no look."""
    seen = []
    for glance in part.glances:
        if stop():
            raise Stopped
        try:
            seen.append(_see(glance, part.options))
        except (AnabranchError, OSError) as error:
            if is_full(error):  # of the work folder, into which a remote file was to be copied
                raise
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
    """Whether the ends of the file's records depend on its quotes."""
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
    """Find the first line that begins at or after each multiple of a block's size; the text's start and end, too.

    SourceError where a line is too long.
    """
    cuts = [start]
    for nominal in range(block, size, block):
        cuts.append(cuts[-1] if cuts[-1] >= nominal else _line_end(raw, cuts[-1], nominal - 1))
    return (*cuts, size)


def _line_end(raw: IO[bytes], before: int, at: int) -> int:
    """Return the place after the line that holds the byte `at`, and begins at or after `before`, where one begins."""
    raw.seek(at)
    while (piece := raw.readline(_PIECE)) and not piece.endswith(b"\n"):
        require_bounded(raw.tell() - at, f"the line at byte {at}", quotes.ONE_TEXT)
    end = raw.tell()
    if end - at > BLOCK:  # else it is no longer than two blocks
        raw.seek(before)
        begin = before + raw.read(at - before).rfind(b"\n") + 1
        require_bounded(end - begin, f"the record that starts at byte {begin}", quotes.ONE_TEXT)
    return end


def _part(index: int, glances: Sequence[Glance], options: ReadOptions, code: str) -> LookPart:
    label = first_to_last(glance.source.label for glance in glances)
    if len(glances) == 1 and glances[0].start:
        label = f"{label} from {glances[0].start >> 20} MiB"
    key = fingerprint("look", code, glances, options)
    return LookPart(index, label, sum(map(_seconds, glances)), key, tuple(glances), options)


def _seen(outcomes: Sequence[Outcome]) -> dict[Source, list[Seen]]:
    """Gather what was seen of each file, in the order of the survey."""
    found: dict[Source, list[Seen]] = {}
    for outcome in sorted(outcomes, key=lambda outcome: outcome.part.index):
        if isinstance(outcome.part, LookPart):
            for index, glance in enumerate(outcome.part.glances):
                seen = outcome.manifest.seen[index] if outcome.done else Seen(None, error=outcome.error)
                found.setdefault(glance.source, []).append(seen)
    return found


def _file(source: Source, seen: Sequence[Seen], given: pa.Schema | None) -> File:
    """Return where a file is cut, and which types its columns begin with."""
    for one in seen:
        if one.error:
            raise one.error
    look, cuts = seen[0].look, seen[0].cuts
    if look is None:
        raise SourceError("source-unreadable", "the start of the file was not examined", "Run the same command again.")
    if scannable(source, look):
        scans = [scan for one in seen for scan in one.scans]
        cuts = quotes.boundaries(scans, look, source.text_size, BLOCK, partial(rows_before, source, look))
    units = len(look.units) or max(len(cuts) - 1, 1)
    look = look if given is None else with_types(look, given)
    return File(source, look, units, cuts, look.schema, look.schema)
