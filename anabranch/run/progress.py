"""How far a map is: for the run's page, its log, and a listener such as the terminal."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext

from anabranch.core.parts import Outcome, Part, Plan
from anabranch.core.tally import ACTIVE, WAITING, FileProgress, Tally
from anabranch.run.following import followed
from anabranch.run.pictures import in_bytes, in_time
from anabranch.run.telling import tell

SHOW_EVERY = 1.0  # seconds: the run's page is never updated more often
LOG_EVERY = 10.0  # seconds between lines in the run's log
MOST_FILES = 10  # under way that are shown one by one


class Progress:
    """Count the outcomes of one map and show them, never more than once a second."""

    def __init__(self, step: str, plan: Plan[Part]) -> None:
        self.step, self.total, self.cost = step, len(plan.parts), plan.cost
        self.done = self.failed = self.cached = 0
        self.done_cost = 0.0
        self.counts = dict.fromkeys(plan.counted, 0)
        self._words = plan.counted
        self.started = self._shown = self._logged = time.monotonic()
        self._artifact: UUID | None = None
        self._has_page = False
        self.tally = followed()
        self._tell()

    @property
    def fraction(self) -> float:
        """The share of the work that is done, 0 to 1: the run's bytes where it counts them, else this map's cost."""
        if self.tally:
            return self.tally.all.fraction
        return min(self.done_cost / self.cost, 1.0) if self.cost else (self.done + self.failed) / max(self.total, 1)

    def __str__(self) -> str:
        if self.tally:
            return f"{self.step}: {_of_all(self.tally)}"
        return f"{self._parts}, {100 * self.fraction:.0f} %"

    @property
    def _parts(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        cached = f", {self.cached} from the cache" if self.cached else ""
        counts = "".join(f", {number:,} {self._words[name]}" for name, number in self.counts.items())
        return f"{self.step}: {self.done} of {self.total} parts{cached}{failed}{counts}"

    @property
    def files(self) -> list[tuple[FileProgress, str]]:
        """The files under way, and what is to be shown of each; none where the run does not count its files."""
        active = self.tally.files(MOST_FILES, (ACTIVE,)) if self.tally else []
        return [(file, _of_one(file)) for file in active]

    def expect(self, parts: Sequence[Part]) -> None:
        """Count parts that the plan brought while it was mapped."""
        self.total += len(parts)
        self.cost += sum(part.cost for part in parts)

    def add(self, outcome: Outcome) -> None:
        """Count one part that is over."""
        failed = bool(outcome.error or outcome.manifest.failures)
        self.done += not failed
        self.failed += failed
        self.cached += outcome.cached
        self.done_cost += outcome.part.cost
        for name in self.counts:
            self.counts[name] += outcome.manifest.counts.get(name, 0) if outcome.done else 0

    def show(self) -> None:
        """Update the page, the log and the listener if it is time to."""
        now = time.monotonic()
        if now - self._shown >= SHOW_EVERY:
            self._shown = now
            self._update_page()
            self._tell()
        if now - self._logged >= LOG_EVERY:
            self._logged = now
            get_run_logger().info("%s", "\n".join((str(self), *self._lines())))

    def close(self) -> None:
        """Show the end."""
        if self._has_page:
            self._update_page()
        self._tell()
        get_run_logger().info("%s", self)

    def _update_page(self) -> None:
        percent, text = 100 * self.fraction, "\n".join((str(self), *(f"- {line}" for line in self._lines())))
        self._has_page = True
        tell(f"progress {id(self)}", lambda: self._write_page(percent, text))

    def _write_page(self, percent: float, text: str) -> None:
        if self._artifact is None:
            created = create_progress_artifact(percent, key=artifact_key(self.step), description=text)
            self._artifact = created if isinstance(created, UUID) else None
        else:
            update_progress_artifact(self._artifact, percent, description=text)

    def _lines(self) -> Iterator[str]:
        yield from (f"{file.name}: {text}" for file, text in self.files)

    def _tell(self) -> None:
        if (listener := _listener.get()) is not None:
            listener(self)


def artifact_key(name: str) -> str:
    """Return the key of an artifact of this flow: lower-case letters, digits and dashes, as Prefect requires."""
    context = FlowRunContext.get()
    flow = context.flow.name if context and context.flow else ""
    return re.sub("[^a-z0-9]+", "-", f"{flow} {name}".lower()).strip("-")


def _of_all(tally: Tally) -> str:
    every, counts = tally.all, tally.counts()
    ended = sum(number for state, number in counts.items() if state not in (ACTIVE, WAITING))
    failed = f", {every.failed} failed" if every.failed else ""
    amount = f"{in_bytes(every.bytes_so_far)} of {in_bytes(every.size)}"
    parts = f"{every.done} of {every.parts} parts{failed}"
    return f"{parts}, {ended} of {sum(counts.values())} files, {amount}, {_pace(every)}"


def _of_one(file: FileProgress) -> str:
    failed = f", {file.failed} failed" if file.failed else ""
    amount = f"{in_bytes(file.bytes_so_far)} of {in_bytes(file.size)}"
    return f"{file.done} of {file.parts} parts{failed}, {amount}, {_pace(file)}"


def _pace(file: FileProgress) -> str:
    left = f", {in_time(file.seconds_left)} left" if file.seconds_left else ""
    return f"{100 * file.fraction:.0f} %, {file.bytes_per_second / 1e6:.1f} MB/s{left}"


Listener = Callable[[Progress], None]
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Within the block, call `listener` whenever a map shows its progress."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
