"""Fail the files of which too many records were set aside or skipped."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from anabranch.core.errors import AnabranchError
from anabranch.core.parts import WorkFile
from anabranch.core.rejects import beyond, too_many
from anabranch.files.plan import C, Conversion


@dataclass(slots=True)
class Rejects:
    """The records of a file, those of them that were rejected, and why the first one was."""

    records: int = 0
    rejected: int = 0
    first: str = ""

    def add(self, records: int, rejected: int, aside: WorkFile | None, first: str = "") -> None:
        """Count the next records of the file, whose rejects are in the file `aside`, if anywhere."""
        self.records += records
        self.rejected += rejected
        if rejected and not self.first:
            self.first = first or _first_reason(aside)


def limited(plan: C) -> C:
    """Fail the files of a conversion that reject too many of their rows."""
    found = {index: Rejects() for index in range(len(plan.catalogue.files))}
    for segment in sorted(plan.segments, key=lambda segment: (segment.piece.file, segment.piece.first)):
        found[segment.piece.file].add(segment.rows, segment.bad, segment.quarantine)
    return with_limit(plan, found)


def with_limit(plan: C, found: Mapping[int, Rejects]) -> C:
    """Fail the files with rejects where all of the run are more than `max_rejects`, or where no record is left.

    The latter is reported for each output: combined, one file may be rejected as a whole.
    """
    sound = {index: one for index, one in found.items() if index not in plan.failed}
    failed: dict[int, AnabranchError] = {}
    for group in _groups(plan, sound):
        records, rejected = (sum(getattr(one, name) for one in group.values()) for name in ("records", "rejected"))
        limit = plan.catalogue.options.max_rejects
        if beyond(rejected, records, limit):
            for index, one in group.items():
                if one.rejected:
                    label = plan.catalogue.files[index].source.label
                    failed[index] = too_many(rejected, records, limit, one.first, label)
    return replace(plan, failed={**plan.failed, **failed}) if failed else plan


def _groups(plan: Conversion, found: Mapping[int, Rejects]) -> Iterable[Mapping[int, Rejects]]:
    options = plan.catalogue.options
    return [found] if options.max_rejects or options.combine else [{index: one} for index, one in found.items()]


def _first_reason(aside: WorkFile | None) -> str:
    if aside is None:
        return ""
    with Path(aside.path).open("rb") as lines:
        return str(json.loads(lines.readline())["reason"])
