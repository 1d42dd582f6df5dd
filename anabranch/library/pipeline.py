"""`anabranch.pipeline`: a function over every record, as a Python function with the signature that users know."""

import logging
import re
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
from anabranch.core.rejects import PATTERN, beyond, too_many
from anabranch.files.pipeline.decision import Decision
from anabranch.files.pipeline.functions import reference_to
from anabranch.files.pipeline.options import Mode, OnError, PipelineOptions
from anabranch.files.pipeline.plan import Applying
from anabranch.files.pipeline.step import Failure, FunctionError, State, Step
from anabranch.files.pipeline.tally import Tally, Watcher
from anabranch.formats.options import ReadOptions
from anabranch.formats.writing import named_format
from anabranch.library.defaults import Defaults
from anabranch.library.destination import destination_of
from anabranch.library.failed import Failed
from anabranch.library.folder import into_folder, is_folder, require_files
from anabranch.library.local import run_here
from anabranch.library.origin import Origin, length_of, paths_of
from anabranch.library.stream import Stream
from anabranch.schema.rules import OnConflict

_log = logging.getLogger(__name__)


@dataclass
class PipelineResult:
    """What a pipeline did; the counts are also items, as in `result["rec_count"]`."""

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
    on_error: OnError = "fail",
    on_conflict: OnConflict = "fail",
    max_rejects: str | None = None,
    to: str = "jsonl",
    **options: Any,
) -> PipelineResult:
    r"""Call a function for every record, in order, and write what it returns.

    Without `parallel`, records pass through this process one by one, with one state. With it, chunks of records go to
    threads or processes, as `parallel_mode` says; `auto` measures the first records and chooses what is faster. The
    results are the same, in the same order. Each chunk then starts with a copy of the state, and `merge` combines the
    states in the order of the chunks.

    Args:
        source: Paths, a glob pattern or a URL of files in any format, or an iterator of Path; an object that reads
            records; or any iterable of records.
        destination: A path, whose extension names the format; a folder (with a slash at its end, or one that is
            there), which gets one output for each source file; an object with `write` or `write_bulk`; or None.
        process_func: Takes a record, or a record and the state. If it returns None, the record is dropped; if it
            raises, the record has failed.
        trigger_func: Called with the counts and the state every `trigger_on` records; in parallel, between chunks.
        trigger_on: Records between two calls of the trigger.
        final_func: Called at the end with the counts and the (merged) state.
        reset_iterables: Call `reset` of the source and the destination first, if they have it.
        skip_nulls: Write nothing for a dropped record. If false, write None, to a destination that is an object.
        start_state: State at the start. With `merge`, a neutral value for it, such as a count of 0.
        debug: Raise the exceptions of the functions unchanged.
        batch_size: Records passed to a destination object at a time.
        progress: Called with rows_processed, elapsed, throughput, rec_count, exceptions and nulls.
        progress_interval: Records between two calls of `progress`.
        atomic: A failed record ends the run. A file always appears whole, or not at all.
        parallel: Use several workers. Default: the setting ANABRANCH_PARALLEL, else no.
        workers: How many. Default: the setting ANABRANCH_WORKERS, else one per core.
        parallel_mode: auto, thread, process or inline. Default: the setting ANABRANCH_PARALLEL_MODE, else auto.
            Process also takes lambdas, closures and functions of a script below `if __name__ == "__main__":`; what
            they change outside of their state is lost. Auto leaves these in this process.
        chunk_size: Most records of a chunk. Default: the setting ANABRANCH_CHUNK_SIZE, else 1000.
        merge: Combines two states, of consecutive chunks, into one.
        init: Called once in each process; the dictionary that it returns is part of every state and is not merged.
        on_error: What to do with a failed record: fail, skip or quarantine. Quarantine keeps the first 10,000 in
            `failed`, unchanged and each with its row number; if the destination is a file, all of them go to
            NAME.quarantine.jsonl beside it.
        max_rejects: Records that may fail before the run does: N, or P% of all. Default: all but one.
        on_conflict: What to do if the results of a column have no common type: fail, widen or string.
        to: Format of the outputs in a folder, such as parquet or csv.gz.
        **options: How files are read, by the names in ReadOptions, such as delimiter or encoding.

    Raises:
        SourceError: A source cannot be read; a record failed, unless `on_error` says otherwise, or `atomic` or `debug`
            says to stop then; or more records failed than may, and no file is written.
        UsageError: The function changes a state, and there is no `merge` for the states of parallel workers.

    Examples:
        >>> from pathlib import Path
        >>> _ = Path("orders.csv").write_text("city,amount\nBasel,9.5\nBern,12\nBasel,30\n")
        >>> def large(order):
        ...     return order if order["amount"] >= 10 else None
        >>> result = anabranch.pipeline("orders.csv", "large.jsonl", large)
        >>> result.rec_count, result.nulls
        (3, 1)
        >>> print(Path("large.jsonl").read_text(), end="")
        {"city":"Bern","amount":12.0}
        {"city":"Basel","amount":30.0}

        A function of two parameters gets a state as well, here to add up the amounts of each city:

        >>> def by_city(order, state):
        ...     state[order["city"]] = state.get(order["city"], 0) + order["amount"]
        >>> anabranch.pipeline("orders.csv", None, by_city).state
        {'Basel': 39.5, 'Bern': 12.0}

    """
    _require_sizes(
        trigger_on=trigger_on,
        batch_size=batch_size,
        progress_interval=progress_interval,
        workers=workers,
        chunk_size=chunk_size,
    )
    _require_limit(max_rejects)
    _require_words(parallel_mode=(parallel_mode or "auto", Mode), on_error=(on_error, OnError))
    reading = _reading(on_conflict=on_conflict, **options)
    defaults = Defaults()
    several = defaults.parallel if parallel is None else parallel
    mode, threads = parallel_mode or defaults.parallel_mode, workers or defaults.workers or cores()
    size = chunk_size or defaults.chunk_size
    start = {} if start_state is None else start_state
    stop = debug or atomic or on_error == "fail"
    how: dict[str, Any] = {
        "mode": mode if several else "inline",
        "chunk_size": size,
        "on_conflict": on_conflict,
        "max_rejects": max_rejects,
        **options,
    }
    if is_folder(destination):
        paths = require_files(source, start_state=start, progress=progress, debug=debug, keep_nulls=not skip_nulls)
        watching = Tally(Step(process_func, init, merge), trigger_func, trigger_on, final_func)
        how |= {"on_error": "fail" if stop else on_error, "to": to}
        return _finished(into_folder(paths, destination, watching, threads if several else 1, how), watching)
    target = destination_of(destination, batch_size, on_conflict)
    step = Step(process_func, init, merge, start, None, stop, target.encode, keep_nulls=not skip_nulls)
    tally = Tally(step, trigger_func, trigger_on, final_func, strict=debug)
    if not (start or trigger_func or progress or debug or on_error == "quarantine" or not skip_nulls):
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
    failed, first, lost = Failed(destination, origin), None, None
    try:
        with failed if quarantined else nullcontext(), target:
            for chunk, ran in stream.in_chunks() if several else stream.one_by_one():
                target.write(ran.results)
                first = first or next(iter(ran.failures), None)
                if quarantined:
                    failed.add(chunk, ran.failures, tally.stats["rec_count"])
                tally.add(ran.records, ran.dropped, len(ran.failures), ran.state, target.flush)
                watch.see(tally.stats)
            lost = _too_many(tally, first, max_rejects)
            if origin.holds_nothing or lost:
                target.leave()
            watch.show(tally.stats)
    except FunctionError as error:
        raise _raised(error, tally, origin, bare=debug and stream.decision.mode != "process") from error.__cause__
    if lost:
        raise lost
    tally.close()
    return _result(stream.decision, tally, failed.rows)


