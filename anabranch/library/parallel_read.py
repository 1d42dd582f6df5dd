"""Read many sources on a few threads, as one stream of records or batches."""

import glob
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
from pydantic import ValidationError

from anabranch.core.config import cores, first_fault
from anabranch.core.errors import AnabranchError, SourceError, UsageError
from anabranch.formats import reading
from anabranch.formats.meaning import require_read
from anabranch.formats.options import ReadOptions
from anabranch.formats.quarantine import require_none
from anabranch.library.defaults import READ_ARGUMENTS, Defaults
from anabranch.library.lanes import ClosedError, Lanes, Taken, weight_of
from anabranch.schema import records
from anabranch.sources.finding import find

BUFFER = 64 << 20  # bytes of rows that are read ahead
CLOSE_SECONDS = 10.0  # that a thread gets to come back from a source that blocks
_ROWS = 1024  # of a batch that become records at once
_ARROW = (pa.RecordBatch, pa.Table)
_STREAM = "__arrow_c_stream__"  # what tables and frames have, over whose columns one would iterate
_END = object()  # of a source

Source = str | Path | Iterable[Any]


@dataclass(slots=True)
class SourceResult:
    """What became of one source."""

    source: str
    rows: int = 0  # handed out
    done: bool = False  # all of its rows were handed out
    error: BaseException | None = None


def parallel_read(
    sources: Source | Iterable[Source],
    workers: int | None = None,
    ordered: bool = True,
    batches: bool = False,
    batch_size: int | None = None,
    *,
    options: ReadOptions | None = None,
    buffer_bytes: int = BUFFER,
    close_seconds: float = CLOSE_SECONDS,
    **iterableargs: Any,
) -> "ParallelReader":
    r"""Read sources on threads; use the result as a context manager and iterate over it.

    Args:
        sources: Paths or URLs of files in any format; folders and glob patterns, each of whose files is a source of
            its own; tables and data frames; or iterables of records or Arrow batches. An iterator of sources is
            consumed only as far as its sources are read.
        workers: Threads, which is also the number of sources read at the same time. Default: the setting
            ANABRANCH_WORKERS, else one per core.
        ordered: Yield the rows in the order of the sources. If false, yield them as they arrive; rows of one source
            stay in order.
        batches: Yield Arrow record batches instead of records, which are dicts.
        batch_size: Most rows of a batch.
        options: How files are read. An empty file has no rows, unless `on_empty` is fail.
        buffer_bytes: Bytes of rows that are read ahead.
        close_seconds: Seconds that the end of the block waits for a source that blocks; its thread ends later.
        **iterableargs: In place of `options`: delimiter, quotechar, encoding, format, and all others of ReadOptions.

    Raises:
        SourceError: A source fails. It is raised by the iteration at once; `part` names the source, and the others
            are stopped.
        UsageError: An argument is not valid.

    Examples:
        >>> from pathlib import Path
        >>> _ = Path("orders.csv").write_text("id,amount\n00123,9.5\n00124,12\n")
        >>> with anabranch.parallel_read(["orders.csv", [{"id": "00125", "amount": 7.25}]]) as reader:
        ...     for record in reader:
        ...         print(record)
        {'id': '00123', 'amount': 9.5}
        {'id': '00124', 'amount': 12.0}
        {'id': '00125', 'amount': 7.25}
        >>> [source.rows for source in reader.results]
        [2, 1]

    """
    if isinstance(sources, str | Path) or hasattr(sources, _STREAM):
        sources = [sources]
    _require_iterable(sources)
    for name, value in {"workers": workers, "batch_size": batch_size, "buffer_bytes": buffer_bytes}.items():
        if value is not None and value < 1:
            raise UsageError("bad-argument", f"{name} is {value}", "Give a number of at least 1.")
    if iterableargs:
        options = _options(options, iterableargs)
    if not isinstance(options, ReadOptions | None):
        raise UsageError("bad-argument", f"options is a {type(options).__name__}", "Give ReadOptions(...).")
    form = _Form(batches, batch_size, options or ReadOptions(), None if _is_one_file(sources) else set())
    require_none(form.options)
    threads = workers or Defaults().workers or cores()
    lanes = Lanes(buffer_bytes, threads, ordered=ordered)
    return ParallelReader(_each(sources), threads, lanes, form, close_seconds)


