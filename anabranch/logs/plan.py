"""Plan the reading: list the logs of every archive, cut them into pieces, and group the pieces into parts."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from anabranch.core.batches import contiguous, part_count
from anabranch.core.errors import AnabranchError, SourceError, TemporaryError, as_ours
from anabranch.core.parts import Outcome, Part, Plan
from anabranch.core.storage import fingerprint, shown
from anabranch.logs.archive import Archive
from anabranch.logs.catalogue import Catalogue, Piece
from anabranch.logs.members import TAR_BLOCK, Listing, beside, listing
from anabranch.logs.options import LogOptions
from anabranch.logs.reading import OF_GZIP, codec_of
from anabranch.logs.timestamps import Clock
from anabranch.logs.unpack import Survey, code_key
from anabranch.logs.zones import rules_of
from anabranch.sources.spans import Span, SpanFile
from anabranch.sources.unpack import Preceding, preceding

# Bytes that one core reads, scans and matches in a second, and the share of that which holds the GIL: measured with
# six modes on text of which 6 % are candidate lines, gzipped to a fifth.
_TEXT_RATE, _GZIP_RATE, _PYTHON_SHARE = 130e6, 25e6, 0.5
_PIECE_SECONDS = 5e-5  # that each piece costs whatever its size, all of it in Python (10,000 members of 2 KB)
_PIECE = 16 << 20  # bytes of plain text; gzip cannot be cut
_LOOK = 64 << 10  # bytes read at a time in search of a line's end


@dataclass(frozen=True, slots=True)
class LogPart(Part):
    """Consecutive pieces of the catalogue, to be read for some modes."""

    catalogue: str
    first: int
    stop: int
    folder: str
    modes: tuple[str, ...]
    clock: Clock


@dataclass(frozen=True, slots=True)
class Listed:
    """What became of one archive up to the plan."""

    archive: Archive
    pieces: int
    untar_failed: bool  # whether the report says so in its first line
    error: AnabranchError | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LogPlan(Plan[LogPart]):
    """The parts to read, and what the join must know of their archives."""

    catalogue: Catalogue = field(default_factory=lambda: Catalogue((), (), (), ()))
    sources: tuple[Listed, ...] = ()
    modes: tuple[str, ...] = ()
    zone: str = "UTC"
    charts: bool = False  # whether they are written beside the reports
    slices: tuple[Outcome, ...] = ()
    errors: tuple[AnabranchError, ...] = ()  # of the archives that are left out
    remarks: tuple[str, ...] = ()  # on what was named and is not read

    def save(self) -> None:
        """Write the catalogue, which the parts read."""
        if self.parts:
            self.catalogue.save(self.folder)


class _Stream(NamedTuple):
    """An archive's tar stream as far as it could be unpacked, the logs in it, and why it ends there."""

    spans: list[Span]
    listed: Listing
    error: AnabranchError | None = None

    def with_remarks(self, remarks: Sequence[str]) -> "_Stream":
        return self._replace(listed=self.listed._replace(remarks=(*self.listed.remarks, *remarks)))


def plan(slices: Survey, outcomes: Sequence[Outcome], options: LogOptions, threads: int) -> LogPlan:
    """Plan the reading of all logs that the unpacked slices hold.

    An archive that cannot be read to its end contributes what precedes the damage, and a SourceError.
    """
    unpacked = preceding(outcomes)
    streams, cut, sparse = [], list[tuple[Piece, float]](), list[list[Span]]()
    for index, archive in enumerate(slices.archives):
        try:
            stream, unread = _stream(archive, unpacked.get(archive.source, Preceding([]))), list[str]()
            for member in stream.listed.members:
                spans, place = member.spans(stream.spans), (index, member.start)
                if member.sparse:
                    place = (len(slices.archives) + len(sparse), 0)
                    sparse.append(spans)
                codec = codec_of(spans)
                own = "" if codec in OF_GZIP else codec
                if own and options.codecs == "gzip":
                    unread.append(f"{shown(member.name)} is {own}, which gzip does not undo; --codecs all reads it")
                    own = codec = ""
                log = Piece(index, member.name, *place, 0, member.regular, own)
                cut += _cut(log, spans, compressed=bool(codec))
            stream = stream.with_remarks(unread)
        except (OSError, TemporaryError) as error:  # the other archives can be read
            stream = _Stream([], Listing([]), as_ours(error, archive.label))
        streams.append(stream)
    pieces, costs = tuple(piece for piece, _ in cut), [cost for _, cost in cut]
    catalogue = Catalogue(
        tuple(archive.label for archive in slices.archives),
        tuple(archive.files if archive.is_read_itself else () for archive in slices.archives),
        (*(stream.spans for stream in streams), *sparse),
        pieces,
    )
    counts = Counter(piece.archive for piece in pieces)
    sources = [
        _source(archive, stream, counts[index])
        for index, (archive, stream) in enumerate(zip(slices.archives, streams, strict=True))
    ]
    return LogPlan(
        tuple(_parts(catalogue, costs, slices, options, threads)),
        slices.folder,
        python_seconds=(sum(costs) - len(costs) * _PIECE_SECONDS) * _PYTHON_SHARE + len(costs) * _PIECE_SECONDS,
        reads=slices.reads,
        catalogue=catalogue,
        sources=tuple(sources),
        modes=tuple(options.mode),
        zone=options.timezone,
        charts=options.charts,
        slices=tuple(outcomes),
        errors=slices.errors,
        remarks=slices.remarks,
    )


