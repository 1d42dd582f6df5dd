"""Where the results of a pipeline in this process go: nowhere, to an object that takes records, or into a file."""

import io
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self
from uuid import uuid4

import pyarrow as pa

from anabranch.core.config import RunOptions, work_dir
from anabranch.core.errors import UsageError
from anabranch.core.outputs import require_writable
from anabranch.core.storage import published
from anabranch.files.pipeline.results import Results, as_line, as_record, read_tables
from anabranch.files.pipeline.step import identity
from anabranch.formats.options import WriteOptions
from anabranch.formats.writing import Blocks, SegmentWriter, join_segments, named_format
from anabranch.library.lanes import weight_of
from anabranch.schema.records import ROWS
from anabranch.schema.rules import OnConflict
from anabranch.schema.schema import writable
from anabranch.schema.tables import fitted, folded

WEIGHT = 4 << 20  # bytes of results that are held back for one table


class Destination(Protocol):
    """A context manager that takes results; those of a block that ends with an exception may stay unwritten."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None: ...

    def encode(self, result: Any) -> Any:
        """Make of a result what `write` takes, wherever the function runs."""

    def write(self, results: Sequence[Any]) -> None:
        """Take the next results."""

    def flush(self) -> None:
        """Pass on what is held back."""

    def leave(self) -> None:
        """Write nothing, since no source holds anything: an output of an earlier run stays."""


def forgotten(_result: Any) -> None:
    """Drop a result, so that it is not sent between processes."""


class Nowhere:
    """Takes results, and forgets them."""

    encode = staticmethod(forgotten)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def write(self, results: Sequence[Any]) -> None:
        """See Destination."""

    def flush(self) -> None:
        """See Destination."""

    def leave(self) -> None:
        """See Destination."""


class Written:
    """Hands results to an object with `write_bulk` or `write`, so many at a time."""

    encode = staticmethod(identity)

    def __init__(self, target: Any, batch_size: int) -> None:
        self._target, self._size = target, batch_size
        self._single = hasattr(target, "write")
        self._bulk = hasattr(target, "write_bulk") and (batch_size > 1 or not self._single)
        self._held: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def write(self, results: Sequence[Any]) -> None:
        """See Destination."""
        for result in results:
            if not self._bulk or (result is None and self._single):
                self.flush()
                self._target.write(result)
                continue
            self._held.append(result)
            if len(self._held) >= self._size:
                self.flush()

    def flush(self) -> None:
        """See Destination."""
        if self._held:
            held, self._held = self._held, []
            self._target.write_bulk(held)

    def leave(self) -> None:
        """See Destination."""


class InFile:
    """Writes results to a file, which appears when the block has ended well."""

    def __init__(self, path: Path, options: WriteOptions, on_conflict: OnConflict) -> None:
        self._path, self._options, self._on_conflict = path, options, on_conflict
        self._held: list[Any] = []
        self._weight = 0
        self._is_left = False
        self.encode = as_line if options.lines else as_record
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        require_writable([self._path], [])
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._folder = work_dir(RunOptions()) / "pipeline" / uuid4().hex
        self._folder.mkdir(parents=True)
        self._stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        self._results = Results(self._folder / "results", self._options, self._on_conflict)
        self._results.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        with self._stack:
            try:
                if kind is None:
                    self._pass_on()
            finally:
                self._results.__exit__(kind, error, trace)
            if kind is None and not self._is_left:
                self._publish()
        return None

    def write(self, results: Sequence[Any]) -> None:
        """See Destination."""
        for result in results:  # one by one, so that tables end at the same rows whatever chunks these came in
            if result is not None:
                self._held.append(result)
                self._weight += weight_of(result)
                if len(self._held) >= ROWS or self._weight >= WEIGHT:
                    self._pass_on()

    def flush(self) -> None:
        """See Destination."""

    def leave(self) -> None:
        """See Destination."""
        self._is_left = True

    def _pass_on(self) -> None:
        held, self._held, self._weight = self._held, [], 0
        self._results.add(held, 0)

    def _publish(self) -> None:
        made, options = self._folder / "results", self._options
        schema = writable(folded(pa.schema([]), self._results.schemas, self._on_conflict))
        if not options.lines:
            with (
                SegmentWriter(self._folder / "segment", options.to, schema, options) as segment,
                Blocks(segment.write) as out,
            ):
                for table in read_tables(made):
                    out.add(fitted(table.replace_schema_metadata(), schema), 0)
            made = self._folder / "segment"
        with published(self._path) as file:
            join_segments([made], file, options.to, schema, options)


def destination_of(target: Any, batch_size: int, on_conflict: OnConflict) -> Destination:
    """Choose by what the target is: None, a path whose ending names the format, or an object."""
    if target is None:
        return Nowhere()
    if isinstance(target, str | Path):
        return InFile(Path(target), WriteOptions(to=named_format(Path(target))), on_conflict)
    if isinstance(target, io.IOBase) or not (hasattr(target, "write") or hasattr(target, "write_bulk")):
        remedy = "Name a file, or give an object whose `write` takes a record."
        raise UsageError("destination-format", f"no records are written to a {type(target).__name__}", remedy)
    return Written(target, batch_size)
