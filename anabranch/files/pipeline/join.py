"""Gather what the parts of a pipeline brought: results to be written, failed records, counts and states."""

import json
import pickle
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from operator import itemgetter
from pathlib import Path

import orjson
import pyarrow as pa

from anabranch.core.errors import AnabranchError, SourceError, UsageError
from anabranch.core.parts import Outcome, Report, WorkFile
from anabranch.core.storage import shown
from anabranch.files import join as conversion
from anabranch.files.manifest import Entry
from anabranch.files.pipeline.functions import load_function
from anabranch.files.pipeline.options import PipelineOptions
from anabranch.files.pipeline.plan import Applying
from anabranch.files.pipeline.results import Made, as_record
from anabranch.files.pipeline.shares import Applied
from anabranch.files.pipeline.step import Step
from anabranch.files.pipeline.tally import Tally
from anabranch.files.plan import Piece, Segment, next_round
from anabranch.files.rejected import Rejects, with_limit
from anabranch.files.rounds import bad_row_error, failed_parts
from anabranch.formats.catalogue import File
from anabranch.schema.tables import folded

Spans = dict[int, list[Applied]]  # of each file, in order


def results(plan: Applying, outcomes: Sequence[Outcome], threads: int) -> Applying:
    """Make a conversion of what the function returned: without parts where it is written already.

    Raises the UsageError of a part: what the function does cannot be done in parts.
    """
    ordered = sorted(outcomes, key=lambda outcome: outcome.part.index)
    for outcome in ordered:
        if isinstance(outcome.error, UsageError):
            raise outcome.error
    plan = replace(plan, parts=(), converted=(*plan.converted, *ordered))
    done = spans(plan)
    failed = {**failed_parts(ordered), **_failed(plan, done)}
    files = [_written(plan, file, done[index]) for index, file in enumerate(plan.catalogue.files)]
    known = replace(plan, failed=failed, catalogue=replace(plan.catalogue, files=tuple(files)))
    if plan.options.lines:
        segments = (_segment(index, unit, one) for index, some in done.items() for unit, one in enumerate(some))
        return replace(known, segments=tuple(segments))
    return next_round(known, [index for index in range(len(files)) if index not in failed], threads)


def limited(plan: Applying) -> Applying:
    """Fail the files of which too many records could not be read, or made the function fail."""
    found: dict[int, Rejects] = {}
    for index, some in spans(plan).items():
        one = found.setdefault(index, Rejects())
        for span in some:
            one.add(span.rows, span.bad + span.failed, span.quarantine, span.first)
    return with_limit(plan, found)


def spans(plan: Applying) -> Spans:
    """Put what came of the spans in order, by file."""
    found: Spans = defaultdict(list)
    for outcome in plan.converted:
        if outcome.done:
            for one in outcome.manifest.segments:
                if isinstance(one, Applied):
                    found[one.piece.file].append(one)
    for some in found.values():
        some.sort(key=lambda one: (one.piece.first, one.piece.limit == 0, one.piece.share))
    return found


def join(plan: Applying, tally: Tally | None = None) -> Report:
    """Publish the results, and what was set aside; then call the final function. Needs no parts to be left.

    `tally` counts the records, and is not closed; without one the functions that the options name watch.
    """
    done = {index: some for index, some in spans(plan).items() if index not in plan.failed}
    for index, some in done.items():
        _require_accounted(plan.catalogue.files[index].source.label, some, batch=bool(plan.options.batch))
    counted = tally or _tally(plan.options)
    _count(counted, done)
    entries = conversion.publish(plan, partial(_aside, plan, done))
    aside = [Path(entry.quarantine) for entry in entries if entry.quarantine]
    if tally is None:
        counted.close()
    _clear(done)
    return _report(plan, done, entries, aside, counted)


def _failed(plan: Applying, done: Spans) -> dict[int, AnabranchError]:
    """Return the first error of each file, its row counted from the file's start."""
    found: dict[int, AnabranchError] = {}
    for index, some in done.items():
        label = plan.catalogue.files[index].source.label
        for one in some:
            before = _before(some, one)
            if one.error:
                found.setdefault(index, one.error)
            elif one.bad_row:
                found.setdefault(index, bad_row_error(one.bad_row, before, plan.catalogue.files[index]))
            elif one.failure:
                row, remedy = (
                    before + one.failure.index + 1,
                    "Fix the function, or choose --on-error skip or quarantine.",
                )
                reason = f"row {row}: {plan.options.function} raised {one.failure.error}: {one.failure.message}"
                found.setdefault(index, SourceError("function-failed", shown(reason), remedy, label))
    return found


