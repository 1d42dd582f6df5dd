"""End a flow: publish its report as artifacts on the run's page, and return the state that it implies."""

import functools
import inspect
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec

from prefect import get_run_logger
from prefect.artifacts import Artifact, MarkdownArtifact
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext, TagsContext
from prefect.exceptions import TerminationSignal
from prefect.states import Cancelled, Completed, Failed
from prefect.utilities.urls import url_for

from anabranch.core.config import RunOptions, work_dir
from anabranch.core.errors import PartlyFailed, Stopped, as_ours
from anabranch.core.once import one_run
from anabranch.core.parts import ErrorLine, Report
from anabranch.run.beside import leave_report
from anabranch.run.cautions import collecting
from anabranch.run.following import followed, following
from anabranch.run.naming import AD_HOC
from anabranch.run.overlapping import SKIPPED, overlapped
from anabranch.run.progress import artifact_key
from anabranch.run.runs import WHOLE, WHOLE_TYPE
from anabranch.run.speed import speeds
from anabranch.run.summary import MOST_LINES, summary
from anabranch.run.telling import INCOMPLETE, Teller, end_with, server_answers, telling

SUPERVISED = "PREFECT__FLOW_RUN_ID"  # set for flow runs that a Prefect worker started

P = ParamSpec("P")


def concluded(body: Callable[P, Report]) -> Callable[P, Report]:
    """Make a flow's body, which has a parameter `run: RunOptions`, end in the right state.

    The report becomes artifacts on the run's page; with more failed parts than `run.tolerate` the state is
    PartlyFailed, after a stop it is Cancelled.
    """
    signature = inspect.signature(body)

    @functools.wraps(body)
    def flow(*args: P.args, **kwargs: P.kwargs) -> Any:
        started = time.monotonic()
        try:
            if reason := _overlapped():
                return Cancelled(name=SKIPPED, message=reason)
            with telling() as teller, following() as ended:
                with one_run(), _untagged(), collecting() as cautions, _told_of_errors(teller):
                    report = body(*args, **kwargs)
                report.warnings = [*cautions, *report.warnings]
                if (tally := followed()) and (picture := speeds(*tally.speeds(), tally.memory())):
                    report.pictures["MB/s and memory over the run"] = picture
                bound = signature.bind(*args, **kwargs)
                bound.apply_defaults()
                report.seconds = round(time.monotonic() - started, 3)
                state = _conclude(report, bound.arguments.get("output"), bound.arguments["run"], teller)
                ended(report.status)
                return end_with(state, answers=not teller.unanswered)
        except (Stopped, KeyboardInterrupt, TerminationSignal) as stop:
            if isinstance(stop, TerminationSignal) and SUPERVISED in os.environ:
                raise  # the Prefect worker that sent the signal knows whether the run was cancelled
            stopped = stop if isinstance(stop, Stopped) else Stopped("the run was interrupted")
            return end_with(Cancelled(message=str(stopped)), answers=server_answers())

    return flow


def _untagged() -> TagsContext:
    """Keep the tag of the run from its tasks, each of which would ask the server for the limits of its tags."""
    return TagsContext(current_tags=TagsContext.get().current_tags - {AD_HOC})


def _overlapped() -> str:
    context = FlowRunContext.get()
    if SUPERVISED not in os.environ or not context or not context.flow_run:
        return ""
    return overlapped(context.flow_run)


def _of_a_schedule() -> bool:
    context = FlowRunContext.get()
    return bool(context and context.flow_run and context.flow_run.auto_scheduled)


@contextmanager
def _told_of_errors(teller: Teller) -> Iterator[None]:
    """Let an error that ends the flow before there is a report have a report of its own on the run's page."""
    try:
        yield
    except Stopped:
        raise
    except Exception as error:
        context = FlowRunContext.get()
        flow = context.flow.name if context and context.flow else ""
        report = _of_this_run(Report(flow=flow, status="failed", errors=[ErrorLine.of(as_ours(error))]))
        _show(report, "", teller)
        teller.finish()
        raise


def _of_this_run(report: Report) -> Report:
    context = FlowRunContext.get()
    if context and context.flow_run:
        report.run_id = str(context.flow_run.id)
        report.run_url = url_for("flow-run", context.flow_run.id) or ""
    return report


def _conclude(report: Report, output: str | None, run: RunOptions, teller: Teller) -> State[Any]:
    _of_this_run(report)
    # a part may hold a thousand files, which fail one by one
    if report.status != "failed" and len(report.errors) > run.tolerated(report.items.get("files", report.parts.total)):
        report.status = "partly_failed" if report.stands else "failed"
    quiet = _of_a_schedule() and report.nothing_new
    if quiet:
        report.status = "nothing_to_do"
    file = leave_report(report, output, work_dir(run))
    message = _message(report)
    for note in report.notes:
        get_run_logger().info("%s", note)
    for warning in report.warnings[:MOST_LINES]:
        get_run_logger().warning("%s", warning)
    for error in report.errors[:MOST_LINES]:
        get_run_logger().error("%s", error)
    if not quiet:  # which would leave a page of nothing for each quarter of an hour
        _show(report, file, teller)
    if not teller.finish():
        report.warnings.append(INCOMPLETE)
    if report.status in ("partly_failed", "failed"):
        name = "PartlyFailed" if report.status == "partly_failed" else "Failed"
        return Failed(name=name, message=message, data=PartlyFailed(report))
    return Completed(message=message, data=report)


def _show(report: Report, file: str, teller: Teller) -> None:
    teller.tell("report", lambda: _show_whole(report))
    teller.tell("summary", lambda: _show_summary(report, file))


def _show_whole(report: Report) -> None:
    Artifact(type=WHOLE_TYPE, description=WHOLE, data=report.model_dump(mode="json")).create()


def _show_summary(report: Report, file: str) -> None:
    page = summary(report, file)
    MarkdownArtifact(key=artifact_key("summary"), description=report.message, markdown=page).create()


def _message(report: Report) -> str:
    """Return how the run ended, with the first error, since a list of runs shows only this."""
    if not report.errors:
        return report.message
    more = f" (and {len(report.errors) - 1:,} more)" if len(report.errors) > 1 else ""
    return f"{report.message}. {report.errors[0]}{more}"
