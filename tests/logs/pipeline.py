"""The logs workload in one process, part by part: what a flow does, without a flow."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from anabranch.core.errors import AnabranchError
from anabranch.core.parts import Outcome, Part, Report
from anabranch.logs.join import join
from anabranch.logs.options import LogOptions
from anabranch.logs.plan import plan
from anabranch.logs.unpack import survey, unpack
from anabranch.logs.work import work


def parse_logs(
    source: Sequence[str],
    output: Path,
    options: LogOptions,
    work_dir: Path,
    *,
    threads: int = 2,
    order: random.Random | None = None,
) -> Report:
    """Run every step; `order` shuffles the order in which the parts are done and their outcomes arrive."""
    slices = survey(source, work_dir, threads)
    unpacked = outcomes(unpack, slices.parts, order)
    planned = plan(slices, unpacked, options, threads)
    return join(planned, outcomes(work, planned.parts, order), str(output))


def outcomes(step: Callable, parts: Sequence[Part], order: random.Random | None = None) -> list[Outcome]:
    listed = list(parts)
    if order:
        order.shuffle(listed)
    return [outcome(step, part) for part in listed]


def outcome(step: Callable, part: Part) -> Outcome:
    try:
        return Outcome(part, manifest=step(part))
    except AnabranchError as error:
        return Outcome(part, error=error)
