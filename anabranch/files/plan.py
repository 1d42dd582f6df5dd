"""Plan the conversion: what is known of each file, its schema, and parts of consecutive blocks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from anabranch.core.batches import contiguous, part_count
from anabranch.core.errors import AnabranchError, SourceError
from anabranch.core.parts import Job, Manifest, Outcome, Part, Plan, WorkFile, first_to_last
from anabranch.core.storage import fingerprint, shown
from anabranch.files.listing import Listing
from anabranch.files.manifest import Entry
from anabranch.files.options import ConvertOptions
from anabranch.files.targets import targets
from anabranch.files.versions import code_key
from anabranch.formats.catalogue import Catalogue, File
from anabranch.formats.survey import Survey, known
from anabranch.schema.fit import BadRow
from anabranch.schema.schema import unify, writable
from anabranch.sources.source import Source

# Bytes of input that one core reads and writes as Parquet in a second: measured with eight columns.
_RATES = {"csv": 80e6, "tsv": 80e6, "jsonl": 40e6, "json": 25e6, "parquet": 30e6, "arrow": 150e6, "orc": 40e6}
_SLOW_RATE = 3e6  # of the formats that Python reads
_CODEC_RATIO = 4  # decompressed bytes for each compressed one
_FILE_SECONDS = 2e-3  # that each file costs whatever its size


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive units of a file, or all of it."""

    file: int  # index in the catalogue
    first: int
    stop: int


@dataclass(frozen=True, slots=True)
class ConvertPart(Part):
    """Consecutive pieces, in the order of the join."""

    catalogue: str
    folder: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """What came of a piece: a file of its rows, or why there is none."""

    piece: Piece
    seconds: float = 0.0
    rows: int = 0  # read, the bad ones included
    bad: int = 0
    file: WorkFile | None = None
    quarantine: WorkFile | None = None
    wider: tuple[pa.Schema, ...] = ()  # what its chunks need, in order, where that is more than what was planned
    bad_row: BadRow | None = None  # the first one, where none may be set aside; counted within the piece
    error: SourceError | None = None


@dataclass(frozen=True, slots=True)
class ConvertManifest(Manifest):
    """The segments of a part, piece by piece."""

    segments: tuple[Segment, ...] = ()

    @property
    def failures(self) -> tuple[str, ...]:
        """See Manifest: of each file that fails, its first reason."""
        found: dict[int, str] = {}
        for one in self.segments:
            if reason := str(one.error or (one.bad_row.reason if one.bad_row else "")):
                found.setdefault(one.piece.file, reason)
        return tuple(found.values())


