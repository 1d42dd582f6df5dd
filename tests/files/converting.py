"""The conversion in one process, part by part: what the flow does, without a flow."""

import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from anabranch.core.errors import AnabranchError
from anabranch.core.parts import Job, Outcome, Part, Report
from anabranch.files.join import join
from anabranch.files.options import ConvertOptions
from anabranch.files.preview import check
from anabranch.files.way import way


def convert(
    source: Sequence[Path] | Path,
    output: Path | str,
    *,
    work_dir: Path,
    threads: int = 1,
    order: random.Random | None = None,
    refresh: bool = False,
    **options,
) -> Report:
    """Run every step; `order` shuffles the order in which the parts are done and their outcomes arrive."""
    sources = [str(path) for path in ([source] if isinstance(source, Path) else source)]
    chosen = ConvertOptions(**options)
    check(sources, str(output), chosen)
    job = Job(sources, str(output), chosen, work_dir, threads, refresh)
    return join(way(job, partial(mapped, order)))


def mapped(order: random.Random | None, step, plan) -> list[Outcome]:
    plan.save()
    return outcomes(step, plan.parts, order)


def outcomes(step, parts: Sequence[Part], order: random.Random | None = None) -> list[Outcome]:
    listed = list(parts)
    if order:
        order.shuffle(listed)
    return [outcome(step, part) for part in listed]


def outcome(step, part: Part) -> Outcome:
    try:
        return Outcome(part, manifest=step(part))
    except AnabranchError as error:
        return Outcome(part, error=error)


def cut_small(monkeypatch: pytest.MonkeyPatch, block: int, *, part_seconds: float) -> None:
    """Make blocks of so many bytes, and parts of so little work, that small files have many of both."""
    for module in ("formats.survey", "formats.reading", "formats.writing"):
        monkeypatch.setattr(f"anabranch.{module}.BLOCK", block)
    monkeypatch.setattr("anabranch.core.batches.SMALLEST_PART", part_seconds)
    monkeypatch.setattr("anabranch.core.batches.SECONDS_PER_PART", part_seconds)
