"""Count records in their order, merge the states, and call the functions that watch: trigger and final."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from anabranch.files.pipeline.step import State, Step

Watcher = Callable[[dict[str, Any], State], object]


@dataclass(slots=True)
class Tally:
    """What became of the records so far; `stats` is what the watchers get, beside the state."""

    step: Step
    trigger: Watcher | None = None
    trigger_on: int = 1000
    final: Watcher | None = None
    state: State | None = None
    stats: dict[str, Any] = field(
        default_factory=lambda: {"rec_count": 0, "nulls": 0, "exceptions": 0, "time_start": time.time()}
    )

    def add(self, records: int, dropped: int, failed: int, state: State | None) -> None:
        """Count the next records; call the trigger once, where they went past the number that it waits for."""
        before = self.stats["rec_count"]
        self.stats["rec_count"] += records
        self.stats["nulls"] += dropped
        self.stats["exceptions"] += failed
        if state is not None:
            self.state = self.step.merged([self.state, state])
        if self.trigger and self.stats["rec_count"] // self.trigger_on > before // self.trigger_on:
            self.trigger(self.stats, self.known_state)

    def close(self) -> None:
        """Call the final function."""
        self.stats["time_end"] = time.time()
        self.stats["duration"] = self.stats["time_end"] - self.stats["time_start"]
        if self.final:
            self.final(self.stats, self.known_state)

    @property
    def known_state(self) -> State:
        """The merged state; that of the begin where nothing was merged."""
        return self.step.merged([self.state])
