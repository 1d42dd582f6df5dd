"""Count records in their order, merge the states, and call the functions that watch: trigger and final."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from anabranch.files.pipeline.step import State, Step

Watcher = Callable[[dict[str, Any], State], object]

_log = logging.getLogger(__name__)


def _nothing() -> None:
    return None


@dataclass(slots=True)
class Tally:
    """What became of the records so far; `stats` is what the watchers get, beside the state."""

    step: Step
    trigger: Watcher | None = None
    trigger_on: int = 1000
    final: Watcher | None = None
    strict: bool = True  # whether what the trigger raises is raised, or logged
    live: Callable[[], State | None] = _nothing  # the state, where all records share one
    merged: State | None = None
    stats: dict[str, Any] = field(
        default_factory=lambda: {"rec_count": 0, "nulls": 0, "exceptions": 0, "time_start": time.time()}
    )

    @property
    def state(self) -> State:
        """The state of the records so far."""
        live = self.live()
        return self.step.merged([self.merged]) if live is None else live

    def add(
        self, records: int, dropped: int, failed: int, state: State | None, flush: Callable[[], object] = _nothing
    ) -> None:
        """Count the next records; call the trigger once, where they went past the number that it waits for."""
        before = self.stats["rec_count"] // self.trigger_on
        self.stats["rec_count"] += records
        self.stats["nulls"] += dropped
        self.stats["exceptions"] += failed
        if state is not None:
            self.merged = self.step.merged([self.merged, state])
        if self.trigger and self.stats["rec_count"] // self.trigger_on > before:
            flush()
            self._call(self.trigger)

    def close(self) -> None:
        """Call the final function."""
        self.stats["time_end"] = time.time()
        self.stats["duration"] = self.stats["time_end"] - self.stats["time_start"]
        if self.final:
            self.final(self.stats, self.state)

    def _call(self, trigger: Watcher) -> None:
        try:
            trigger(self.stats, self.state)
        except Exception:
            if self.strict:
                raise
            _log.exception("the trigger failed at record %d", self.stats["rec_count"])
