"""Run a flow in this process, for a person or a script: server, progress, summary, exit code."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from anabranch.command import interrupts
from anabranch.command.request import Request
from anabranch.command.stdout import readers_may_leave
from anabranch.command.terminal import Terminal
from anabranch.command.workloads import load
from anabranch.core.config import work_dir
from anabranch.core.errors import PartlyFailed, Stopped, as_ours
from anabranch.core.outputs import require_usable
from anabranch.core.parts import ErrorLine, Report
from anabranch.run.api import page_of
from anabranch.run.orphans import end_orphans
from anabranch.run.server import ensure_server, link_to, prefect_environment

EXIT_CODES = {"completed": 0, "failed": 1, "partly_failed": 3, "nothing_to_do": 0, "cancelled": 5}
NOTHING_TO_DO = 4


def run_flow(request: Request) -> int:
    """Run the request's flow, with a bar on stderr; print the report or its data; return the exit code."""
    terminal = Terminal(quiet="quiet" in request.flags)
    require_usable(work_dir(request.run))
    own_server = not os.environ.get("PREFECT_API_URL")
    url = ensure_server(waiting=terminal.say)
    end_orphans(url)
    os.environ.update(prefect_environment(url))  # before anything imports Prefect
    if "debug" not in request.flags:  # we show errors once, without traceback; the run's page has them all
        os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    state = _run(request, terminal)
    report, error = _reported(request.workload.name, state)
    from anabranch.run.telling import INCOMPLETE  # which imports Prefect

    own_server = own_server and INCOMPLETE not in report.warnings  # a server that was lost does not stay up
    if "json" in request.flags:
        with readers_may_leave():
            print(report.model_dump_json(indent=2))
    elif request.output is None and request.workload.without_output == "stdout" and report.outputs:
        _copy_to_stdout(Path(report.outputs[0]))
        report.outputs = []  # a file of ours, of which the user need not know
    page = link_to(report.run_url) if terminal.seen else report.run_url
    terminal.summarise(report, page, own_server=own_server)
    if error is not None and "debug" in request.flags:
        raise error
    if "error_on_empty" in request.flags and _found_nothing(report):
        return NOTHING_TO_DO
    return as_ours(error).exit_code if error else EXIT_CODES[report.status]


def _found_nothing(report: Report) -> bool:
    """Whether there was nothing to do, or nothing in any source."""
    empty = report.status == "failed" and {error.code for error in report.errors} == {"empty-source"}
    return empty or report.status == "nothing_to_do"


def _run(request: Request, terminal: Terminal) -> Any:
    if interrupts.seen():  # its exception may have been lost on the way
        raise KeyboardInterrupt
    with interrupts.leaving():
        flow = load(request.workload.flow)
        from anabranch.run.lean import call
        from anabranch.run.progress import listening
    with terminal, listening(terminal.show):
        return call(flow, request.parameters, untold=interrupts.leave_without_farewell)


def _reported(flow: str, state: Any) -> tuple[Report, BaseException | None]:
    """Return the report from the flow's final state, or one that says what ended the flow."""
    result = None if state.is_cancelled() else state.result(raise_on_failure=False)
    if isinstance(result, PartlyFailed):
        return result.report, None
    if isinstance(result, Report):
        return result, None
    run_id = str(state.state_details.flow_run_id or "")
    page = page_of(os.environ["PREFECT_API_URL"], run_id) if run_id else ""
    report = Report(flow=flow, run_id=run_id, run_url=page)
    if result is None or interrupts.seen():  # a library may have turned the interrupt into another error
        message = (state.message if state.is_cancelled() else None) or "the run was stopped"
        resumes = Stopped().remedy
        report.status = "cancelled"
        report.warnings = [message if resumes in message else f"{message.rstrip('.')}. {resumes}"]
        return report, None
    report.status, report.errors = "failed", [ErrorLine.of(as_ours(result))]
    return report, result


def _copy_to_stdout(path: Path) -> None:
    with path.open("rb") as file, readers_may_leave():
        shutil.copyfileobj(file, sys.stdout.buffer)
