"""Call the user's function for records: their results, what failed, the state that came of it, and what it took."""

import copy
import resource
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any

import pyarrow as pa

from anabranch.core.errors import Stopped, UsageError
from anabranch.files.pipeline.functions import Function, load_function, require_usable, takes_state
from anabranch.files.pipeline.options import Batch, PipelineOptions

Record = dict[str, Any]
State = dict[str, Any]

LEAST_WAITS = 0.05  # per call, of a function that is taken for waiting
_QUEUED = Path("/proc/thread-self/schedstat")  # nanoseconds: on a core, ready for one

_prepared: dict[Function, State] = {}
_preparing = threading.Lock()


def identity(result: Any) -> Any:
    """Return a result as it is."""
    return result


@dataclass(frozen=True, slots=True)
class Failure:
    """A record for which the function raised; `index` counts from 0 within what the function was called for."""

    index: int
    error: str  # the exception's type
    message: str


@dataclass(slots=True)
class Ran:
    """What came of some records."""

    records: int = 0
    results: list[Any] = field(default_factory=list)
    dropped: int = 0  # for which the function returned None
    failures: list[Failure] = field(default_factory=list)
    state: State | None = None  # to be merged
    cpu: float = 0.0  # seconds
    wall: float = 0.0

    def add(self, ran: "Ran", step: "Step") -> None:
        """Append what came of the next records."""
        self.failures += [replace(one, index=one.index + self.records) for one in ran.failures]
        self.results += ran.results
        self.dropped += ran.dropped
        self.count(ran)
        if ran.state is not None:
            self.state = step.merged([self.state, ran.state])

    def count(self, ran: "Ran") -> None:
        """Take over how many records there were, and what they took."""
        self.records += ran.records
        self.cpu += ran.cpu
        self.wall += ran.wall