def _require_sizes(**sizes: int | None) -> None:
    for name, size in sizes.items():
        if size is not None and size < 1:
            raise UsageError("bad-argument", f"{name} is {size}", "Give a number of at least 1.")


def _require_limit(max_rejects: str | None) -> None:
    if max_rejects is not None and not re.search(PATTERN, max_rejects):
        raise UsageError("bad-argument", f"max_rejects is {max_rejects!r}", "Give a number, or one with %.")


def _require_words(**words: tuple[str, Any]) -> None:
    for name, (word, known) in words.items():
        if word not in get_args(known):
            raise UsageError("bad-argument", f"{name} is {word!r}", f"Choose one of {', '.join(get_args(known))}.")


def _too_many(tally: Tally, first: Failure | None, limit: str | None) -> SourceError | None:
    """Return the error for more failed records than may be, if so."""
    failed, records = tally.stats["exceptions"], tally.stats["rec_count"]
    if first is None or not beyond(failed, records, limit):
        return None
    return too_many(failed, records, limit, f"the function raised {first.error}: {first.message}")


def _reading(**options: Any) -> ReadOptions:
    try:
        return ReadOptions(**options)
    except ValidationError as error:
        name, reason = first_fault(error)
        raise UsageError("bad-argument", f"{name}: {reason}", "See ReadOptions for the options.") from error


def options_over_files(source: Any, destination: Any, step: Step, **options: Any) -> PipelineOptions | None:
    """Return options to convert files in parts, without their records passing here; None if they must pass here."""
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
    return _finished(plan, tally)


def _finished(plan: Applying, tally: Tally) -> PipelineResult:
    """Return what came of a run over files; raises its first error."""
    for error in plan.all_errors:
        raise error
    tally.close()
    return _result(plan.decision, tally, [])


class _Watch:
    """Report the progress to a callback, if there is one."""

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


def _raised(error: FunctionError, tally: Tally, origin: Origin, *, bare: bool) -> BaseException:
    """Return what the function raised, as it is or in words of ours."""
    return error.__cause__ if bare and error.__cause__ else _error(error.failure, tally, origin)


def _error(failure: Failure, tally: Tally, origin: Origin) -> SourceError:
    label, row = origin.place(tally.stats["rec_count"] + failure.index + 1)
    reason = f"the function raised {failure.error} for record {row}: {failure.message}"
    return SourceError("function-failed", reason, "Fix the function, or choose on_error skip or quarantine.", label)


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
