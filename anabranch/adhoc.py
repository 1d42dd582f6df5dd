"""Run a flow in this process for a person or a script: server, progress, summary, exit code."""

import gc
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anabranch.errors import AnabranchError, PartlyFailed
from anabranch.parts import ErrorLine, Report
from anabranch.run.server import ensure_server, prefect_environment
from anabranch.terminal import Terminal
from anabranch.workloads import load

if TYPE_CHECKING:
    from anabranch.command import Request

EXIT_CODES = {"completed": 0, "failed": 1, "partly_failed": 3, "nothing_to_do": 0, "cancelled": 5}
NOTHING_TO_DO = 4


def run_flow(request: "Request") -> int:
    """Run the request's flow, with a bar on stderr; print the report or its data; return the exit code."""
    terminal = Terminal(quiet="quiet" in request.flags)
    own_server = not os.environ.get("PREFECT_API_URL")
    url = ensure_server(waiting=terminal.say)
    os.environ.update(prefect_environment(url))  # before anything imports Prefect
    if "debug" not in request.flags:  # errors are shown by us, once, without traceback; the run's page has them all
        os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops as Ctrl-C does
    with terminal:
        state = _run(_imported(request.workload.flow), request.parameters, terminal)
    report, error = _reported(request, state)
    if "json" in request.flags:
        print(report.model_dump_json(indent=2))
    elif request.output is None and report.outputs:
        _copy_to_stdout(Path(report.outputs[0]))
    terminal.summarise(report, own_server=own_server)
    if error is not None and "debug" in request.flags:
        raise error
    if report.status == "nothing_to_do" and "error_on_empty" in request.flags:
        return NOTHING_TO_DO
    return error.exit_code if isinstance(error, AnabranchError) else EXIT_CODES[report.status]


def _imported(flow: str) -> Any:
    """Import the flow, and Prefect with it, without looking for garbage among what stays: a tenth of a small run."""
    gc.disable()
    try:
        return load(flow)
    finally:
        gc.freeze()
        gc.enable()


def _run(flow: Any, parameters: dict[str, Any], terminal: Terminal) -> Any:
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    from anabranch.run.progress import listening

    # the heartbeat tells a supervisor that the process lives; this run has none, and would wait a second for its end
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}), listening(terminal.show):
        return flow(**parameters, return_state=True)


def _reported(request: "Request", state: Any) -> tuple[Report, BaseException | None]:
    """Take the report from the flow's final state, or make one that says what ended the flow."""
    if state.is_cancelled():
        return Report(flow=request.workload.name, status="cancelled", warnings=[state.message or ""]), None
    result = state.result(raise_on_failure=False)
    if isinstance(result, PartlyFailed):
        return result.report, None
    if isinstance(result, Report):
        return result, None
    error = result if isinstance(result, AnabranchError) else AnabranchError(
        "unexpected", f"{type(result).__name__}: {result}", "Run again with --debug, and report it.")  # fmt: skip
    return Report(flow=request.workload.name, status="failed", errors=[ErrorLine.of(error)]), (
        error if isinstance(result, AnabranchError) else result
    )


def _copy_to_stdout(path: Path) -> None:
    with path.open("rb") as file:
        shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.buffer.flush()