def _options(options: ReadOptions | None, given: Mapping[str, Any]) -> ReadOptions:
    if options is not None:
        reason = f"options are given, and {sorted(given)} beside them"
        raise UsageError("bad-argument", reason, "Write them into ReadOptions(...).")
    try:
        return ReadOptions(**{READ_ARGUMENTS.get(name, name): value for name, value in given.items()})
    except ValidationError as error:
        name, reason = first_fault(error)
        raise UsageError("bad-argument", f"{name}: {reason}", "See ReadOptions for the options.") from error


@dataclass(frozen=True, slots=True)
class _Form:
    """How sources are read, and as what their rows are handed out."""

    batches: bool
    batch_size: int | None
    options: ReadOptions
    formats: set[str] | None  # of the files that were read, where there are several sources

    def items(self, source: Source) -> AbstractContextManager[Iterator[Any]]:
        """Open a source: batches of a file, what an iterable gives; as batches, if such are to be handed out."""
        if isinstance(source, str | Path):
            return closing(reading.read_batches(str(source), self.options, self.formats))  # type: ignore[type-var]  # a generator
        if hasattr(source, _STREAM):
            return nullcontext(iter(pa.RecordBatchReader.from_stream(source)))
        _require_iterable(source)
        items = map(_own, source)
        return nullcontext(_tables(items) if self.batches else items)

    def passes_over(self, error: Exception) -> bool:
        """Whether a source that cannot be read for this is left out."""
        return isinstance(error, SourceError) and error.code == "empty-source" and self.options.on_empty == "skip"

    def rows(self, item: Any) -> Iterator[tuple[Any, int]]:
        """Yield what is handed out for an item, each with its number of rows."""
        if not isinstance(item, _ARROW):
            yield item, 1
            return
        size = self.batch_size or item.num_rows if self.batches else _ROWS
        for start in range(0, item.num_rows, size):
            piece = item.slice(start, size)
            if self.batches:
                yield from ((batch, batch.num_rows) for batch in _batches(piece))
            else:
                yield from ((record, 1) for record in piece.to_pylist())


def _require_iterable(source: Any) -> None:
    """Refuse what is nothing to iterate over, or gives something else than what is in it."""
    if isinstance(source, Mapping | bytes) or not isinstance(source, Iterable):
        remedy = "Give paths, or iterables of records, each of which is a source."
        raise UsageError("bad-argument", f"a {type(source).__name__} is not a source", remedy)


def _own(item: Any) -> Any:
    """Take an item as it is now, since its source may fill the same dictionary again."""
    if isinstance(item, str | bytes | Path):
        remedy = "Name each file as a source of its own; an iterable must yield dictionaries or Arrow batches."
        raise UsageError("not-a-record", f"a {type(item).__name__} is not a record", remedy)
    return dict(item) if type(item) is dict else item


def _each(sources: Iterable[Source]) -> Iterator[Source]:
    """Put the files of folders and globs in the place of these."""
    for source in sources:
        if not isinstance(source, str | Path) or not _means_several(str(source)):
            yield source
            continue
        found = find([str(source)])
        if found.errors:
            raise found.errors[0]
        yield from (file.path for file in found.sources)


def _is_one_file(sources: Any) -> bool:
    return isinstance(sources, list) and len(sources) == 1 and not _means_several(str(sources[0]))


def _means_several(path: str) -> bool:
    return Path(path).is_dir() or (glob.has_magic(path) and not Path(path).exists())


