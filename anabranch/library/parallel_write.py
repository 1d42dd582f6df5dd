"""Write records and batches from many threads to several files, all of which appear at the end, or none."""

import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from uuid import uuid4

import pyarrow as pa

from anabranch.core.config import RunOptions, cores, work_dir
from anabranch.core.errors import AnabranchError, SourceError, TemporaryError, UsageError
from anabranch.core.storage import fingerprint, published, refuse_special
from anabranch.files.join import accounting
from anabranch.files.pipeline.results import as_record
from anabranch.formats.meaning import require_written
from anabranch.formats.options import WriteOptions
from anabranch.formats.writing import Blocks, SegmentWriter, join_segments, named_format, require_possible
from anabranch.library.defaults import Defaults
from anabranch.library.lanes import ClosedError, Lanes, weight_of
from anabranch.library.spool import Spool
from anabranch.schema.rules import OnConflict

BUFFER = 64 << 20  # bytes that wait to be written


def parallel_write(
    destinations: str | Path | Iterable[str | Path] | Mapping[str, str | Path],
    workers: int | None = None,
    *,
    options: WriteOptions | None = None,
    on_conflict: OnConflict = "fail",
    buffer_bytes: int = BUFFER,
) -> "ParallelWriter":
    """Write to files from any number of threads; use the result as a context manager and call its `write`.

    All files are published when the block ends without an error. If it raises, or anything fails, none is published
    and existing files stay as they are; if the system refuses to rename one file after others were renamed, the error
    lists those that were published. Each column gets the narrowest type that holds all of its values.

    Args:
        destinations: Paths, whose extensions name the formats, such as a.parquet or b.csv.gz; or a mapping of names to
            such paths.
        workers: Threads that write; each destination is written by one. Default: the setting ANABRANCH_WORKERS, else
            one per core, and at most one per destination.
        options: Compression inside the files, and whether nested records become columns with dotted names.
        on_conflict: What to do if the values of a column have no common type: fail, widen or string.
        buffer_bytes: Bytes that may wait to be written before `write` blocks.

    Raises:
        UsageError: A destination cannot be written to, or two of them are the same file.
        SourceError: At the end of the block, the values of a column have no common type, or no record has a field.

    Examples:
        >>> from pathlib import Path
        >>> with anabranch.parallel_write(["small.csv", "large.parquet"]) as writer:
        ...     for number in (1, 20, 3):
        ...         record = {"number": number, "square": number**2}
        ...         writer.write(record, destination="large.parquet" if number >= 10 else "small.csv")
        >>> writer.rows["small.csv"], writer.rows["large.parquet"]
        (2, 1)
        >>> print(Path("small.csv").read_text(), end="")
        number,square
        1,1
        3,9

    """
    if isinstance(destinations, str | Path):
        destinations = [destinations]
    if isinstance(destinations, bytes) or not isinstance(destinations, Iterable):
        raise UsageError(
            "bad-argument", f"a {type(destinations).__name__} is not a path", "Give paths, or names and paths."
        )
    named = destinations if isinstance(destinations, Mapping) else {path: path for path in destinations}
    if not isinstance(options, WriteOptions | None):
        raise UsageError("bad-argument", f"options is a {type(options).__name__}", "Give WriteOptions(...).")
    chosen = options or WriteOptions()
    for name in sorted(chosen.model_fields_set & {"to", "pattern", "combine"}):
        remedy = "Leave it out: each destination is one file, whose extension names its format."
        raise UsageError("option-unused", f"the option {name} means nothing here", remedy)
    targets = {str(name): _target(str(name), Path(path), chosen) for name, path in named.items()}
    require_written(chosen, [target.to for target in targets.values()])
    if len({target.path.resolve() for target in targets.values()}) < len(targets):
        raise UsageError("same-destination", "two destinations are the same file", "Name each file once.")
    if workers is not None and workers < 1:
        raise UsageError("bad-argument", f"workers is {workers}", "Give a number of at least 1.")
    threads = min(workers or Defaults().workers or cores(), max(len(targets), 1))
    return ParallelWriter(targets, threads, chosen, on_conflict, buffer_bytes)


def _target(name: str, path: Path, options: WriteOptions) -> "_Target":
    target = _Target(name, path.absolute(), named_format(path))
    require_possible(target.to, options)
    return target


@dataclass(frozen=True, slots=True)
class _Target:
    """A destination: its name, its path, the format to write."""

    name: str
    path: Path
    to: str


