"""Convert one part: parse its pieces chunk by chunk with the types agreed, and write each piece's rows as a segment."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from anabranch.core.errors import SourceError, Stopped
from anabranch.core.storage import fingerprint, work_file
from anabranch.files.options import ConvertOptions
from anabranch.files.plan import ConvertManifest, ConvertPart, Piece, Segment
from anabranch.formats.catalogue import Catalogue, File, load
from anabranch.formats.options import ReadOptions
from anabranch.formats.quarantine import Quarantine
from anabranch.formats.reading import Chunk
from anabranch.formats.writing import Blocks, SegmentWriter
from anabranch.schema.fit import BadRow, MisfitError
from anabranch.schema.tables import fitted, folded, has_huge_floats
from anabranch.sources.finding import require_unchanged

Stop = Callable[[], bool]


class BadRowError(Exception):
    """A row does not fit, and none may be set aside; `row` counts from 0 within the piece."""

    def __init__(self, row: BadRow) -> None:
        super().__init__(row)
        self.row = row


def work(part: ConvertPart, stop: Stop = lambda: False) -> ConvertManifest:
    """Convert the part's pieces; a piece that cannot be converted, or needs wider types, tells why in its segment.

    Raises Stopped when `stop` says so before a chunk.
    """
    catalogue = load(part.catalogue)
    segments = [_segment(catalogue, piece, part, stop) for piece in part.pieces]
    files = [file for segment in segments for file in (segment.file, segment.quarantine) if file]
    counts = {"rows": sum(segment.rows for segment in segments), "bad_rows": sum(segment.bad for segment in segments)}
    return ConvertManifest(tuple(files), counts, segments=tuple(segments))


def _segment(catalogue: Catalogue[ConvertOptions], piece: Piece, part: ConvertPart, stop: Stop) -> Segment:
    file = catalogue.files[piece.file]
    path = Path(part.folder) / fingerprint("segment", part.key, piece)
    path.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    try:
        segment = _convert(catalogue, file, piece, path, stop)
        require_unchanged(file.source)
    except BadRowError as bad:
        return Segment(piece, rows=bad.row.row + 1, bad_row=bad.row)
    except SourceError as error:
        error.part = error.part or file.source.label
        return Segment(piece, error=error)
    return replace(segment, seconds=time.monotonic() - started)


def _convert(catalogue: Catalogue[ConvertOptions], file: File, piece: Piece, path: Path, stop: Stop) -> Segment:
    """Write the piece's rows, unless some need wider types: then tell which, for every chunk as if it were alone."""
    options, rows = catalogue.options, 0
    wider: list[pa.Schema] = []
    with (
        Quarantine(path.with_suffix(".quarantine")) as quarantine,
        SegmentWriter(path, options.to, file.output, options) as segment,
        Blocks(segment.write) as out,
    ):
        for chunk in file.chunks(range(piece.first, piece.stop), options):
            if stop():
                raise Stopped
            table, bad = parsed(chunk, file.schema, wider, options)
            odd = [placed(row, rows, chunk.offset) for row in bad]
            if odd and options.on_bad_row == "fail":
                raise BadRowError(odd[0])
            quarantine.add(odd)
            rows += table.num_rows + len(odd)
            if not wider:
                out.add(fitted(table, file.output), chunk.unit)
    if wider:
        return Segment(piece, rows=rows, wider=tuple(wider))
    return Segment(piece, rows=rows, bad=quarantine.count, file=work_file(path), quarantine=quarantine.file())


def parsed(
    chunk: Chunk, schema: pa.Schema, wider: list[pa.Schema], options: ReadOptions
) -> tuple[pa.Table, Sequence[BadRow]]:
    """Parse a chunk without its bad rows, which come beside it; types that it needs beyond the schema go to `wider`.

    What all chunks need together does not depend on which of them are parsed in one go.
    """
    with suppress(MisfitError):
        return chunk.parse(schema), ()
    if wider:  # most likely it needs what the chunk before it needed
        with suppress(MisfitError):
            table = chunk.parse(folded(schema, wider, options.on_conflict))
            if not has_huge_floats(table):  # alone it may need a decimal, which is in conflict with double
                return table, ()
    seen = chunk.examine(schema)
    if seen.schema != schema and seen.schema not in wider:
        wider.append(seen.schema)
    return chunk.without(seen.bad).parse(seen.schema), seen.bad


def placed(row: BadRow, rows: int, offset: int) -> BadRow:
    """Return a chunk's row with its number within the piece and its place in the file."""
    return replace(row, row=row.row + rows, offset=row.offset + offset if offset >= 0 else -1)