def _tables(items: Iterable[Any]) -> Iterator[Any]:
    for ready, run in groupby(items, lambda item: isinstance(item, _ARROW)):
        yield from run if ready else records.tables(run, records.ROWS)  # noqa: B031  one of the two


def _batches(item: Any) -> Sequence[pa.RecordBatch]:
    return item.to_batches() if isinstance(item, pa.Table) else [item]


class ParallelReader:
    """An iterator over the rows of all sources; `results` describes each source that was started, in their order."""

    def __init__(
        self, sources: Iterator[Source], threads: int, lanes: Lanes, form: _Form, close_seconds: float
    ) -> None:
        self.results: list[SourceResult] = []
        self._sources, self._lanes, self._form, self._close_seconds = sources, lanes, form, close_seconds
        self._turn = threading.Lock()  # to take the next source
        self._threads = [
            threading.Thread(target=self._work, name="anabranch-read", daemon=True) for _ in range(threads)
        ]
        self._ready: Iterator[Any] = iter(())
        self._open = False

    def __enter__(self) -> Self:
        if self._threads[0].ident:
            raise UsageError("reader-not-open", "the reader was open before", "Call parallel_read again.")
        self._open = True
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        while self._open:
            for row in self._ready:
                return row
            try:
                taken = self._lanes.take()
            except ClosedError:
                break
            if not taken:
                require_read(self._form.options, self._form.formats or ())
                raise StopIteration
            self._ready = self._handed_out(taken)
        raise UsageError("reader-not-open", "the reader is not open", "Iterate within its `with` block.")

    def close(self) -> None:
        """Stop all threads, and wait until they have closed their files."""
        self._open = False
        self._lanes.close()
        deadline = time.monotonic() + self._close_seconds
        for thread in self._threads:
            if thread.ident:
                thread.join(max(deadline - time.monotonic(), 0))
        if blocked := sum(thread.is_alive() for thread in self._threads):
            message = f"{blocked} sources are blocking; their threads end when these return"
            warnings.warn(message, ResourceWarning, stacklevel=3)

    def _handed_out(self, taken: Taken) -> Iterator[Any]:
        for lane, item in taken:
            result = self.results[lane]
            if item is _END:
                result.done = True
                continue
            for row, rows in self._form.rows(item):
                result.rows += rows
                yield row

    def _work(self) -> None:
        try:
            while begun := self._begin():
                self._read(*begun)
        except ClosedError:
            pass
        except BaseException as error:  # noqa: BLE001  the iterating thread raises it
            self._lanes.fail(error)
        finally:
            self._lanes.leave()

    def _begin(self) -> tuple[int, Source] | None:
        """Take the next source, and open its lane."""
        with self._turn:
            if self._lanes.closed:
                return None
            for source in self._sources:
                lane = self._lanes.begin()
                name = str(source) if isinstance(source, str | Path) else f"source {lane + 1}"
                self.results.append(SourceResult(name))
                return lane, source
        return None

    def _read(self, lane: int, source: Source) -> None:
        try:
            with self._form.items(source) as items:
                for item in items:
                    self._lanes.put(lane, item, weight_of(item))
            self._end(lane)
        except ClosedError:
            raise
        except Exception as error:  # noqa: BLE001  whatever an iterable raises
            if self._form.passes_over(error):
                self._end(lane)
                return
            result = self.results[lane]
            result.error = _named(error, result.source)
            self._lanes.fail(result.error)

    def _end(self, lane: int) -> None:
        self._lanes.put(lane, _END, 0)
        self._lanes.end(lane)


def _named(error: Exception, source: str) -> AnabranchError:
    if isinstance(error, AnabranchError):
        error.part = error.part or source
        return error
    reason = f"{type(error).__name__}: {error}"
    found = SourceError("source-failed", reason, "See what the source raised, or leave it out.", source)
    found.__cause__ = error
    return found
