"""Do one part of a pipeline: call the function for the records of its spans, and write what it returns."""

import pickle
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast
from weakref import WeakValueDictionary

from anabranch.core.errors import SourceError, Stopped
from anabranch.core.parts import WorkFile
from anabranch.core.storage import fingerprint, published, work_file
from anabranch.files.pipeline.options import PipelineOptions
from anabranch.files.pipeline.results import Results, as_line, as_record
from anabranch.files.pipeline.rows import Group, Rows, groups
from anabranch.files.pipeline.shares import Applied, ApplyPart, Span
from anabranch.files.pipeline.step import Failure, FunctionError, Ran, Record, State, Step
from anabranch.files.plan import ConvertManifest
from anabranch.files.work import BadRowError, Stop
from anabranch.formats.catalogue import File, load
from anabranch.formats.quarantine import Quarantine
from anabranch.schema.fit import BadRow
from anabranch.sources.finding import require_unchanged

PROBE_SECONDS = 0.2  # after which the first records are enough to go by

_alone: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()  # of each run, by its catalogue
_naming = threading.Lock()  # two parts of a run that ask at once must get the same one


def work(part: ApplyPart, stop: Stop = lambda: False) -> ConvertManifest:
    """Call the function for the records of the part's spans; a span that cannot be done tells why.

    Raises Stopped when `stop` says so before a record or a table, and UsageError where a state would be lost.
    """
    catalogue = load(part.catalogue)
    options = cast(PipelineOptions, catalogue.options)
    step = Step.of(options, as_line if options.lines else as_record)
    with _threads(part, stop) as caller:
        works = [_Span(catalogue.files[span.file], span, step, options, caller, stop) for span in part.pieces]
        done = [_applied(one, Path(part.folder) / fingerprint("applied", part.key, one.span)) for one in works]
    files = [file for one in done for file in (one.file, one.quarantine, one.state) if file]
    names = ("rows", "results", "dropped", "failed", "bad")
    counts = {name: sum(getattr(one, name) for one in done) for name in names}
    return ConvertManifest(tuple(files), counts, segments=tuple(done))


class Caller:
    """Call the step for chunks of records: in this thread, or in slices on several."""

    def __init__(
        self, threads: int, pool: ThreadPoolExecutor | None, lock: AbstractContextManager[Any], stop: Stop
    ) -> None:
        self._threads, self._pool, self._lock, self._stop = threads, pool, lock, stop

    def run(self, step: Step, records: Sequence[Record]) -> Ran:
        """Call the function for each record; results and failures come in the order of the records."""
        with self._lock:
            if self._pool is None or len(records) <= 1:
                return step.run(records, self._stop)
            size = -(-len(records) // self._threads)
            slices = [records[start : start + size] for start in range(0, len(records), size)]
            whole = Ran()
            for ran in self._pool.map(lambda some: step.run(some, self._stop), slices):
                whole.add(ran, step)
            return whole


def _lock_of(catalogue: str) -> threading.Lock:
    """Return the lock of one run: a function that itself runs a pipeline would wait forever for one of all runs."""
    with _naming:
        return _alone.setdefault(catalogue, threading.Lock())


@contextmanager
def _threads(part: ApplyPart, stop: Stop) -> Iterator[Caller]:
    lock = _lock_of(part.catalogue) if part.alone else nullcontext()
    if part.threads == 1:
        yield Caller(1, None, lock, stop)
        return
    with ThreadPoolExecutor(part.threads) as pool:
        yield Caller(part.threads, pool, lock, stop)


def _applied(one: "_Span", path: Path) -> Applied:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        done = one.write(path)
        require_unchanged(one.file.source)
    except BadRowError as bad:
        return Applied(one.span, rows=bad.row.row + 1, bad_row=bad.row)
    except SourceError as error:
        error.part = error.part or one.file.source.label
        return Applied(one.span, error=error)
    return done


@dataclass(slots=True)
class _Span:
    """A span while it is worked on."""

    file: File
    span: Span
    step: Step
    options: PipelineOptions
    caller: Caller
    stop: Stop
    before: int = 0  # rows of the groups that are done
    read: int = 0  # rows, the bad ones included
    bad: int = 0
    failed: int = 0
    first: str = ""
    chunks: int = 0
    density: float = 0.0

    def write(self, path: Path) -> Applied:
        """Write the results, what is set aside, and the state."""
        total, span = Ran(), self.span
        with (
            Quarantine(path.with_suffix(".quarantine")) as aside,
            Results(path, self.options, self.options.on_conflict) as out,
        ):
            try:
                for group in groups(self.file, self.span, self.options, batch=bool(self.options.batch)):
                    self._group(group, total, out, aside)
                    if self.span.limit:
                        break
                    self.span = replace(self.span, skip=0)  # what was done is of the first group only
            except FunctionError as error:
                return Applied(span, rows=self.read, failure=error.failure)
        return Applied(
            span,
            rows=self.read,
            bad=self.bad,
            file=work_file(path),
            quarantine=aside.file(),
            results=out.rows,
            dropped=total.dropped,
            failed=self.failed,
            first=self.first,
            schemas=tuple(out.schemas),
            state=_saved(total.state, path.with_suffix(".state")),
            chunks=self.chunks,
            cpu=total.cpu,
            wall=total.wall,
            density=self.density,
        )

    def _group(self, group: Group, total: Ran, out: Results, aside: Quarantine) -> None:
        self.density = self.density or group.rows / max(group.size, 1)
        if not self.span.share and not self.span.skip:  # else another span tells them
            self._tell(group.bad, aside)
        told = len(group.bad)
        for rows in group.chunks(self.span, self.options.chunk_size, batch=bool(self.options.batch)):
            if self.stop():
                raise Stopped
            ran = self._run(rows, out)
            self._tell(group.bad[told:], aside)
            told = len(group.bad)
            if self.options.on_error == "quarantine":
                aside.add(self._failed(rows, one) for one in ran.failures)
            self.read += ran.records
            self.failed += len(ran.failures)
            if ran.failures and not self.first:
                one = ran.failures[0]
                self.first = f"{self.options.function} raised {one.error}: {one.message}"
            self.chunks += 1
            ran.failures = []
            total.add(ran, self.step)
            if self.span.limit and total.wall > PROBE_SECONDS:
                break
        self.before += group.rows + (len(group.bad) if group.loads is None else 0)

    def _run(self, rows: Rows, out: Results) -> Ran:
        try:
            if self.options.batch:
                made, ran = self.step.run_table(rows.table())
                if made is not None:
                    out.add_table(made, rows.group.unit)
                return ran
            ran = self.caller.run(self.step, rows.records())
        except FunctionError as error:
            row = self.before + rows.number(error.failure.index)
            raise FunctionError(replace(error.failure, index=row)) from error
        out.add(ran.results, rows.group.unit)
        ran.results = []
        return ran

    def _tell(self, bad: Sequence[BadRow], aside: Quarantine) -> None:
        rows = [replace(row, row=self.before + row.row) for row in bad]
        if rows and self.options.on_bad_row == "fail":
            raise BadRowError(rows[0])
        aside.add(rows)
        self.bad += len(rows)
        self.read += len(rows)

    def _failed(self, rows: Rows, failure: Failure) -> BadRow:
        row = rows.number(failure.index)
        return BadRow(self.before + row, -1, 0, rows.raw(row), f"{failure.error}: {failure.message}")


def _saved(state: State | None, path: Path) -> WorkFile | None:
    if state is None:
        return None
    with published(path, durable=False) as file:
        pickle.dump(state, file)
    return work_file(path)