class FunctionError(Exception):
    """The function raised, and no record may be skipped."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Step:
    """What is done with every record; survives pickle where its functions do.

    The state that a function gets begins, for each run of records, as a copy of `start` with what `init` returned in
    this process. What the function leaves in it, without what came from `init`, is merged in the order of the records:
    so `start` should be what `merge` leaves alone, such as a count of 0.
    """

    function: Function
    init: Callable[[], State] | None = None
    merge: Callable[[State, State], State] | None = None
    start: Mapping[str, Any] = field(default_factory=dict)
    batch: Batch | None = None
    stop_at_error: bool = False
    encode: Callable[[Any], Any] = identity  # of each result; one that raises makes a failed record
    keep_nulls: bool = False  # among the results
    wants_state: bool = field(init=False)

    def __post_init__(self) -> None:
        require_usable(self.function)
        object.__setattr__(self, "wants_state", takes_state(self.function))

    @classmethod
    def of(cls, options: PipelineOptions, encode: Callable[[Any], Any]) -> "Step":
        """Import the functions that the options name."""
        init, merge = (name and load_function(name) for name in (options.init, options.merge))
        function, stop = load_function(options.function), options.on_error == "fail"
        return cls(function, init or None, merge or None, {}, options.batch, stop, encode)

    def run(self, records: Sequence[Record], stop: Callable[[], bool] | None = None) -> Ran:
        """Call the function for each record, in order; raises FunctionError if the first failure is to end it.

        Raises Stopped when `stop` says so before a record.
        """
        state, ran = self.begin(), Ran(len(records))
        with timed(ran, len(records)):
            self.call(_until(stop, records) if stop else records, state, ran)
        ran.state = self.end(state)
        return ran

    def run_table(self, table: pa.Table) -> tuple[pa.Table | None, Ran]:
        """Call the function once for the whole table, which is a frame for it with `batch` pandas."""
        state, ran, made = self.begin(), Ran(table.num_rows), None
        with timed(ran, 1):
            try:
                made = as_table(self._bound(state)(table.to_pandas() if self.batch == "pandas" else table))
            except Exception as error:
                ran.failures = [_failure(index, error) for index in range(table.num_rows)]
                if self.stop_at_error:
                    raise FunctionError(ran.failures[0]) from error
        ran.state = self.end(state)
        return made, ran

    def begin(self) -> State:
        """Make a fresh state."""
        return {**copy.deepcopy(dict(self.start)), **prepared(self.init)}

    def own(self, start: State) -> State:
        """Take a state as it is, for records that all share it."""
        start.update(prepared(self.init))
        return start

    def call(self, records: Iterable[Record], state: State, ran: Ran) -> None:
        """Call the function for each record, and note in `ran` what came of it."""
        function, encode, keep = self._bound(state), self.encode, ran.results.append
        for index, record in enumerate(records):
            try:
                result = function(record)
                if result is not None:
                    keep(encode(result))
                    continue
                ran.dropped += 1
                if self.keep_nulls:
                    keep(None)
            except Exception as error:
                ran.failures.append(_failure(index, error))
                if self.stop_at_error:
                    raise FunctionError(ran.failures[-1]) from error

    def end(self, state: State) -> State | None:
        """Take from a state what is to be merged; UsageError if there is something and no merge function."""
        if not self.wants_state:
            return None
        left = self.left(state)
        if self.merge:
            return left
        if self.changed(state):
            raise UsageError(
                "state-not-merged",
                f"the function changed its state ({', '.join(sorted(map(repr, left)))}), of which each process has "
                "its own copy",
                "Name a merge function, which combines two states into one, or run without parallel.",
            )
        return None

    def left(self, state: State) -> State:
        """Return what a state holds beside what `init` prepared."""
        mine = prepared(self.init)
        return {name: value for name, value in state.items() if name not in mine or mine[name] is not value}

    def changed(self, state: State) -> bool:
        """Whether the function left something in a state that is not merged."""
        return self.merge is None and not _same(self.left(state), self.start)

    def merged(self, states: Iterable[State | None]) -> State:
        """Merge states in their order."""
        there = [state for state in states if state is not None]
        if not there or not self.merge:
            return copy.deepcopy(dict(self.start))
        with _blaming("merge"):
            return reduce(self.merge, there)

    def _bound(self, state: State) -> Callable[[Any], Any]:
        return (lambda record: self.function(record, state)) if self.wants_state else self.function


@contextmanager
def _blaming(role: str) -> Iterator[None]:
    """Return which of the user's functions raised, where that is not a single record's failure."""
    try:
        yield
    except Exception as error:
        reason = f"the {role} function raised {type(error).__name__}: {error}"
        raise UsageError("function-failed", reason, "Fix the function.") from error


def prepared(init: Callable[[], State] | None) -> State:
    """Call `init` once in this process, and give what it returned."""
    if init is None:
        return {}
    with _preparing:
        if init not in _prepared:
            with _blaming("init"):
                _prepared[init] = dict(init())
        return _prepared[init]


def as_table(made: Any) -> pa.Table | None:
    """Take what a function of batches returned: a table, a batch, a frame, or nothing."""
    if made is None or isinstance(made, pa.Table):
        return made
    if isinstance(made, pa.RecordBatch):
        return pa.Table.from_batches([made])
    return pa.Table.from_pandas(made, preserve_index=False).replace_schema_metadata()


def _until(stop: Callable[[], bool], records: Iterable[Record]) -> Iterator[Record]:
    for record in records:
        if stop():
            raise Stopped
        yield record


@contextmanager
def timed(ran: Ran, calls: int) -> Iterator[None]:
    """Note what that many calls cost this thread, without the time for which others had the core.

    Time without the core counts as waiting only where the thread gave the core up by itself once in many calls: a
    virtual machine that is stopped, or another thread that holds Python's lock, is not a wait that threads could fill.
    """
    wall, cpu, queued, left = time.perf_counter(), time.thread_time(), _queued_seconds(), _times_left()
    yield
    ran.cpu = time.thread_time() - cpu
    waited = time.perf_counter() - wall - (_queued_seconds() - queued) - ran.cpu
    left = _times_left() - left
    ran.wall = ran.cpu + (max(waited, 0) if left and left >= calls * LEAST_WAITS else 0)


def _times_left() -> int:
    """Return how many times this thread gave up its core to wait."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


def _queued_seconds() -> float:
    """Return how long this thread could have run but had no core; 0 if the system does not say."""
    try:
        return int(_QUEUED.read_bytes().split()[1]) / 1e9
    except (OSError, LookupError, ValueError):
        return 0.0


def _failure(index: int, error: Exception) -> Failure:
    return Failure(index, type(error).__name__, str(error))


def _same(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    try:
        return bool(one == two)
    except Exception:  # noqa: BLE001  such as arrays, which are not simply equal or not
        return False
