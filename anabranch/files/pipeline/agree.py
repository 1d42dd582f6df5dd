"""Agree on the types of delimited files before a function sees them: a column has one type from start to end."""

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from anabranch.core.errors import SourceError, Stopped
from anabranch.core.parts import Outcome
from anabranch.files.plan import C, ConvertManifest, ConvertPart, Piece, Segment, next_round
from anabranch.files.work import Stop, parsed
from anabranch.formats.catalogue import File, load
from anabranch.formats.options import ReadOptions
from anabranch.schema.tables import folded


def agreeing(known: C, threads: int) -> C:
    """Plan parts that read all delimited files whose types are only known from their first rows."""
    options, files = known.catalogue.options, known.catalogue.files
    open_ones = [index for index, file in enumerate(files) if _is_open(file, options)]
    if not open_ones:
        return known
    each_for_itself = replace(known.catalogue, options=options.model_copy(update={"combine": False}))
    return next_round(replace(known, catalogue=each_for_itself), open_ones, threads)


def work(part: ConvertPart, stop: Stop = lambda: False) -> ConvertManifest:
    """Return the types that the part's pieces need beyond their files' first rows; raises Stopped when `stop` says so.

    What cannot be read is left to the parts that call the function.
    """
    catalogue = load(part.catalogue)
    segments = []
    for piece in part.pieces:
        wider = _wider(catalogue.files[piece.file], range(piece.first, piece.stop), catalogue.options, stop)
        segments.append(Segment(Piece(piece.file, piece.first, piece.stop), wider=wider))
    return ConvertManifest((), {"pieces": len(segments)}, segments=tuple(segments))


def agreed_here(file: File, options: ReadOptions) -> File:
    """Read a file once for the types of its columns, if they are only known from its first rows."""
    if not _is_open(file, options):
        return file
    wider = _wider(file, range(file.units), options, lambda: False)
    return replace(file, schema=folded(file.schema, wider, options.on_conflict))


def _is_open(file: File, options: ReadOptions) -> bool:
    return options.infer == "all" and not options.schema_file and file.look.dialect is not None


def _wider(file: File, units: range, options: ReadOptions, stop: Stop) -> tuple[pa.Schema, ...]:
    wider: list[pa.Schema] = []
    try:
        for chunk in file.chunks(units, options):
            if stop():
                raise Stopped
            parsed(chunk, file.schema, wider, options)
    except SourceError:
        return ()
    return tuple(wider)


def agreed(known: C, outcomes: Sequence[Outcome]) -> C:
    """Widen the types of the files by the results of their parts, in order; no parts are left."""
    policy, files = known.catalogue.options.on_conflict, list(known.catalogue.files)
    for outcome in sorted(outcomes, key=lambda outcome: outcome.part.index):
        for segment in outcome.manifest.segments if outcome.done else ():
            file = files[segment.piece.file]
            files[segment.piece.file] = replace(file, schema=folded(file.schema, segment.wider, policy))
    catalogue = replace(known.catalogue, files=tuple(files))
    return replace(known, parts=(), catalogue=catalogue, looked=(*known.looked, *outcomes))
