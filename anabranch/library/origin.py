"""Where the records of a pipeline in this process come from: files, an object that reads them, or any iterable."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from anabranch.core.errors import SourceError, UsageError
from anabranch.core.outputs import require_writable
from anabranch.files.manifest import left_by_runs
from anabranch.files.pipeline.agree import agreed_here
from anabranch.files.pipeline.rows import Group, groups
from anabranch.files.pipeline.shares import Span
from anabranch.files.rounds import bad_row_error
from anabranch.formats.catalogue import File
from anabranch.formats.meaning import require_read
from anabranch.formats.options import ReadOptions
from anabranch.formats.quarantine import require_none
from anabranch.formats.reading import look_at, with_types
from anabranch.schema.schema import load_schema
from anabranch.sources.finding import find
from anabranch.sources.source import Source

CHUNK = 1000  # records that are decoded at once


def paths_of(source: Any) -> list[str] | None:
    """Return the paths that a source consists of, or None if it is something else."""
    if isinstance(source, str | Path):
        return [str(source)]
    if isinstance(source, Sequence) and source and all(isinstance(one, str | Path) for one in source):
        return [str(one) for one in source]
    return None


@dataclass(slots=True)
class Origin:
    """The records of files, or of an iterable, which starts again if it can and `reset` asks for it."""

    source: Any
    options: ReadOptions
    reset: bool
    output: str | None = None  # a file that is not a source, and must not replace one
    _files: list[tuple[int, str]] = field(default_factory=list)  # that were begun: records before it, its label
    _is_files: bool = False

    def __post_init__(self) -> None:
        require_none(self.options)

    def __iter__(self) -> Iterator[Any]:
        paths = paths_of(self.source)
        if paths is not None:
            return self._read(paths)
        if self.reset and hasattr(self.source, "reset"):
            with suppress(NotImplementedError):
                self.source.reset()
        if hasattr(self.source, "__arrow_c_stream__"):  # a table or a frame, over whose columns one would iterate
            tables = pa.RecordBatchReader.from_stream(self.source)
            return (record for batch in tables for record in batch.to_pylist())
        if isinstance(self.source, Mapping | bytes) or not isinstance(self.source, Iterable):
            remedy = "Give paths, or an iterable of records such as [record]."
            raise UsageError("bad-argument", f"a {type(self.source).__name__} is not a source of records", remedy)
        return self._given(iter(self.source))

    @property
    def holds_nothing(self) -> bool:
        """Whether the source is files, and was read to its end without finding one that is not empty."""
        return self._is_files and not self._files

    def place(self, number: int) -> tuple[str, int]:
        """Name the file of the `number`th record, and its number there; both count from 1. No name without files."""
        found = bisect_left(self._files, (number,)) - 1
        before, label = self._files[found] if found >= 0 else (0, "")
        return label, number - before

    def _given(self, items: Iterator[Any]) -> Iterator[Any]:
        for first in items:
            if isinstance(first, Path):  # as Path.glob gives them
                yield from self._read([str(path) for path in (first, *items)])
            else:
                # a generator may yield one dictionary again and again, refilled each time
                yield from (dict(record) if type(record) is dict else record for record in chain([first], items))

    def _read(self, paths: list[str]) -> Iterator[dict[str, Any]]:
        self._is_files = True
        given = load_schema(self.options.schema_file) if self.options.schema_file else None
        found, count = find(paths, leave_out=left_by_runs(self.output)), 0
        for error in found.errors:
            raise error
        if self.output:
            require_writable([Path(self.output)], [Path(source.path) for source in found.sources])
        formats: set[str] = set()
        for source in found.sources:
            file = _file(source, self.options, given)
            if file is None:
                continue
            formats.add(file.look.format)
            if len(found.sources) == 1:
                require_read(self.options, formats)
            self._files.append((count, source.label))
            for record in _records(file, self.options):
                yield record
                count += 1
        require_read(self.options, formats)


def length_of(source: Any) -> float:
    """Return how many records will come; math.inf if unknown."""
    return len(source) if isinstance(source, Sized) and paths_of(source) is None else math.inf


def _file(source: Source, options: ReadOptions, given: pa.Schema | None) -> File | None:
    """Examine a file without splitting it; None if it is empty and may be left out."""
    try:
        look = look_at(source, options)
        look = look if given is None else with_types(look, given)
    except SourceError as error:
        if error.code == "empty-source" and options.on_empty == "skip":
            return None
        error.part = error.part or source.label
        raise
    except OSError as error:  # while it is read; it would be taken for an error of the output
        reason = error.strerror or str(error)
        raise SourceError("source-unreadable", reason, "Fix that, and run again.", source.label) from error
    return agreed_here(File(source, look, max(len(look.units), 1), (), look.schema, look.schema), options)


def _records(file: File, options: ReadOptions) -> Iterator[dict[str, Any]]:
    """Yield the records of a file; SourceError for the first row that is not one."""
    span, before = Span(0, 0, file.units), 0
    for group in groups(file, span, options):
        _require_sound(group, before, file)
        for rows in group.chunks(span, CHUNK):
            records = rows.records()
            _require_sound(group, before, file)
            yield from records
        before += group.rows


def _require_sound(group: Group, before: int, file: File) -> None:
    for bad in group.bad:
        raise bad_row_error(bad, before, file)
