"""Join the parts' texts in the order of the plan, and publish a report for each archive and mode."""

import io
import shutil
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import IO

from anabranch.core.errors import AnabranchError, SourceError
from anabranch.core.parts import ErrorLine, Outcome, PartCounts, Report, Written
from anabranch.core.storage import published, require_room_for, shown
from anabranch.logs import modems
from anabranch.logs.archive import name_of
from anabranch.logs.charts import Gallery
from anabranch.logs.modems import Modems
from anabranch.logs.modes import CHARTED, EVENTS, FORMS
from anabranch.logs.plan import Listed, LogPart, LogPlan
from anabranch.logs.results import Result, read_results
from anabranch.logs.targets import chart_of, targets
from anabranch.sources.spans import Span, SpanFile

UNTAR_FAILED = "The untar failed with: ex failed with: 2: \n"


@dataclass(slots=True)
class _Joined:
    """What all parts together found in one archive."""

    text: dict[str, list[Span]] = field(default_factory=dict)
    modems: Modems = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    times: list[tuple[str, str, str]] = field(default_factory=list)  # of members, or parts of one, in their order
    read: int = 0
    damaged: int = 0


def join(plan: LogPlan, outcomes: Sequence[Outcome], output: str) -> Report:
    """Write every report, whatever the order in which the outcomes came; done again, it writes the same bytes.

    An archive of which nothing can be read, or of which a part failed for another reason than its own content, gets no
    report, lest a good one be replaced by none or by half of one; its errors are in the report that is returned.
    """
    ordered = sorted(outcomes, key=lambda outcome: outcome.part.index)
    joined = _collect(plan, ordered)
    _account(plan, ordered, joined)
    logs = [log for source in plan.sources for log in source.archive.logs]
    sources = [source.archive.source for source in plan.sources]
    paths = targets(sources, plan.modes, output, logs, charts=plan.charts)
    left = {*_halves(plan, ordered), *_unread(plan, joined)}
    _require_room(plan, joined, paths)
    written, gallery = list[Written](), Gallery(plan.zone)
    for index, source in enumerate(plan.sources):
        for mode in () if index in left else plan.modes:
            name = name_of(source.archive.source)
            path = paths[name, mode]
            path.parent.mkdir(parents=True, exist_ok=True)
            with published(path, keep_equal=True, written=written) as file:
                _write(file, mode, source, joined[index])
            if mode in CHARTED:
                text = _lines(joined[index].text.get(CHARTED[mode], []))
                place = paths.get((name, chart_of(mode)))
                chart = gallery.add(mode, source.archive.label, text, wanted=place is not None)
                if place and chart:
                    with published(place, keep_equal=True, written=written) as file:
                        file.write(chart.file.encode())
    gallery.finish()
    report = _report(plan, ordered, joined, written)
    return report.model_copy(update={"pictures": gallery.pictures, "notes": gallery.notes})


def _require_room(plan: LogPlan, joined: Sequence[_Joined], paths: Mapping[tuple[str, str], Path]) -> None:
    """Raise TemporaryError "disk-full" where the reports do not fit beside those that they replace."""
    sizes: dict[Path, int] = {}
    for source, one in zip(plan.sources, joined, strict=True):
        for mode in plan.modes:
            path = paths[name_of(source.archive.source), mode]
            sizes[path] = sum(span.size for span in one.text.get(mode, []))
    require_room_for(sizes)


def _halves(plan: LogPlan, outcomes: Sequence[Outcome]) -> Iterator[int]:
    """Yield the archives that were read in part only, though they may be whole."""
    ends = list(accumulate(source.pieces for source in plan.sources))
    for outcome in outcomes:
        if isinstance(outcome.part, LogPart) and not outcome.done:
            touched = range(bisect_right(ends, outcome.part.first), bisect_right(ends, outcome.part.stop - 1) + 1)
            yield from (index for index in touched if plan.sources[index].pieces)
    for index, source in enumerate(plan.sources):
        if source.error and not (isinstance(source.error, SourceError) and source.error.code == "archive-damaged"):
            yield index


def _unread(plan: LogPlan, joined: Sequence[_Joined]) -> Iterator[int]:
    """Yield the archives that are damaged before the first line of a log, or are not archives at all."""
    for index, source in enumerate(plan.sources):
        if source.error and not joined[index].counts["lines"]:
            yield index


def _collect(plan: LogPlan, outcomes: Sequence[Outcome]) -> list[_Joined]:
    joined = [_Joined() for _ in plan.sources]
    for outcome in outcomes:
        if outcome.done:
            index, *texts = outcome.manifest.files
            paths = {Path(text.path).name.partition(".")[2]: text.path for text in texts}
            for result in read_results(index):
                _add(joined[result.archive], result, paths)
    return joined