def _stream(archive: Archive, unpacked: Preceding) -> _Stream:
    """Find the archive's tar stream, up to the first slice that failed, and the logs in it."""
    if not archive.is_read_itself:
        return _Stream(unpacked.spans, listing(unpacked.spans), unpacked.error)
    spans = [Span(file.path, 0, file.size) for file in archive.files]
    return _Stream(
        spans, beside([(Path(log.path).name, log.size) for log in archive.logs]) if archive.logs else listing(spans)
    )


def _source(archive: Archive, stream: _Stream, pieces: int) -> Listed:
    error = stream.error
    if error is None and stream.listed.fault:
        error = SourceError(
            "archive-damaged",
            f"cannot be listed to its end ({stream.listed.fault})",
            "The report holds what precedes the damage, if anything. Give a tar archive, plain or in bzip2, gzip, xz.",
            archive.label,
        )
    # tar says nothing of less than a block that comes from a decompressor
    quiet = bool(archive.codec) and not stream.error and sum(span.size for span in stream.spans) < TAR_BLOCK
    remarks = tuple(f"{archive.label}: {remark}" for remark in stream.listed.remarks)
    return Listed(archive, pieces, error is not None and not quiet, error, remarks)


def _cut(log: Piece, spans: Sequence[Span], *, compressed: bool) -> Iterator[tuple[Piece, float]]:
    """Cut a log, of which these are the bytes, into pieces of whole lines where it is plain text; yield their seconds.

    `log` is a piece without a size, which begins where the log does.
    """
    size = sum(span.size for span in spans)
    ends = [] if compressed else _line_ends(spans, size)
    for begin, end in pairwise([0, *ends, size]):
        piece = log._replace(start=log.start + begin, size=end - begin)
        yield piece, _PIECE_SECONDS + piece.size / (_GZIP_RATE if compressed else _TEXT_RATE)


def _line_ends(spans: Sequence[Span], size: int) -> list[int]:
    """Find a line end after every multiple of the size of a piece, if there is one before the next."""
    ends = []
    with SpanFile(spans) as file:
        for nominal in range(_PIECE, size, _PIECE):
            end = _line_end(file, nominal, min(nominal + _PIECE, size))
            if end < min(nominal + _PIECE, size):
                ends.append(end)
    return ends


def _line_end(file: SpanFile, start: int, stop: int) -> int:
    file.seek(start)
    while start < stop and (data := file.read(_LOOK)):
        found = data.find(b"\n") + 1
        if found:
            return start + found
        start += len(data)
    return stop


def _parts(
    catalogue: Catalogue, costs: Sequence[float], slices: Survey, options: LogOptions, threads: int
) -> Iterator[LogPart]:
    if not costs:
        return
    path = catalogue.path(slices.folder)
    modes, clock, rules = tuple(sorted(options.mode)), options.clock(), rules_of(options.timezone)
    for index, run in enumerate(contiguous(costs, part_count(sum(costs), threads))):
        pieces = catalogue.pieces[run.start : run.stop]
        used = [slices.archives[number] for number in sorted({piece.archive for piece in pieces})]
        content = [(archive.label, archive.digest, archive.codec) for archive in used]
        key = fingerprint("logs", code_key(), content, pieces, modes, rules, clock.begin, clock.end)
        label = " to ".join(
            dict.fromkeys(
                f"{catalogue.labels[piece.archive]}/{shown(piece.member)}" for piece in (pieces[0], pieces[-1])
            )
        )
        cost = sum(costs[run.start : run.stop])
        yield LogPart(index, label, cost, key, str(path), run.start, run.stop, slices.folder, modes, clock)
