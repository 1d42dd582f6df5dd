"""End a flow: its report as artifacts on the run's page, and the state that the report means."""

import functools
import inspect
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec

from prefect import get_run_logger
from prefect.artifacts import Artifact, ImageArtifact, MarkdownArtifact
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.exceptions import TerminationSignal
from prefect.states import Cancelled, Completed, Failed
from prefect.utilities.urls import url_for

from anabranch.config import RunOptions
from anabranch.errors import PartlyFailed, Stopped
from anabranch.parts import Report
from anabranch.run.pictures import bars
from anabranch.run.progress import artifact_key, page_of_the_run

MOST_LINES = 200  # errors or warnings on the run's page; the report's JSON has them all

DRAWN = ("lines", "records", "rows", "bytes_in", "bytes_out")  # figures of a report's details that become pictures

SUPERVISED = "PREFECT__FLOW_RUN_ID"  # set for flow runs that a Prefect worker started

P = ParamSpec("P")


def concluded(body: Callable[P, Report]) -> Callable[P, Report]:
    """Make a flow's body, with a parameter `run: RunOptions`, end in its right state.

    The report becomes artifacts on the run's page; failed parts beyond `run.tolerate` make the state PartlyFailed, a
    stop makes it Cancelled.
    """
    signature = inspect.signature(body)

    @functools.wraps(body)
    def flow(*args: P.args, **kwargs: P.kwargs) -> Any:
        started = time.monotonic()
        try:
            report = body(*args, **kwargs)
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            return _conclude(report, time.monotonic() - started, bound.arguments["run"])
        except (Stopped, KeyboardInterrupt, TerminationSignal) as stop:
            if isinstance(stop, TerminationSignal) and SUPERVISED in os.environ:
                raise  # the Prefect worker that sent the signal knows whether it meant a cancel
            return Cancelled(message=str(stop) or "the run was interrupted")

    return flow


def _conclude(report: Report, seconds: float, run: RunOptions) -> State[Any]:
    context = FlowRunContext.get()
    if context and context.flow_run:
        report.run_id = str(context.flow_run.id)
        report.run_url = url_for("flow-run", context.flow_run.id) or ""
    report.seconds = round(seconds, 3)
    if len(report.errors) > run.tolerated(report.parts.total):
        report.status = "partly_failed" if report.stands else "failed"
    for warning in report.warnings[:MOST_LINES]:
        get_run_logger().warning("%s", warning)
    with page_of_the_run():
        data, text = report.model_dump(mode="json"), "\n".join(_markdown(report))
        Artifact(type="json", key=artifact_key("report"), description=report.message, data=data).create()
        MarkdownArtifact(key=artifact_key("summary"), markdown=text).create()
        for name, figures in _pictured(report):
            key = artifact_key(name.replace("_", "-"))
            ImageArtifact(key=key, description=name, image_url=bars(name, figures)).create()
    if report.status in ("partly_failed", "failed"):
        name = "PartlyFailed" if report.status == "partly_failed" else "Failed"
        return Failed(name=name, message=report.message, data=PartlyFailed(report))
    return Completed(message=report.message, data=report)


def _pictured(report: Report) -> Iterator[tuple[str, dict[str, int]]]:
    """Give what is drawn: rows and bytes thing by thing, and the errors by their kind."""
    for name in DRAWN:
        if figures := {item: figures[name] for item, figures in report.details.items() if figures.get(name)}:
            yield name, figures
    if report.errors:
        yield "errors", dict(Counter(error.code for error in report.errors))


def _markdown(report: Report) -> Iterator[str]:
    yield f"# {report.flow}: {report.status.replace('_', ' ')}"
    yield f"\n{report.message} in {report.seconds:.1f} s.\n"
    yield from _table(("", ""), [(name, f"{number:,}") for name, number in report.items.items()])
    if report.details:  # one row of figures for each thing that the run worked on
        heads = list(dict.fromkeys(head for figures in report.details.values() for head in figures))
        rows = [(name, *(figures.get(head, "") for head in heads)) for name, figures in report.details.items()]
        yield "\n## Details\n"
        yield from _table(("", *heads), rows[:MOST_LINES])
    for title, lines in (("Outputs", report.outputs), ("Errors", report.errors), ("Warnings", report.warnings)):
        if lines:
            yield f"\n## {title}\n"
            yield from (f"- {line}" for line in lines[:MOST_LINES])
            if len(lines) > MOST_LINES:
                yield f"- … and {len(lines) - MOST_LINES} more: see the artifact `{report.flow}-report`"


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    yield from ("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows)
