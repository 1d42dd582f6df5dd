"""Uploads in this process, part by part: what a flow does, without a flow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from anabranch.core.errors import AnabranchError
from anabranch.core.here import map_here
from anabranch.core.parts import Job, Outcome, Report
from anabranch.uploads.options import UploadOptions
from anabranch.uploads.way import way

KIB = 1024
PART = f"{64 * KIB}"  # bytes: the smallest that the tests' server takes


class Crash(BaseException):
    """The process is killed: nothing that it would do afterwards is done."""


def upload(source: Any, output: Any, work_dir: Path, *, crash_after: int | None = None, **options: Any) -> Report:
    """Send files as the flow does; with `crash_after` the process is gone once so many parts are sent."""
    sources = [str(one) for one in (source if isinstance(source, list) else [source])]
    options.setdefault("part_size", PART)
    chosen = UploadOptions(**options)
    _, threads = chosen.in_flight
    job = Job(sources, str(output), chosen, work_dir, threads)
    return way(job, mapped(threads if crash_after is None else 1, crash_after))


def mapped(workers: int, crash_after: int | None) -> Callable[[Any, Any], list[Outcome]]:
    left = [crash_after]

    def seen(_: Outcome) -> None:
        if left[0] is not None:
            left[0] -= 1
            if left[0] <= 0:
                raise Crash

    return lambda work, plan: map_here(work, plan, workers, seen)


def failure(report: Report) -> str:
    """The code of the one error of a run."""
    (error,) = report.errors
    return error.code


def code_of(run: Callable[[], Report]) -> str:
    """The code of the error that ends a run, or that it reports."""
    try:
        return failure(run())
    except AnabranchError as error:
        return error.code
