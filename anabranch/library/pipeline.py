"""`anabranch.pipeline`: a function over every record, as a Python function with the signature that users know."""

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from anabranch.core.config import RunOptions, cores, first_fault, work_dir
from anabranch.core.errors import SourceError, UsageError
from anabranch.core.parts import Job
from anabranch.files.pipeline.decision import Decision
from anabranch.files.pipeline.functions import reference_to
from anabranch.files.pipeline.options import Mode, OnError, PipelineOptions
from anabranch.files.pipeline.step import Failure, FunctionError, State, Step
from anabranch.files.pipeline.tally import Tally, Watcher
from anabranch.formats.options import ReadOptions
from anabranch.formats.writing import named_format
from anabranch.library.defaults import Defaults
from anabranch.library.destination import destination_of
from anabranch.library.failed import Failed
from anabranch.library.local import run_here
from anabranch.library.origin import Origin, length_of, paths_of
from anabranch.library.stream import Stream
from anabranch.schema.rules import OnConflict

_log = logging.getLogger(__name__)


@dataclass
class PipelineResult:
    """What a pipeline did; the counts can also be asked for as `result["rec_count"]`."""

    rows_processed: int
    elapsed_seconds: float
    exceptions: int
    nulls: int
    rec_count: int
    time_start: float
    time_end: float
    duration: float
    state: State = field(default_factory=dict)
    decision: dict[str, Any] = field(default_factory=dict)  # where the function ran, and why
    failed: list[dict[str, Any]] = field(default_factory=list)  # with on_error="quarantine"

    @property
    def throughput(self) -> float | None:
        """Records per second."""
        return self.rows_processed / self.elapsed_seconds if self.elapsed_seconds > 0 else None

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError:
            raise KeyError(name) from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and hasattr(self, name)


def pipeline(  # noqa: PLR0917  the signature that users know
    source: Any,
    destination: Any,
    process_func: Callable[..., Any],
    trigger_func: Watcher | None = None,
    trigger_on: int = 1000,
    final_func: Watcher | None = None,
    reset_iterables: bool = True,
    skip_nulls: bool = True,
    start_state: State | None = None,
    debug: bool = False,
    batch_size: int = 1000,
    progress: Callable[[dict[str, Any]], object] | None = None,
    progress_interval: int = 1000,
    atomic: bool = False,
    parallel: bool | None = None,
    workers: int | None = None,
    parallel_mode: Mode | None = None,
    chunk_size: int | None = None,
    merge: Callable[[State, State], State] | None = None,
    init: Callable[[], State] | None = None,
    on_error: OnError = "skip",
    on_conflict: OnConflict = "fail",
    **options: Any,
) -> PipelineResult:
    """Call a function for every record, in order, and write what it returns.

    Without `parallel` records go one by one through this process, with one state. With it they go in chunks to threads
    or processes, as `parallel_mode` says, or as the first records show that it pays; the results are the same, in the
    same order. Each chunk then begins with a copy of the state, and `merge` makes one of them, in order.

    Args:
        source: Paths, a glob or a URL of files in any format, also an iterator of Path; an object that reads records;
            any iterable of records.
        destination: A path, whose ending names the format; an object with `write` or `write_bulk`; None.
        process_func: Gets a record, or a record and the state; None drops the record, an exception fails it.
        trigger_func: Called with the counts and the state at every `trigger_on` records; in parallel between chunks.
        trigger_on: Records between two calls of the trigger.
        final_func: Called at the end with the counts and the (merged) state.
        reset_iterables: Begin source and destination anew, where they have `reset`.
        skip_nulls: Write nothing for a dropped record; else None, to a destination that is an object.
        start_state: State at the begin. With `merge` what merging leaves alone, such as a count of 0.
        debug: Raise what a function raises.
        batch_size: Records that an object gets at once.
        progress: Called with rows_processed, elapsed, throughput, rec_count, exceptions and nulls.
        progress_interval: Records between two calls of `progress`.
        atomic: A failed record ends the run. A file always appears whole, or not at all.
        parallel: Use several workers. Default: the setting ANABRANCH_PARALLEL, else no.
        workers: How many. Default: the setting ANABRANCH_WORKERS, else one per core.
        parallel_mode: auto, thread, process or inline. Default: the setting ANABRANCH_PARALLEL_MODE, else auto.
        chunk_size: Most records of a chunk. Default: the setting ANABRANCH_CHUNK_SIZE, else 1000.
        merge: Makes one state of two, of consecutive records.
        init: Called once in each process; its dictionary is in every state, and is not merged.
        on_error: fail, skip, or quarantine: keep the first 10,000 failed records in `failed`, as they came and each
            with its row in its file, and beside a destination that is a file all of them in NAME.quarantine.jsonl.
        on_conflict: What to do where results do not fit one type for their column: fail, widen or string.
        **options: How files are read, by the names in ReadOptions, such as delimiter or encoding.

    Raises:
        SourceError: A source cannot be read, or a record failed and `on_error`, `atomic` or `debug` says to stop.
        UsageError: The function changes a state that nobody merges.

    """
    _require_sizes(trigger_on=trigger_on, batch_size=batch_size, progress_interval=progress_interval)
    _require_sizes(workers=workers, chunk_size=chunk_size)
    _require_words(parallel_mode=(parallel_mode or "auto", Mode), on_error=(on_error, OnError))
    reading = _reading(on_conflict=on_conflict, **options)
    defaults = Defaults()
    several = defaults.parallel if parallel is None else parallel
    mode, threads = parallel_mode or defaults.parallel_mode, workers or defaults.workers or cores()
    size = chunk_size or defaults.chunk_size
    start = {} if start_state is None else start_state
    stop = debug or atomic or on_error == "fail"
    target = destination_of(destination, batch_size, on_conflict)
    step = Step(process_func, init, merge, start, None, stop, target.encode, keep_nulls=not skip_nulls)
    tally = Tally(step, trigger_func, trigger_on, final_func, strict=debug)
    if not (start or trigger_func or progress or debug or on_error == "quarantine" or not skip_nulls):
        how = {"mode": mode if several else "inline", "chunk_size": size, "on_conflict": on_conflict, **options}
        named = options_over_files(source, destination, step, **how)
        if named and (several or not step.wants_state):  # which has one state for all records
            return _over_files(source, destination, named, threads if several else 1, tally)
    if reset_iterables and hasattr(destination, "reset"):
        with suppress(NotImplementedError):
            destination.reset()
    output = str(Path(destination).absolute()) if isinstance(destination, str | Path) else None
    origin = Origin(source, reading, reset_iterables, output)
    state = step.begin() if several else step.own(start)
    quarantined = on_error == "quarantine"
    stream = Stream(iter(origin), step, state, mode, threads, size, length_of(source), keep=quarantined)
    tally.live = stream.shared
    watch = _Watch(progress, progress_interval)
    failed = Failed(destination, origin)
    try:
        with failed if quarantined else nullcontext(), target:
            for chunk, ran in stream.in_chunks() if several else stream.one_by_one():
                target.write(ran.results)
                if quarantined:
                    failed.add(chunk, ran.failures, tally.stats["rec_count"])
                tally.add(ran.records, ran.dropped, len(ran.failures), ran.state, target.flush)
                watch.see(tally.stats)
            watch.show(tally.stats)
    except FunctionError as error:
        if debug and error.__cause__ and stream.decision.mode != "process":
            raise error.__cause__ from None
        raise _error(error.failure, tally, origin) from error
    tally.close()
    return _result(stream.decision, tally, failed.rows)


