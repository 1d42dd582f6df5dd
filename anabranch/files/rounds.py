"""Between two rounds of a conversion: take in what came of the parts, and say what is to be done again."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import pyarrow as pa

from anabranch.core.errors import AnabranchError, SourceError
from anabranch.core.parts import Outcome
from anabranch.core.storage import shown
from anabranch.files.plan import C, Conversion, ConvertPart, Segment, next_round
from anabranch.formats.catalogue import File
from anabranch.schema.fit import BadRow
from anabranch.schema.tables import folded
from anabranch.sources import codecs
from anabranch.sources.guessing import hint

_AROUND = 64 << 10  # bytes before and after what could not be read
_SHOWN = 80  # characters of a value in a message


def settle(plan: C, outcomes: Sequence[Outcome], threads: int) -> C:
    """Take in a round's outcomes; plan another one for the files of which some rows need wider types.

    So also for those whose part failed because of another file. Every round widens a type, finds a file that cannot be
    read, or is the last, whose result has no parts. Of a file that failed, nothing is done again.
    """
    ordered = sorted(outcomes, key=lambda outcome: outcome.part.index)
    fresh = [segment for outcome in ordered if outcome.done for segment in outcome.manifest.segments]
    bystanders = _bystanders(plan, ordered)
    lost = {index: error for index, error in failed_parts(ordered).items() if index not in bystanders}
    failed = {**failed_files(plan, fresh), **lost}  # after a lost part, row numbers are not known
    failed = {**_without_fields(plan, fresh), **failed}
    needs: dict[int, list[pa.Schema]] = {segment.piece.file: [] for segment in fresh if segment.wider}
    for segment in fresh:
        if segment.piece.file in needs:
            needs[segment.piece.file] += segment.wider
    files, policy = list(plan.catalogue.files), plan.catalogue.options.on_conflict
    for index, schemas in needs.items():
        files[index] = replace(files[index], schema=folded(files[index].schema, schemas, policy))
    again = range(len(files)) if needs and plan.catalogue.options.combine else sorted(bystanders.union(needs))
    again = [index for index in again if index not in failed and index not in plan.failed]
    known = replace(
        plan,
        parts=(),
        catalogue=replace(plan.catalogue, files=tuple(files)),
        converted=(*plan.converted, *ordered),
        segments=tuple(segment for segment in (*plan.segments, *fresh) if segment.piece.file not in set(again)),
        failed={**failed, **plan.failed},
    )
    return next_round(known, again, threads) if again else known


def failed_parts(outcomes: Sequence[Outcome]) -> dict[int, AnabranchError]:
    """Return the error of each file of which a part did not come to its end."""
    failed: dict[int, AnabranchError] = {}
    for outcome in outcomes:
        if outcome.error and isinstance(outcome.part, ConvertPart):
            for piece in outcome.part.pieces:
                failed.setdefault(piece.file, outcome.error)
    return failed


def _bystanders(plan: Conversion, outcomes: Sequence[Outcome]) -> set[int]:
    """Return the files that share a part with one that could not be read, and can be."""
    culprits: set[int] = set()
    others: set[int] = set()
    for outcome in outcomes:
        if outcome.error and isinstance(outcome.part, ConvertPart):
            files = {piece.file for piece in outcome.part.pieces}
            named = {index for index in files if plan.catalogue.files[index].source.label == outcome.error.part}
            culprits |= named
            others |= files - named if named else set()
    return others - culprits


def _without_fields(plan: Conversion, segments: Sequence[Segment]) -> dict[int, AnabranchError]:
    """Return an error for each file of records that are all {}: no format has a place for rows without columns."""
    some = {segment.piece.file for segment in segments if segment.rows > segment.bad}
    wider = {segment.piece.file for segment in segments if segment.wider}
    files = plan.catalogue.files
    return {
        index: SourceError("no-columns", "none of its records has a field", "Leave it out.", files[index].source.label)
        for index in some - wider
        if not len(files[index].output)
    }


def failed_files(plan: Conversion, segments: Sequence[Segment]) -> dict[int, AnabranchError]:
    """Return the first error of each file, its row counted from the file's start."""
    failed: dict[int, AnabranchError] = {}
    rows: dict[int, int] = {}
    for segment in sorted(segments, key=lambda segment: (segment.piece.file, segment.piece.first)):
        index = segment.piece.file
        if segment.error:
            failed.setdefault(index, segment.error)
        elif segment.bad_row:
            failed.setdefault(index, bad_row_error(segment.bad_row, rows.get(index, 0), plan.catalogue.files[index]))
        rows[index] = rows.get(index, 0) + segment.rows
    return failed


def bad_row_error(row: BadRow, before: int, file: File) -> SourceError:
    """Return why a file failed; `before` rows precede those that the row is counted in."""
    place = f"row {before + row.row + 1}" + (f" (byte {row.offset})" if row.offset >= 0 else "")
    label = file.source.label
    if not row.expected:
        undecodable = "UTF-8" in row.reason
        encoding = "Name the file's encoding with --encoding, correct" if undecodable else "Correct"
        remedy = f"{encoding} the row, or set such rows aside with --on-bad-row quarantine."
        if undecodable and (guess := _likely(file, row.offset)):
            remedy = f"{remedy} {guess}"
        return SourceError("bad-row", f"{place}: {row.reason}", remedy, label)
    value = shown(row.value[:_SHOWN])
    return SourceError(
        "type-conflict",
        f"{place}, column {row.column!r}: {value!r} is {row.found}, where {row.expected} is expected",
        "Choose another --on-conflict, name the type with --schema, or --on-bad-row quarantine.",
        label,
    )


def _likely(file: File, offset: int) -> str:
    """Name the likely encoding of the text around a byte."""
    with suppress(AnabranchError, OSError), codecs.open_text(file.source, file.look.codec) as text:
        text.seek(max(offset - _AROUND, 0))
        return hint(text.read(2 * _AROUND))
    return ""
