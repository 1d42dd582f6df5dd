"""The logs workload in one process, part by part: what a flow does, without a flow."""

import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from anabranch.core.errors import AnabranchError
from anabranch.core.parts import Job, Outcome, Part, Plan, Report
from anabranch.logs.options import LogOptions
from anabranch.logs.way import way


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
    return way(Job(source, str(output), options, work_dir, threads), partial(mapped, order))


def mapped(order: random.Random | None, step: Callable, plan: Plan) -> list[Outcome]:
    plan.save()
    return outcomes(step, plan.parts, order)


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