def _add(joined: _Joined, result: Result, paths: Mapping[str, str]) -> None:
    for stream, ranges in result.ranges.items():
        joined.text.setdefault(stream, []).extend(Span(paths[stream], begin, end - begin) for begin, end in ranges)
    modems.merge(joined.modems, result.modems)
    joined.counts.update(result.counts)
    joined.times += result.times
    joined.read += result.pieces
    joined.damaged += len(result.damaged)


def _account(plan: LogPlan, outcomes: Sequence[Outcome], joined: Sequence[_Joined]) -> None:
    """Raise unless every planned piece was read, damaged or in a part that failed, and every line has its place."""
    failed = sum(
        outcome.part.stop - outcome.part.first
        for outcome in outcomes
        if isinstance(outcome.part, LogPart) and not outcome.done
    )
    planned = sum(source.pieces for source in plan.sources)
    found = sum(one.read + one.damaged for one in joined)
    lines = Counter[str]()
    for one in joined:
        lines.update(one.counts)
    if planned != found + failed or _unmatched(lines) < 0:
        raise AnabranchError(
            "accounting",
            f"{planned} pieces were planned, {found} read, {failed} failed; lines: {dict(lines)}",
            "This is a defect of Anabranch: nothing was written. Please report it.",
        )


def _unmatched(lines: Mapping[str, int]) -> int:
    return lines.get("lines", 0) - sum(lines.get(kind, 0) for kind in ("blank", "undecodable", "candidates"))


def _write(file: IO[bytes], mode: str, source: Listed, joined: _Joined) -> None:
    form = FORMS[mode]
    file.write((UNTAR_FAILED if source.untar_failed else "").encode() + form.header.encode())
    with SpanFile(joined.text.get(mode, [])) as text:
        shutil.copyfileobj(text, file, 1 << 20)
    for line in form.footer(joined.modems, _lines(joined.text.get(EVENTS, []))):
        file.write(line.encode())


def _lines(spans: Sequence[Span]) -> Iterator[str]:
    with SpanFile(spans) as raw, io.TextIOWrapper(io.BufferedReader(raw), encoding="utf-8", newline="\n") as text:
        yield from text


def _report(
    plan: LogPlan, outcomes: Sequence[Outcome], joined: Sequence[_Joined], written: Sequence[Written]
) -> Report:
    every = [*plan.slices, *outcomes]
    errors = [error for outcome in every for error in outcome.errors]
    sources = [source.error for source in plan.sources if source.error]
    unsliced = [*plan.errors, *(error for error in sources if not any(error is known for known in errors))]
    counts = PartCounts.of(every)
    counts.total += len(unsliced)
    counts.failed += len(unsliced)
    warnings = [*plan.remarks, *(warning for source in plan.sources for warning in source.warnings)]
    warnings += [
        warning for source, one in zip(plan.sources, joined, strict=True) for warning in _backwards(source, one)
    ]
    warnings += [warning for outcome in outcomes if outcome.done for warning in outcome.manifest.warnings]
    return Report(
        flow="parse-logs",
        status="completed" if plan.sources or plan.errors else "nothing_to_do",
        parts=counts,
        items=_figures(plan, sum((one.counts for one in joined), Counter())) | _pieces(joined),
        bytes_in=sum(source.archive.source.size for source in plan.sources),
        bytes_out=sum(one.size for one in written),
        outputs=[one.name for one in written],
        written=list(written),
        errors=[ErrorLine.of(error) for error in [*errors, *unsliced]],
        warnings=warnings,
        details={
            source.archive.label: _figures(plan, one.counts) | _pieces([one])
            for source, one in zip(plan.sources, joined, strict=True)
        },
    )


def _backwards(source: Listed, joined: _Joined) -> Iterator[str]:
    """Tell where the log that is read next begins before the last time of the one before it."""
    for (before, _, last), (after, first, _) in pairwise(joined.times):
        if after != before and first < last:
            yield (
                f"{source.archive.label}: {shown(after)} is read after {shown(before)} but begins at {first}, "
                f"before that ends at {last}; the report is in the order of the names"
            )


def _figures(plan: LogPlan, counts: Mapping[str, int]) -> dict[str, int]:
    """Return the lines read, what was dropped and why, and the matches of each mode."""
    kinds = ("lines", "blank", "undecodable", "candidates", "untimed", "out_of_range", *plan.modes)
    return {kind: counts.get(kind, 0) for kind in kinds} | {"unmatched": _unmatched(counts)}


def _pieces(joined: Iterable[_Joined]) -> dict[str, int]:
    joined = list(joined)
    return {"pieces": sum(one.read for one in joined), "damaged": sum(one.damaged for one in joined)}