@dataclass(frozen=True, slots=True)
class Conversion(Plan[ConvertPart]):
    """What is still to be converted, and what is known already."""

    catalogue: Catalogue[ConvertOptions] = field(default_factory=lambda: Catalogue((), ConvertOptions()))
    output: str = ""  # folder, or combined file
    outputs: tuple[str, ...] = ()  # path of each file's output
    looked: tuple[Outcome, ...] = ()
    converted: tuple[Outcome, ...] = ()  # of all rounds
    segments: tuple[Segment, ...] = ()  # those that are valid
    failed: Mapping[int, AnabranchError] = field(default_factory=dict)  # by file of the catalogue
    sources: tuple[Source, ...] = ()  # those that are not unchanged
    skipped: tuple[Source, ...] = ()  # those that hold nothing
    errors: tuple[AnabranchError, ...] = ()  # of files that are in no catalogue
    unchanged: tuple[Entry, ...] = ()  # outputs of an earlier run that are still valid
    warnings: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()  # on folders and patterns that gave nothing

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Of all maps so far."""
        return (*self.looked, *self.converted)

    @property
    def all_errors(self) -> tuple[AnabranchError, ...]:
        """Of the files that could not be looked at, then of those that could not be converted."""
        return (*self.errors, *(self.failed[index] for index in sorted(self.failed)))

    def written(self, named: Sequence[Path]) -> Sequence[Path]:
        """Leave out the outputs that are still valid, and those of sources that hold nothing or cannot be read."""
        made = set(self.outputs)
        return [path for path in named if str(path) in made]

    def notes(self) -> Iterator[tuple[str, str]]:
        """Yield as what each file is read, in how many blocks; which output is unchanged; why a file is unreadable."""
        for file in self.catalogue.files:
            yield "read as", f"{file.source.label}: {file.how}"
        for entry in self.unchanged:
            yield "unchanged", shown(entry.output)
        for error in self.all_errors:
            yield "fails", str(error)
        for source in self.skipped:
            yield "empty", source.label
        for remark in self.remarks:
            yield "warning", remark

    def save(self) -> None:
        """Write the catalogue, which the parts read."""
        self.catalogue.save(self.folder)


C = TypeVar("C", bound=Conversion)


def gathered(
    listing: Listing, unpacking: Sequence[Outcome], looks: Survey, looked: Sequence[Outcome], job: Job[ConvertOptions]
) -> Conversion:
    """Gather what is known of every file; no parts yet.

    Raises UsageError where the outputs' names, or the schema that the user gave, cannot be.
    """
    found = known(looked, job.options)
    warnings = [f"{file.source.label}: {warning}" for file in found.files for warning in file.look.warnings]
    warnings += [f"{source.label} is empty, and was left out" for source in found.empty]
    named = targets([file.source for file in found.files], job.options, job.output or "")
    return Conversion(
        (),
        listing.folder,
        reads=looks.reads,
        catalogue=Catalogue(found.files, job.options),
        outputs=tuple(str(named[file.source.path]) for file in found.files),
        output=job.output or "",
        looked=(*unpacking, *looked),
        sources=listing.sources,
        skipped=found.empty,
        errors=(*listing.errors, *found.errors),
        unchanged=listing.unchanged,
        warnings=(*listing.remarks, *warnings),
        remarks=listing.remarks,
    )


def first_round(gathered: Conversion, threads: int) -> Conversion:
    """Plan the first round, each file with the types that its head needs."""
    return next_round(gathered, range(len(gathered.catalogue.files)), threads)


def next_round(plan: C, files: Iterable[int], threads: int) -> C:
    """Plan the parts that convert these files of the catalogue, with outputs of the types that are known now."""
    catalogue = _agreed(plan.catalogue)
    pieces = [Piece(index, unit, unit + 1) for index in files for unit in range(catalogue.files[index].units)]
    costs = [_seconds(catalogue.files[piece.file]) / catalogue.files[piece.file].units for piece in pieces]
    agreed = replace(plan, catalogue=catalogue)
    parts = tuple(
        _part(agreed, index, list(_joined(pieces[run.start : run.stop])), sum(costs[run.start : run.stop]))
        for index, run in enumerate(contiguous(costs, part_count(sum(costs), threads)))
    )
    return replace(agreed, parts=parts)


def _agreed(catalogue: Catalogue[ConvertOptions]) -> Catalogue[ConvertOptions]:
    """Return the types of each output: combined, those that all files need together."""
    to = "" if catalogue.options.flatten else catalogue.options.to
    if not catalogue.options.combine:
        files = [replace(file, output=writable(file.schema, to)) for file in catalogue.files]
        return replace(catalogue, files=tuple(files))
    every = unify([file.schema for file in catalogue.files], catalogue.options.on_conflict)
    files = [
        replace(file, schema=pa.schema([every.field(name) for name in file.schema.names]), output=writable(every, to))
        for file in catalogue.files
    ]
    return replace(catalogue, files=tuple(files))


def _seconds(file: File) -> float:
    rate = _RATES.get(file.look.format, _SLOW_RATE)
    return _FILE_SECONDS + file.source.text_size * (_CODEC_RATIO if file.look.codec else 1) / rate


def _part(plan: Conversion, index: int, pieces: Sequence[Piece], cost: float) -> ConvertPart:
    files = plan.catalogue.files
    label, units = first_to_last(files[piece.file].source.label for piece in pieces), files[pieces[0].file].units
    if len(pieces) == 1 and units > 1:
        label = f"{label}, {pieces[0].first + 1} to {pieces[0].stop} of {units} blocks"
    used = [(files[piece.file].key, piece) for piece in pieces]
    key = fingerprint("convert", code_key(), plan.folder, used, plan.catalogue.options)
    return ConvertPart(index, label, cost, key, str(plan.catalogue.path(plan.folder)), plan.folder, tuple(pieces))


def _joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Join the pieces that follow each other in a file."""
    run: Piece | None = None
    for piece in pieces:
        if run and run.file == piece.file:
            run = replace(run, stop=piece.stop)
        else:
            if run:
                yield run
            run = piece
    if run:
        yield run