def _require_sizes(**sizes: int | None) -> None:
    for name, size in sizes.items():
        if size is not None and size < 1:
            raise UsageError("bad-argument", f"{name} is {size}", "Give a number of at least 1.")


def _require_words(**words: tuple[str, Any]) -> None:
    for name, (word, known) in words.items():
        if word not in get_args(known):
            raise UsageError("bad-argument", f"{name} is {word!r}", f"Choose one of {', '.join(get_args(known))}.")


def _reading(**options: Any) -> ReadOptions:
    try:
        return ReadOptions(**options)
    except ValidationError as error:
        name, reason = first_fault(error)
        raise UsageError("bad-argument", f"{name}: {reason}", "See ReadOptions for what there is.") from error


def options_over_files(source: Any, destination: Any, step: Step, **options: Any) -> PipelineOptions | None:
    """Say how files become one file in parts, whose records never come here; None where they must come."""
    functions = {"function": step.function, "init": step.init, "merge": step.merge}
    names: dict[str, Any] = {name: reference_to(function) for name, function in functions.items() if function}
    one_state = step.wants_state and step.merge is None
    if one_state or None in names.values() or paths_of(source) is None or not isinstance(destination, str | Path):
        return None
    on_error: OnError = "fail" if step.stop_at_error else "skip"
    return PipelineOptions(**names, combine=True, to=named_format(Path(destination)), on_error=on_error, **options)


def _over_files(source: Any, destination: Any, options: PipelineOptions, workers: int, tally: Tally) -> PipelineResult:
    output = str(Path(destination).absolute())
    plan, _ = run_here(Job(paths_of(source) or [], output, options, work_dir(RunOptions()), workers), tally)
    for error in plan.all_errors:
        raise error
    tally.close()
    return _result(plan.decision, tally, [])


class _Watch:
    """Show the progress to whoever asked for it."""

    def __init__(self, progress: Callable[[dict[str, Any]], object] | None, interval: int) -> None:
        self._progress, self._interval, self._shown = progress, interval, 0

    def see(self, stats: dict[str, Any]) -> None:
        """Show it where enough records have passed."""
        if stats["rec_count"] // self._interval > self._shown:
            self._shown = stats["rec_count"] // self._interval
            self.show(stats)

    def show(self, stats: dict[str, Any]) -> None:
        """Show it; what the callback raises is logged."""
        if self._progress is None:
            return
        elapsed, count = time.time() - stats["time_start"], stats["rec_count"]
        figures = {name: stats[name] for name in ("rec_count", "exceptions", "nulls")}
        throughput = count / elapsed if elapsed > 0 else None
        try:
            self._progress({"rows_processed": count, "elapsed": elapsed, "throughput": throughput, **figures})
        except Exception:  # noqa: BLE001  the caller's own
            _log.warning("the progress callback failed", exc_info=True)


def _error(failure: Failure, tally: Tally, origin: Origin) -> SourceError:
    label, row = origin.place(tally.stats["rec_count"] + failure.index + 1)
    reason = f"the function raised {failure.error} for record {row}: {failure.message}"
    return SourceError("function-failed", reason, "Mend the function, or choose on_error skip or quarantine.", label)


def _result(decision: Decision, tally: Tally, failed: list[dict[str, Any]]) -> PipelineResult:
    stats = tally.stats
    return PipelineResult(
        rows_processed=stats["rec_count"],
        elapsed_seconds=stats["duration"],
        exceptions=stats["exceptions"],
        nulls=stats["nulls"],
        rec_count=stats["rec_count"],
        time_start=stats["time_start"],
        time_end=stats["time_end"],
        duration=stats["duration"],
        state=tally.state,
        decision={**decision.shown, "reason": decision.reason},
        failed=failed,
    )
