"""Join the segments of every file in order, and publish each output with the record of what it was made of."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from itertools import accumulate
from pathlib import Path

from anabranch.core.errors import AnabranchError, TemporaryError
from anabranch.core.parts import ErrorLine, PartCounts, Report, WorkFile, Written
from anabranch.core.storage import published, require_room_for, shown
from anabranch.files.manifest import (
    Entry,
    SourceEntry,
    begin_record,
    locked,
    output_key,
    read_record,
    record_path,
    write_record,
)
from anabranch.files.plan import Conversion, Segment
from anabranch.files.versions import code_key
from anabranch.formats.catalogue import File
from anabranch.formats.quarantine import join_quarantine
from anabranch.formats.writing import join_segments
from anabranch.schema.schema import dump_schema

_Segments = Mapping[int, Sequence[Segment]]
_COLUMNAR = ("parquet", "arrow", "orc")
_WRITERS = 8  # outputs written at once, since they wait for the disk rather than for a core


Aside = Callable[[Sequence[int]], Iterable[bytes]]  # of the files that make one output


def _nothing(_group: Sequence[int]) -> Iterable[bytes]:
    return ()


def join(plan: Conversion) -> Report:
    """Publish all outputs and the record of them; done again, it writes the same bytes."""
    return report(plan, publish(plan))


def publish(plan: Conversion, aside: Aside = _nothing) -> list[Entry]:
    """Publish the output of every source that was read to its end; return what the record says of them.

    `aside` yields lines for an output's quarantine, before those of the rows that did not fit.

    A source that failed gets no output, and an older one stays as it is. Combined, one that failed leaves all without.
    Raises TemporaryError, and writes nothing, where another run has taken away what this one would join.
    """
    segments, groups = _by_file(plan), published_groups(plan)
    options = plan.catalogue.options
    record = record_path(options, plan.output)
    if not groups and not plan.all_errors and not read_record(record).errors:
        _require_there(plan)
        return []
    with locked(record):
        _require_there(plan)
        _require_room(plan, segments, groups)
        begin_record(record, [plan.outputs[group[0]] for group in groups])
        with ThreadPoolExecutor(_WRITERS) as pool:
            entries = list(pool.map(partial(_publish, plan, segments, aside), groups))
        lines = [ErrorLine.of(error) for error in plan.all_errors]
        write_record(record, options, [*plan.unchanged, *entries], lines)
        _clear(plan)
    return entries


def published_groups(plan: Conversion) -> list[list[int]]:
    """Return the files of each output that can be written, in the order in which `publish` returns their entries."""
    options, files = plan.catalogue.options, plan.catalogue.files
    whole = [index for index in range(len(files)) if index not in plan.failed]
    if options.combine:
        return [whole] if whole and not plan.all_errors else []
    return [[index] for index in whole]


def _require_there(plan: Conversion) -> None:
    """Raise TemporaryError where other runs, or people, took away or changed what this one relies on."""
    changed = [shown(Path(entry.output).name) for entry in plan.unchanged if not entry.stands]
    changed += [
        plan.catalogue.files[segment.piece.file].source.label
        for segment in plan.segments
        for file in (segment.file, segment.quarantine)
        if file and segment.piece.file not in plan.failed and not _has_size(file)
    ]
    if changed:
        raise TemporaryError(
            "file-changed",
            "its output or a work file is gone, or was changed since this run wrote it, perhaps by another run",
            "Run the same command again.",
            changed[0],
        )


def _require_room(plan: Conversion, segments: _Segments, groups: Sequence[Sequence[int]]) -> None:
    """Raise TemporaryError "disk-full" where the outputs do not fit beside those that they replace."""
    least = 0.5 if plan.catalogue.options.to in _COLUMNAR else 1.0  # of small segments much is no data
    require_room_for(
        {
            Path(plan.outputs[group[0]]): int(
                least * sum(one.file.size for index in group for one in segments[index] if one.file)
            )
            for group in groups
        }
    )


def _has_size(file: WorkFile) -> bool:
    """Whether a work file is there, whole; another run may have written the same rows again, at another time."""
    try:
        return Path(file.path).stat().st_size == file.size
    except OSError:
        return False


def _clear(plan: Conversion) -> None:
    """Remove the segments of all rounds of what is published; those of a source that failed may serve the next run."""
    for segment in (*plan.segments, *_of_all_rounds(plan)):
        if segment.piece.file not in plan.failed and not (plan.catalogue.options.combine and plan.all_errors):
            texts = [span.path for span in plan.catalogue.files[segment.piece.file].source.spans]
            for path in (*(file.path for file in (segment.file, segment.quarantine) if file), *texts):
                Path(path).unlink(missing_ok=True)


def _of_all_rounds(plan: Conversion) -> Iterator[Segment]:
    """Yield also the segments that were written again, with wider types; a pipeline clears what its own steps wrote."""
    for outcome in plan.converted:
        segments = outcome.manifest.segments if outcome.done else ()
        yield from (segment for segment in segments if type(segment) is Segment)


def _by_file(plan: Conversion) -> dict[int, list[Segment]]:
    """Put the segments of each file in order; a file that is not failed must have all of its units."""
    found: dict[int, list[Segment]] = defaultdict(list)
    for segment in sorted(plan.segments, key=lambda segment: (segment.piece.file, segment.piece.first)):
        found[segment.piece.file].append(segment)
    for index, file in enumerate(plan.catalogue.files):
        ends = [0, *(segment.piece.stop for segment in found[index])]
        begins = [*(segment.piece.first for segment in found[index]), file.units]
        if index not in plan.failed and ends != begins:
            raise accounting(f"{file.source.label} has {file.units} units, of which {begins} to {ends} were converted")
    return found


def _publish(plan: Conversion, segments: _Segments, aside: Aside, group: Sequence[int]) -> Entry:
    """Write one output, and beside it the rows that were set aside; rows read = rows written + rows set aside."""
    options, files = plan.catalogue.options, [plan.catalogue.files[index] for index in group]
    sources = plan.sources if options.combine else [file.source for file in files]  # combined, also those without a row
    ordered = [segment for index in group for segment in segments[index]]
    target = Path(plan.outputs[group[0]])
    target.parent.mkdir(parents=True, exist_ok=True)
    done: list[Written] = []
    with published(target, written=done) as out:
        parts = [Path(segment.file.path) for segment in ordered if segment.file]
        written = join_segments(parts, out, options.to, files[0].output, options)
        read, bad = sum(segment.rows for segment in ordered), sum(segment.bad for segment in ordered)
        if read != written + bad:
            raise accounting(f"{target.name}: {read} rows were read, {written} written, {bad} set aside")
        out.flush()
        left = os.fstat(out.fileno())  # what was written here, even if another run then writes to the same name
    quarantine = _publish_quarantine(target, [*aside(group)], ordered, done)
    return Entry(
        key=output_key(code_key(), sources, options),
        output=str(target),
        size=left.st_size,
        modified_ns=left.st_mtime_ns,
        rows=written,
        columns=dump_schema(files[0].output),
        quarantine=str(quarantine) if quarantine else None,
        written=done,
        sources=[_source(file, segments[index]) for index, file in zip(group, files, strict=True)],
    )


def _publish_quarantine(
    target: Path, lines: Sequence[bytes], ordered: Sequence[Segment], done: list[Written]
) -> Path | None:
    before = [0, *accumulate(segment.rows for segment in ordered)]
    path = target.with_name(f"{target.name}.quarantine.jsonl")
    if not lines and not any(segment.bad for segment in ordered):
        path.unlink(missing_ok=True)  # that of an earlier run tells of rows that are none of this output's
        return None
    with published(path, written=done) as out:
        out.writelines(lines)
        join_quarantine(((rows, segment.quarantine) for rows, segment in zip(before, ordered, strict=False)), out)
    return path


def _source(file: File, segments: Sequence[Segment]) -> SourceEntry:
    return SourceEntry(
        path=shown(file.source.path),
        size=file.source.size,
        format=file.look.format,
        codec=file.source.packed or file.look.codec,
        encoding=file.look.encoding,
        dialect=asdict(file.look.dialect) if file.look.dialect else None,
        rows=sum(segment.rows for segment in segments),
        bad_rows=sum(segment.bad for segment in segments),
    )


def report(plan: Conversion, entries: Sequence[Entry]) -> Report:
    """Return what became of every source."""
    errors = [ErrorLine.of(error) for error in plan.all_errors]
    converted = [source for entry in entries for source in entry.sources]
    bad = sum(source.bad_rows for source in converted)
    return Report(
        flow="convert-files",
        status="completed" if entries or errors else "nothing_to_do",
        parts=_counts(plan),
        items={
            "files": len(plan.catalogue.files) + len(plan.errors) + len(plan.unchanged),
            "converted": len(converted),
            "unchanged": len(plan.unchanged),
            "failed": len(errors),
            "rows": sum(source.rows for source in converted),
            "rows_set_aside": bad,
        },
        bytes_in=sum(source.size for source in converted),
        bytes_out=sum(entry.size for entry in entries),
        outputs=[shown(entry.output) for entry in entries]
        + [shown(entry.quarantine) for entry in entries if entry.quarantine],
        written=[one for entry in entries for one in entry.written],
        errors=errors,
        warnings=warnings_of(plan, entries),
        details={shown(source.path): _figures(entry, source) for entry in entries for source in entry.sources},
    )


def warnings_of(plan: Conversion, entries: Sequence[Entry]) -> list[str]:
    """Return what the user should know although it is not an error: sheets left out, empty sources, rows set aside."""
    return [*plan.warnings, *_set_aside(entries)]


def _set_aside(entries: Sequence[Entry]) -> Iterator[str]:
    for entry in entries:
        bad = sum(source.bad_rows for source in entry.sources)
        if entry.quarantine and bad:  # a pipeline's may hold failed records alone, and it tells of them itself
            rows = "1 row was" if bad == 1 else f"{bad:,} rows were"
            yield f"{shown(Path(entry.output).name)}: {rows} set aside, see {shown(entry.quarantine)}"


def _figures(entry: Entry, source: SourceEntry) -> dict[str, int]:
    written = {"bytes_out": entry.size} if len(entry.sources) == 1 else {}
    return {"rows": source.rows, "rows_set_aside": source.bad_rows, "bytes_in": source.size, **written}


def _counts(plan: Conversion) -> PartCounts:
    """Count the parts of all rounds; failed are those of which a file failed, and one more for each file left out."""
    counts = PartCounts.of(plan.outcomes)
    lost = sum(
        outcome.done and any(segment.error or segment.bad_row for segment in outcome.manifest.segments)
        for outcome in plan.converted
    )
    unmapped = len(plan.errors)
    counts.done, counts.failed = counts.done - lost, counts.failed + lost + unmapped
    counts.total += unmapped
    return counts


def accounting(reason: str) -> AnabranchError:
    """Return the error for lost or invented rows: nothing is published then."""
    return AnabranchError("accounting", reason, "This is a defect of Anabranch: nothing was written. Please report it.")
