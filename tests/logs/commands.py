"""One run of the logs workload that can be halted between any two parts, with a cache as `map_parts` has it."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from anabranch.core.errors import AnabranchError, Stopped
from anabranch.core.parts import Manifest, Outcome, Part, Report
from anabranch.core.storage import unchanged
from anabranch.logs.join import join
from anabranch.logs.options import LogOptions
from anabranch.logs.plan import LogPlan, plan
from anabranch.logs.unpack import survey
from anabranch.logs.work import work
from anabranch.sources.unpack import unpack

Cache = dict[str, Manifest]  # by the part's key


class Command:
    """Do the parts one by one, in an order that `order` draws; what the cache still has is not done again."""

    def __init__(
        self, source: str, options: LogOptions, work_dir: Path, cache: Cache, *, threads: int, order: random.Random
    ) -> None:
        self.options, self.folder = options, work_dir
        self._cache, self._threads, self._order = cache, threads, order
        self._slices = survey([source], work_dir, threads)
        self._plan: LogPlan | None = None
        self._begin(self._slices.parts)

    def advance(self, *, stop: bool = False) -> bool:
        """Do the next part, or plan once all slices are done; say whether there was something left to do."""
        if self._pending:
            part = self._pending[-1]
            self._outcomes.append(self._outcome(part, stop=lambda: stop))
            self._pending.pop()
        elif self._plan is None:
            self._plan = plan(self._slices, self._outcomes, self.options, self._threads)
            self._plan.save()
            self._begin(self._plan.parts)
        else:
            return False
        return True

    def finish(self, output: Path) -> Report:
        """Do what is left, and join."""
        while self.advance():
            pass
        return self.join(output)

    def join(self, output: Path) -> Report:
        """Join the outcomes, in the order in which they came."""
        assert self._plan
        return join(self._plan, self._outcomes, str(output))

    def _begin(self, parts: Sequence[Part]) -> None:
        hits = [part for part in parts if self._is_hit(part)]
        self._outcomes = [Outcome(part, self._cache[part.key], cached=True) for part in hits]
        self._pending = [part for part in parts if part not in hits]
        self._order.shuffle(self._outcomes)
        self._order.shuffle(self._pending)

    def _is_hit(self, part: Part) -> bool:
        known = self._cache.get(part.key)
        return known is not None and not known.errors and all(unchanged(file) for file in known.files)

    def _outcome(self, part: Part, stop: Callable[[], bool]) -> Outcome:
        step: Callable = work if self._plan else unpack
        try:
            self._cache[part.key] = manifest = step(part, stop)
        except Stopped:
            raise
        except AnabranchError as error:
            return Outcome(part, error=error)
        return Outcome(part, manifest)