class ParallelWriter:
    """Takes the records; after the block, `rows` has the number of rows of each destination."""

    def __init__(
        self, targets: Mapping[str, _Target], threads: int, options: WriteOptions, on_conflict: OnConflict, buffer: int
    ) -> None:
        self.rows: dict[str, int] = {}
        self._targets, self._options, self._on_conflict = targets, options, on_conflict
        self._name_of = {target.path: name for name, target in targets.items()}  # however it is written
        self._schemas: dict[str, pa.Schema] = {}
        self._lanes = [Lanes(buffer // threads, 1, ordered=False) for _ in range(threads)]
        self._lane_of = {name: self._lanes[index % threads] for index, name in enumerate(targets)}
        self._threads = [
            threading.Thread(target=self._work, args=(lanes,), name="anabranch-write") for lanes in self._lanes
        ]
        self._folder = work_dir(RunOptions()) / "parallel-write" / uuid4().hex
        self._failing = threading.Lock()
        self._error: BaseException | None = None

    def write(self, item: Mapping[str, Any] | pa.RecordBatch | pa.Table, destination: str | Path | None = None) -> None:
        """Append a record, a batch or a table to a destination, which need not be named where there is one.

        Those of one thread keep their order. Raises the error that ended the writing, if any.
        """
        name = self._name(destination)
        if not isinstance(item, Mapping | pa.RecordBatch | pa.Table):
            raise UsageError(
                "not-a-record", f"{type(item).__name__} is not a record", "Write a dict, a batch or a table."
            )
        content: Any = _own(item) if isinstance(item, Mapping) else item
        try:
            self._lane_of[name].put(0, (name, content), weight_of(content))
        except ClosedError:
            raise self._error or UsageError(
                "writer-not-open", "the writer is not open", "Write within its `with` block."
            ) from None

    def __enter__(self) -> Self:
        if any(thread.ident for thread in self._threads):
            raise UsageError("writer-not-open", "the writer was open before", "Call parallel_write again.")
        for target in self._targets.values():
            refuse_special(target.path)
        self._folder.mkdir(parents=True)
        for lanes, thread in zip(self._lanes, self._threads, strict=True):
            lanes.begin()
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._stop()

    def _name(self, destination: str | Path | None) -> str:
        name = str(destination) if destination is not None else next(iter(self._targets), "")
        if name not in self._targets and destination is not None:
            name = self._name_of.get(Path(destination).absolute(), name)
        if name not in self._targets or (destination is None and len(self._targets) > 1):
            known = ", ".join(self._targets)
            raise UsageError("destination-unknown", f"{destination} is not a destination", f"Name one of {known}.")
        return name

    def _finish(self) -> None:
        """Let the threads write what waits, then publish all files."""
        for lanes in self._lanes:
            lanes.end(0)
            lanes.leave()
        for thread in self._threads:
            thread.join()
        if self._error:
            raise self._error
        stand: list[str] = []
        try:
            with ExitStack() as stack:
                written = [stack.enter_context(self._published(target, stand)) for target in self._targets.values()]
                for out in written:  # a full disk is noticed before the first has its name
                    out.flush()
                    os.fsync(out.fileno())
        except Exception as error:
            if stand:
                raise _half_done(error, stand, self._targets) from error
            raise

    @contextmanager
    def _published(self, target: _Target, stand: list[str]) -> Iterator[IO[bytes]]:
        """Write a destination; add it to `stand` once it has its name."""
        target.path.parent.mkdir(parents=True, exist_ok=True)
        with published(target.path) as out:
            segments, schema = [self._work_path(target, target.to)], self._schemas[target.name]
            rows = join_segments(segments, out, target.to, schema, self._options)
            if rows != self.rows[target.name]:
                raise accounting(f"{target.name}: {rows} of {self.rows[target.name]} rows were written")
            yield out
        stand.append(target.name)

    def _stop(self) -> None:
        for lanes in self._lanes:
            lanes.close()
        for thread in self._threads:
            if thread.ident:
                thread.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _work(self, lanes: Lanes) -> None:
        mine = [name for name, own in self._lane_of.items() if own is lanes]
        name = ""
        try:
            with ExitStack() as stack:
                spools = {name: stack.enter_context(self._spool(name)) for name in mine}
                while taken := lanes.take():
                    for _, (name, item) in taken:
                        spools[name].add(item)
                for name in mine:
                    self._write(name, spools[name], lanes)
        except ClosedError:
            pass
        except BaseException as error:  # noqa: BLE001  the block raises it
            self._fail(error, name)

    def _spool(self, name: str) -> Spool:
        return Spool(self._work_path(self._targets[name], "spool"), self._on_conflict)

    def _write(self, name: str, spool: Spool, lanes: Lanes) -> None:
        """Write a destination's rows with the types that they turned out to need."""
        to = self._targets[name].to
        spool.end()
        schema = spool.schema("" if self._options.flatten else to)
        if spool.rows and not len(schema):
            raise SourceError("no-columns", "none of its records has a field", "Leave it out.", name)
        path = self._work_path(self._targets[name], to)
        with SegmentWriter(path, to, schema, self._options) as writer, Blocks(writer.write) as blocks:
            for table in spool.tables(schema):
                if lanes.closed:
                    raise ClosedError
                blocks.add(table, 0)
        self.rows[name], self._schemas[name] = spool.rows, schema

    def _fail(self, error: BaseException, name: str) -> None:
        if isinstance(error, AnabranchError):
            error.part = error.part or name
        with self._failing:
            self._error = self._error or error
        for lanes in self._lanes:
            lanes.close()

    def _work_path(self, target: _Target, ending: str) -> Path:
        return self._folder / f"{fingerprint(target.name)}.{ending}"


def _own(record: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a record with all that is in it, since the caller may change his afterwards."""
    try:
        return dict(as_record(dict(record)))
    except (TypeError, ValueError) as error:
        raise UsageError("not-a-record", str(error), "Write such a value as text.") from error


def _half_done(error: Exception, stand: Sequence[str], targets: Iterable[str]) -> TemporaryError:
    left = ", ".join(name for name in targets if name not in stand)
    reason = f"{error}; {', '.join(stand)} have been written, but not {left}"
    return TemporaryError("partly-published", reason, "Fix the cause, and write again.")
