"""Run a step over a stream of records in this process, or on threads or processes that get them in chunks."""

import math
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import islice
from typing import Any

import cloudpickle

from anabranch.core.errors import UsageError
from anabranch.files.pipeline.decision import PROBE, START_SECONDS, Decision, Measured, decide
from anabranch.files.pipeline.functions import why_here, why_not_sent
from anabranch.files.pipeline.options import Mode
from anabranch.files.pipeline.shares import FIRST
from anabranch.files.pipeline.step import Failure, Ran, Record, State, Step, timed
from anabranch.library.processes import WorkerDiedError, Workers

PROBE_SECONDS = 0.2  # after which the first records are enough to go by

Came = tuple[Callable[[], Sequence[Record]], Ran]  # what came of a chunk, and a way to its records
_Packed = tuple[int, bytes, None]  # number of records, and the pickled list of them


@dataclass(slots=True)
class Stream:
    """Records on their way through a step; iterate over it once for what came of them, chunk by chunk, in order.

    Records that run in this process, one chunk after the other, share `state`; other states come with their chunks.
    """

    records: Iterator[Record]
    step: Step
    state: State
    mode: Mode
    workers: int
    chunk_size: int
    left: float = math.inf  # records to come, where that is known
    keep: bool = False  # records as they came, though the function may change them
    decision: Decision = field(default_factory=lambda: Decision("inline", 1, 1, ""))

    def shared(self) -> State | None:
        """Return the state that all records share, if they do."""
        return self.state if self.decision.mode == "inline" else None

    def one_by_one(self) -> Iterator[Came]:
        """Call the function for each record as it comes."""
        return self._here(1)

    def in_chunks(self) -> Iterator[Came]:
        """Run as `mode` says, or as the first records show that it pays; `decision` then says how."""
        functions = (self.step.function, self.step.init)
        if self.mode == "auto":
            yield from self._probed(why_here(functions))
        else:
            if self.mode == "process" and (reason := why_not_sent(functions)):
                remedy = "Choose the parallel_mode thread or inline."
                raise UsageError("bad-argument", f"other processes cannot call the function: {reason}", remedy)
            self.decision = Decision(self.mode, self.workers, self.chunk_size, "")
        if self.decision.mode == "inline":
            yield from self._here(self.chunk_size)
        else:
            yield from self._elsewhere()

    def _here(self, size: int) -> Iterator[Came]:
        while chunk := list(islice(self.records, size)):
            yield self._run(chunk)

    def _run(self, chunk: list[Record], *, measured: bool = False) -> Came:
        ran, kept = Ran(len(chunk)), self._kept(chunk)
        with (
            timed(ran, len(chunk)) if measured else nullcontext()
        ):  # a measurement takes as long as a function of 20 µs
            self.step.call(chunk, self.state, ran)
        return kept, ran

    def _kept(self, chunk: list[Record]) -> Callable[[], Sequence[Record]]:
        """Return a function for the records as they are now; what cannot be pickled is as the function leaves it."""
        if self.keep:
            with suppress(Exception):
                return partial(pickle.loads, pickle.dumps(chunk))
        return lambda: chunk

    def _probed(self, here: str) -> Iterator[Came]:
        """Run the first records here, and decide; go on here until as much is spent as processes need to start."""
        total, size = Ran(), 0
        for count in (FIRST, PROBE - FIRST):
            chunk = list(islice(self.records, count))
            given, here = _pickled_size(chunk, here)
            came = self._run(chunk, measured=True)
            made, here = _pickled_size(came[1].results, here)
            size += given + made
            total.count(came[1])
            yield came
            if total.wall > PROBE_SECONDS:
                break
        whole = (
            "the function changes its state, and there is no merge function" if self.step.changed(self.state) else ""
        )
        records = max(total.records, 1)
        measured = Measured(records, total.cpu / records, total.wall / records, size / records)
        decision = decide(
            measured, self.left - total.records, self.workers, self.chunk_size, why_here=here, why_whole=whole
        )
        while decision.mode == "process" and self.left == math.inf and total.wall < START_SECONDS:
            chunk = list(islice(self.records, decision.chunk_size))
            if not chunk:
                break
            came = self._run(chunk, measured=True)
            total.count(came[1])
            yield came
        self.decision = decision
        if decision.mode != "inline":
            yield (list, Ran(state=self.step.end(self.state)))

    def _elsewhere(self) -> Iterator[Came]:
        """Run on threads, which share the records, or on processes, which get them as bytes."""
        processes = self.decision.mode == "process"
        size = self.decision.chunk_size
        chunks = iter(lambda: list(islice(self.records, size)), [])
        packed = (
            (len(chunk), _pickled(chunk, "records"), None) if processes else (len(chunk), chunk, self._kept(chunk))
            for chunk in chunks
        )
        with Workers(self.decision.workers, processes=processes) as pool:
            here = partial(_run_chunk, self.step, pool.stopping.is_set)
            call = partial(run_packed, cloudpickle.dumps(self.step)) if processes else here
            for (count, chunk, kept), came in pool.map(call, packed):
                yield kept or partial(pickle.loads, chunk), _ran(came, count)


def _ran(came: Any, count: int) -> Ran:
    """Take the result of a chunk; if it killed its process, all of its records have failed."""
    if isinstance(came, WorkerDiedError):
        return Ran(count, failures=[Failure(index, "WorkerDied", str(came)) for index in range(count)])
    if isinstance(came, BaseException):
        raise came
    return pickle.loads(came) if isinstance(came, bytes) else came  # type: ignore[no-any-return]  # noqa: S301  our own


def run_packed(step: bytes, packed: _Packed) -> bytes:
    """Run a pickled step over pickled records, in another process; give a pickled Ran."""
    return _pickled(_unpickled(step).run(pickle.loads(packed[1])), "results")  # noqa: S301  from our own parent process


def _pickled(content: Any, what: str) -> bytes:
    try:
        return pickle.dumps(content, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        reason = f"{what} cannot go to or from another process ({type(error).__name__}: {error})"
        raise UsageError("bad-argument", reason, "Choose the parallel_mode thread or inline.") from error


def _pickled_size(content: Any, here: str) -> tuple[int, str]:
    """Return the bytes that would go to another process, or why nothing can, unless that is known already."""
    try:
        return (0, here) if here else (len(_pickled(content, "records or results")), "")
    except UsageError as error:
        return 0, error.reason


@lru_cache(maxsize=4)
def _unpickled(step: bytes) -> Step:
    return pickle.loads(step)  # type: ignore[no-any-return]  # noqa: S301


def _run_chunk(step: Step, stop: Callable[[], bool], chunk: tuple[int, list[Record], Any]) -> Ran:
    return step.run(chunk[1], stop)
