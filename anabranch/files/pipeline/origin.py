"""Where the records of a pipeline in this process come from: files, an object that reads them, or any iterable."""

import math
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import suppress
from pathlib import Path
from typing import Any

from anabranch.errors import SourceError
from anabranch.files.catalogue import File
from anabranch.files.options import ReadOptions
from anabranch.files.pipeline.rows import groups
from anabranch.files.pipeline.spans import Span
from anabranch.files.reading import look_at
from anabranch.files.sources import find

CHUNK = 1000  # records that are decoded at once


def paths_of(source: Any) -> list[str] | None:
    """Give the paths that a source is, or None where it is something else."""
    if isinstance(source, str | Path):
        return [str(source)]
    if isinstance(source, Sequence) and source and all(isinstance(one, str | Path) for one in source):
        return [str(one) for one in source]
    return None


def records_of(source: Any, options: ReadOptions, *, reset: bool) -> Iterator[Any]:
    """Give the records of files, or of an iterable, which begins anew where it can and `reset` asks for it."""
    paths = paths_of(source)
    if paths is not None:
        return _read(paths, options)
    if reset and hasattr(source, "reset"):
        with suppress(NotImplementedError):
            source.reset()
    return iter(source)


def length_of(source: Any) -> float:
    """Say how many records will come; math.inf where nobody knows."""
    return len(source) if isinstance(source, Sized) and paths_of(source) is None else math.inf


def _read(paths: Iterable[str], options: ReadOptions) -> Iterator[dict[str, Any]]:
    found = find(list(paths))
    for error in found.errors:
        raise error
    for source in found.sources:
        look = look_at(source, options)
        file = File(source, look, max(len(look.units), 1), (), look.schema, look.schema)
        span = Span(0, 0, file.units)
        for group in groups(file, span, options):
            for rows in group.chunks(span, CHUNK):
                yield from rows.records()
                for bad in group.bad:
                    raise SourceError("bad-row", bad.reason, "Correct the row.", source.label, f"row {bad.row + 1}")