def _written(plan: Applying, file: File, some: Sequence[Applied]) -> File:
    """Return a file as the conversion that writes its results sees it; spans that share a unit stay together."""
    if plan.options.lines:
        return replace(file, units=len(some), cuts=())
    units: dict[int, list[WorkFile]] = defaultdict(list)
    for one in some:
        units[one.piece.first] += [one.file] if one.file else []
    schema = folded(pa.schema([]), (schema for one in some for schema in one.schemas), plan.options.on_conflict)
    grouped = tuple(map(tuple, units.values()))
    return Made(file.source, file.look, len(grouped), (), schema, schema, grouped)


def _segment(index: int, unit: int, one: Applied) -> Segment:
    return Segment(Piece(index, unit, unit + 1), one.wall, one.results, file=one.file)


def _require_accounted(label: str, some: Sequence[Applied], *, batch: bool) -> None:
    """Raise where a record was lost: records = results + dropped + failed, unless the function makes its own rows."""
    for one in some:
        if not batch and one.rows != one.bad + one.results + one.dropped + one.failed:
            counts = (
                f"{one.rows} rows, {one.results} results, {one.dropped} dropped, {one.failed} failed, {one.bad} bad"
            )
            raise conversion.accounting(f"{label}: {counts}")


def _tally(options: PipelineOptions) -> Tally:
    trigger, final = (name and load_function(name) for name in (options.trigger, options.final))
    return Tally(Step.of(options, as_record), trigger or None, options.trigger_on, final or None)


def _count(tally: Tally, done: Spans) -> None:
    """Count everything in order, and merge the states."""
    for index in sorted(done):
        for one in done[index]:
            state = pickle.loads(Path(one.state.path).read_bytes()) if one.state else None  # noqa: S301  our own
            tally.add(one.rows - one.bad, one.dropped, one.failed, state)


def _aside(plan: Applying, done: Spans, group: Sequence[int]) -> Iterator[bytes]:
    """Yield the lines of the records that could not be read or failed, numbered and in order within their source."""
    for index in group:
        label, rows = plan.catalogue.files[index].source.label, []
        for one in done.get(index, ()):
            if one.quarantine:
                before = _before(done[index], one)
                lines = map(json.loads, Path(one.quarantine.path).read_bytes().splitlines())
                rows += [{"source": label, **row, "row": before + row["row"] + 1} for row in lines]
        for row in sorted(rows, key=itemgetter("row")):
            yield orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def _clear(done: Spans) -> None:
    for some in done.values():
        for one in some:
            for file in (one.file, one.quarantine, one.state):
                if file:
                    Path(file.path).unlink(missing_ok=True)


def _report(plan: Applying, done: Spans, entries: Sequence[Entry], aside: Sequence[Path], tally: Tally) -> Report:
    report = conversion.report(plan, entries)
    paths = {index: shown(plan.catalogue.files[index].source.path) for index in done}
    counts = {index: _counts(some) for index, some in done.items()}
    total = {name: sum(count[name] for count in counts.values()) for name in _counts([])}
    report.flow = "run-pipeline"
    report.items = {**{name: report.items[name] for name in ("files", "failed", "unchanged")}, **total}
    for index, count in counts.items():
        figures = report.details.setdefault(paths[index], {})
        report.details[paths[index]] = {
            **count,
            **{name: figures[name] for name in figures if name.startswith("bytes")},
        }
    report.outputs += [shown(str(path)) for path in aside if shown(str(path)) not in report.outputs]
    lost = total["failed_records"] + total["rows_set_aside"]
    if lost:
        where = f"see {', '.join(shown(str(path)) for path in aside)}" if aside else "and skipped"
        report.warnings.append(f"{lost:,} record{'s' * (lost != 1)} failed or could not be read, {where}")
    if plan.decision.reason:
        report.notes.append(str(plan.decision))
        report.details["auto"] = plan.decision.shown
    if tally.merged is not None:
        report.details["state"] = json.loads(json.dumps(tally.state, default=str))
    return report


def _counts(some: Sequence[Applied]) -> dict[str, int]:
    return {
        "records": sum(one.rows - one.bad for one in some),
        "rows": sum(one.results for one in some),
        "dropped": sum(one.dropped for one in some),
        "failed_records": sum(one.failed for one in some),
        "rows_set_aside": sum(one.bad for one in some),
    }


def _before(some: Sequence[Applied], one: Applied) -> int:
    """Count the rows of a file that come before the first unit of a span, from which the span counts."""
    return sum(other.rows for other in some if other.piece.stop <= one.piece.first)
