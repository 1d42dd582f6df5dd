"""One run of the conversion that can be halted between any two parts, with a cache as `map_parts` has it."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from anabranch.core.errors import Stopped, as_ours
from anabranch.core.parts import Job, Manifest, Outcome, Part, Plan, Report
from anabranch.core.storage import unchanged
from anabranch.files.join import join
from anabranch.files.listing import Listing, listed
from anabranch.files.options import ConvertOptions
from anabranch.files.plan import Conversion, first_round, gathered
from anabranch.files.preview import check
from anabranch.files.rounds import settle
from anabranch.files.versions import code_key
from anabranch.files.work import work
from anabranch.formats.survey import Survey, look, survey
from anabranch.sources.unpack import unpack, unpacked

Cache = dict[str, Manifest]  # by the part's key


class Command:
    """Do the parts one by one, in an order that `order` draws; what the cache still has is not done again."""

    def __init__(self, job: Job[ConvertOptions], cache: Cache, order: random.Random) -> None:
        check(job.source, job.output, job.options)
        self.job = job
        self._cache, self._order = cache, order
        self._begin(listed(job), unpack)

    def advance(self, *, stop: bool = False) -> bool:
        """Do the next part, or plan the next map; say whether there was something left to do."""
        if self._pending:
            part = self._pending[-1]
            self._outcomes.append(self._outcome(part, stop=lambda: stop))
            self._pending.pop()
            return True
        match self._plan:
            case Listing() as listing:
                self._listing, self._unpacking = listing, self._outcomes
                sources = unpacked(listing, self._outcomes)
                self._begin(survey(sources, self.job.options, listing.folder, self.job.threads, code_key()), look)
            case Survey() as looks:
                known = gathered(self._listing, self._unpacking, looks, self._outcomes, self.job)
                self._convert(first_round(known, self.job.threads))
            case Conversion(parts=()):
                return False
            case Conversion() as conversion:
                self._convert(settle(conversion, self._outcomes, self.job.threads))
        return True

    def finish(self) -> Report:
        """Do what is left, and join."""
        while self.advance():
            pass
        assert isinstance(self._plan, Conversion)
        return join(self._plan)

    def _convert(self, conversion: Conversion) -> None:
        if conversion.parts:
            conversion.save()
        self._begin(conversion, work)

    def _begin(self, plan: Plan, step: Callable[..., Manifest]) -> None:
        self._plan, self._step = plan, step
        hits = [part for part in plan.parts if not self.job.refresh and self._is_hit(part)]
        self._outcomes = [Outcome(part, self._cache[part.key], cached=True) for part in hits]
        self._pending: list[Part] = [part for part in plan.parts if part not in hits]
        self._shuffle(self._outcomes)
        self._shuffle(self._pending)

    def _shuffle(self, items: list) -> None:
        self._order.shuffle(items)

    def _is_hit(self, part: Part) -> bool:
        known = self._cache.get(part.key)
        return known is not None and not known.errors and all(unchanged(file) for file in known.files)

    def _outcome(self, part: Part, stop: Callable[[], bool]) -> Outcome:
        try:
            self._cache[part.key] = manifest = self._step(part, stop)
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001  as of a task that failed
            return Outcome(part, error=as_ours(error, part.label))
        return Outcome(part, manifest)


def run(sources: Sequence[str], output: Path, options: ConvertOptions, work_dir: Path) -> Report:
    """Convert at once, part by part, in the plan's order."""
    return Command(Job(sources, str(output), options, work_dir, 1), {}, random.Random(0)).finish()
