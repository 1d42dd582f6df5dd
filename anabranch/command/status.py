"""The command `status`: the server and what is deployed on it, the runs under way, or one run and each of its files."""

import json as json_format
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from cyclopts import Parameter

from anabranch.command.extras import as_text
from anabranch.command.limits import told
from anabranch.command.stdout import readers_may_leave
from anabranch.command.workloads import load
from anabranch.core.config import RunOptions
from anabranch.core.config import work_dir as chosen
from anabranch.core.storage import shown
from anabranch.run import status as kept
from anabranch.run.deploying import Status
from anabranch.run.pictures import in_bytes, in_time
from anabranch.run.server import OPEN, Server, find_server, for_stock_prefect, link_to

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object.")]
Run = Annotated[str | None, Parameter(help="A run of upload-files, by its id or name. Default: the runs under way.")]
WorkDir = Annotated[str | None, Parameter(help="The runs' folder for work files. Default: $ANABRANCH_WORK_DIR.")]


def status(run: Run = None, /, *, work_dir: WorkDir = None, json: Json = False) -> int:
    """Show the server, the deployments and the uploads under way, or one run of uploads, during the run and after.

    Starts nothing. Without RUN, exit with code 1 if no server answers.
    """
    folder = chosen(RunOptions(work_dir=work_dir))
    if run is not None:
        found, code = _of_one(folder, run), 0
        text = _run_text(found)
    else:
        from anabranch.run import deploying

        now = deploying.status()
        found, code = _of_all(now, kept.active(kept.runs(folder))), 0 if now.server and now.server.healthy else 1
        text = "\n".join((deployed_text(now), *map(_run_text, found["runs"]), _around_text(found)))
    with readers_may_leave():
        print(json_format.dumps(found, indent=2) if json else text)
    return code


def _of_one(folder: Any, run: str) -> dict[str, Any]:
    return {**kept.one_run(folder, run), "slots": _slots(find_server())}


def _of_all(now: Status, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    server = now.server
    return {
        "server": server and {"url": server.url, "ui_url": server.ui_url, "healthy": server.healthy, "pid": server.pid},
        "worker": now.worker,
        "deployments": {deployment.name: deployment.schedules for deployment in now.deployments},
        "runs": runs,
        "active_uploads": sum(run["files"]["active"] for run in runs),
        "slots": _slots(server),
        "memory": load("anabranch.uploads.standing:memory")(),
    }


def _slots(server: Server | None) -> Sequence[Mapping[str, Any]] | None:
    """Return the places of uploads, of all runs and of each user; None where no server tells."""
    return told(server.url) if server and server.healthy else None


def deployed_text(found: Status) -> str:
    """Return what is running and what is deployed, as people read it."""
    server = found.server
    health = "answers" if server and server.healthy else "does not answer"
    # a link that needs no password is for the person at this terminal, not for a file or a pipe
    page = server and (link_to(server.ui_url) if server.pid and sys.stdout.isatty() else server.ui_url)
    lines = [
        f"server: {f'{page} ({health})' if server else 'not running'}",
        f"worker: {f'running, process {found.worker}' if found.worker else 'not running'}",
    ]
    for deployment in found.deployments:
        schedules = ", ".join(f"{slug} {'on' if on else 'off'}" for slug, on in deployment.schedules.items())
        lines.append(f"deployment: {deployment.name} (schedules: {schedules or 'none'})")
    if server and server.open:
        lines.append(OPEN)
    if server and server.healthy:
        lines.append(f"for the command prefect: {for_stock_prefect(server.url)}")
    if not server:
        lines.append("Start everything with `anabranch up`.")
    return "\n".join(lines)


def _run_text(run: Mapping[str, Any]) -> str:
    files, total = run["files"], run["total"]
    states = ("active", "waiting", "failed", "stopped")
    counts = "".join(f", {files[state]} {state}" for state in states if files.get(state))
    left = f", {in_time(total['seconds_left'])} left" if total["seconds_left"] else ""
    pace = f"{total['bytes_per_second'] / 1e6:.1f} MB/s, {in_time(total['elapsed_seconds'])}{left}"
    lines = [
        f"run: {run['name']} ({run['run']}), {run['flow']} of {shown(run['user'])}: {run['state'].replace('_', ' ')}",
        f"files: {files['done']} of {files['total']} done{counts}",
        f"bytes: {_amount(total)}, {total['percent']:.0f} %, {pace}",
    ]
    if run["uploads"]:
        lines.append(as_text([_row(upload) for upload in run["uploads"]]))
    if run["not_listed"]:
        lines.append(f"and {run['not_listed']:,} more files")
    if "slots" in run:
        lines.append(_around_text(run))
    return "\n".join(lines)


def _row(upload: Mapping[str, Any]) -> Mapping[str, Any]:
    left = upload["seconds_left"]
    return {
        "file": upload["file"],
        "state": upload["state"],
        "parts": f"{upload['parts_done']} of {upload['parts_total']}",
        "failed": upload["parts_failed"],
        "bytes": _amount(upload),
        "percent": f"{upload['percent']:.0f} %",
        "elapsed": in_time(upload["elapsed_seconds"]),
        "left": None if left is None else in_time(left),
        "parts/s": upload["parts_per_second"],
    }


def _amount(figures: Mapping[str, Any]) -> str:
    return f"{in_bytes(figures['bytes_done'])} of {in_bytes(figures['bytes_total'])}"


def _around_text(found: Mapping[str, Any]) -> str:
    slots = ", ".join(f"{one['limit']} {one['free']} of {one['places']} free" for one in found["slots"] or ())
    memory = found["memory"]
    used = f"memory: {memory['used_percent']:.0f} % in use; no upload begins above {memory['limit_percent']:.0f} %"
    return f"slots: {slots}\n{used}" if slots else used
