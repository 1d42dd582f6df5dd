"""Plan a pipeline: measure the function with the first records, decide where it runs, cut the files into parts."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import cast

from anabranch.core.batches import contiguous, part_count
from anabranch.core.errors import UsageError
from anabranch.core.parts import Outcome, first_to_last
from anabranch.core.storage import fingerprint
from anabranch.files.pipeline.decision import Decision, Measured, decide
from anabranch.files.pipeline.options import PipelineOptions
from anabranch.files.pipeline.shares import Applied, ApplyPart, Span
from anabranch.files.plan import Conversion
from anabranch.files.versions import code_key
from anabranch.formats.catalogue import File

START_SECONDS = 3.7  # that a run takes longer on new processes: docs/decisions/0001
_ASSUMED = Measured(0, cpu=20e-6, wall=20e-6)  # where nothing is measured
_DENSITY = 0.01  # records per byte of text: the same
_CODEC_RATIO = 4  # bytes of text for each compressed one
_READING = 2e-6  # seconds for a record, to read it and to write what becomes of it
_FINER = 4  # shares of a unit for each part that it fills, so that parts become equal
_OF_WRITING = {"pattern", "combine", "compression", "trigger", "trigger_on", "final", "mode", "to", "max_rejects"}


@dataclass(frozen=True, slots=True)
class Applying(Conversion):
    """A conversion whose records go through a function first: its parts are ApplyParts."""

    applied: tuple[Applied, ...] = ()  # by the probe
    decision: Decision = field(default_factory=lambda: Decision("inline", 1, 1, ""))
    is_decided: bool = False  # before that, its one part is the probe

    @property
    def options(self) -> PipelineOptions:
        """Those of the run."""
        return cast(PipelineOptions, self.catalogue.options)


def probing(known: Conversion) -> Applying:
    """Plan one part that calls the function for the first records, where its cost must be known."""
    plan = Applying(**{one.name: getattr(known, one.name) for one in fields(known)})
    if plan.options.mode in ("process", "inline") or not plan.catalogue.files:
        return plan
    first = Span(0, 0, 1, limit=1 if plan.options.batch else 2)
    return replace(plan, parts=(_part(plan, 0, [first], 0.0),))


def applying(plan: Applying, probe: Sequence[Outcome], threads: int, start_seconds: float = START_SECONDS) -> Applying:
    """Decide by what the first records took, and plan the parts for all others.

    Raises the UsageError that the function's first records met: no other record would fare better.
    """
    for outcome in probe:
        if isinstance(outcome.error, UsageError):
            raise outcome.error
    seen = tuple(one for outcome in probe if outcome.done for one in outcome.manifest.segments)
    plan = replace(plan, parts=(), converted=tuple(probe), applied=seen)
    density = next((one.density for one in seen if one.density), _DENSITY)
    records = [_records(file, density) for file in plan.catalogue.files]
    measured = next((_measured(one) for one in seen if one.chunks), None)
    left = max(sum(records) - sum(one.rows for one in seen), 0.0)
    estimated = not all(file.look.units for file in plan.catalogue.files)
    decision = _decision(plan.options, measured, left, threads, start_seconds, estimated=estimated)
    plan = replace(
        plan, decision=decision, is_decided=True, python_seconds=math.inf if decision.mode == "process" else 0.0
    )
    per_record = _READING + _cost(measured or _ASSUMED, decision)
    return replace(plan, parts=tuple(_parts(plan, [count * per_record for count in records], threads)))


def _records(file: File, density: float) -> float:
    if file.look.units:
        return float(sum(file.look.units))
    return file.source.size * (_CODEC_RATIO if file.look.codec else 1) * density


def _measured(one: Applied) -> Measured:
    records = max(one.rows - one.bad, 1)
    return Measured(records, one.cpu / records, one.wall / records)


def _decision(
    options: PipelineOptions,
    measured: Measured | None,
    records: float,
    threads: int,
    start_seconds: float,
    *,
    estimated: bool,
) -> Decision:
    if measured and options.mode == "auto":
        return decide(measured, records, threads, options.chunk_size, start_seconds=start_seconds, estimated=estimated)
    if measured and options.mode == "thread" and measured.waits:
        return decide(measured, records, threads, options.chunk_size)
    mode = "inline" if options.mode == "auto" else options.mode
    return Decision(mode, 1 if mode == "inline" else threads, options.chunk_size, "")


def _cost(measured: Measured, decision: Decision) -> float:
    """Return the seconds that a record takes of the time of a part."""
    return measured.wall / decision.workers if measured.waits and decision.mode == "thread" else measured.cpu


def _parts(plan: Applying, costs: Sequence[float], threads: int) -> Iterator[ApplyPart]:
    count = part_count(sum(costs), threads)
    if plan.options.mode == "process":  # which one part would not need
        count = max(count, threads)
    lost = {one.piece.file for one in plan.applied if one.error or one.bad_row or one.failure}
    spans = [
        (span, cost)
        for index, file in enumerate(plan.catalogue.files)
        if index not in lost
        for span, cost in _spans(index, file, costs[index], sum(costs) / count, plan.applied)
    ]
    for index, run in enumerate(contiguous([cost for _, cost in spans], count)):
        some = spans[run.start : run.stop]
        yield _part(plan, index, list(_joined(span for span, _ in some)), sum(cost for _, cost in some), threads)


def _spans(
    index: int, file: File, cost: float, target: float, probed: Sequence[Applied]
) -> Iterator[tuple[Span, float]]:
    """Cut a file at its units, and those that would keep one worker too long into shares; each with its seconds."""
    divisible = bool(file.cuts or file.look.units)
    sizes = file.look.units or [stop - start for start, stop in pairwise(file.cuts)] or [1]  # rows, or bytes of text
    for unit, size in enumerate(sizes):
        own = cost * size / (sum(sizes) or 1)
        skip = max([max(one.chunks, 1) for one in probed if (one.piece.file, one.piece.first) == (index, unit)] or [0])
        parts = round(own / target) if divisible and own else 1
        shares = parts * _FINER if parts > 1 else 1
        for share in range(shares):
            yield Span(index, unit, unit + 1, share, 1, shares, skip), own / shares


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """Join the spans that follow each other: whole units of a file, or shares of one unit."""
    run: Span | None = None
    for span in spans:
        if run and (run.file, run.first, span.shares) == (span.file, span.first, run.shares):
            run = replace(run, taken=run.taken + 1)
        elif run and run.file == span.file and not any((run.skip, span.skip, run.shares > 1, span.shares > 1)):
            run = replace(run, stop=span.stop)
        else:
            if run:
                yield run
            run = span
    if run:
        yield run


def _part(plan: Applying, index: int, spans: Sequence[Span], cost: float, threads: int = 1) -> ApplyPart:
    files, decision = plan.catalogue.files, plan.decision
    used = [(files[span.file].key, span) for span in spans]
    options = plan.options.model_dump(exclude=_OF_WRITING)
    written = plan.options.to if plan.options.lines else "tables"
    key = fingerprint("apply", code_key(), plan.options.code, used, options, written)
    inner = -(-decision.workers // threads) if decision.mode == "thread" else 1
    path = str(plan.catalogue.path(plan.folder))
    alone = decision.mode == "inline"
    return ApplyPart(index, _label(files, spans), cost, key, path, plan.folder, tuple(spans), inner, alone)


def _label(files: Sequence[File], spans: Sequence[Span]) -> str:
    first, last = spans[0], spans[-1]
    label, units = first_to_last(files[span.file].source.label for span in spans), files[first.file].units
    if first.file != last.file:
        return label
    if first.limit:
        return f"{label}, the first records"
    many = first.first + 1 < last.stop
    numbers = f"blocks {first.first + 1} to {last.stop}" if many else f"block {last.stop}"
    blocks = f", {numbers} of {units}" if units > 1 else ""
    taken = f"shares {first.share + 1} to {first.share + first.taken} of {first.shares}"
    shares = f", {taken}" if first.taken < first.shares and not many else ""
    return f"{label}{blocks}{shares}"
