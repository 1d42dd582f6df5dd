"""What `anabranch up`, `down` and `status` do: the server, its work pool, the deployments and one Prefect worker.

All of it can be repeated at any time and does only what is missing. Nothing here imports Prefect.
"""

import os
import platform
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from anabranch.core.errors import SetupError, UsageError
from anabranch.core.shipped import shipped
from anabranch.run.api import CONFLICT, NO_ANSWER, NOT_FOUND, RefusedError, call, log_in
from anabranch.run.background import Say, alive, last_line, launch, locked, patiently, running, stop
from anabranch.run.secret import read_secret
from anabranch.run.server import Server, ensure_server, find_server, prefect_environment, state_folder, stop_server

POOL, PROJECT_FILE = "anabranch", "prefect.yaml"
OUR_NAMES = {"PREFECT_PLUGINS_ENABLED": "true", "PREFECT_PLUGINS_ALLOW": "anabranch"}  # see `plugin`
WORKER_SECONDS = 120.0  # until a new worker has imported Prefect and reported to the server
CANCEL_SECONDS = 60.0  # for runs to end at their next item
POLL_SECONDS = "2"  # within this a detached run starts and a cancelled one ends; Prefect's default of 10 feels broken


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment on the server: `flow/name`, and for each schedule's slug whether it is active."""

    name: str
    schedules: dict[str, bool]


@dataclass(frozen=True, slots=True)
class Status:
    """What is running: our server or that of PREFECT_API_URL, our worker's pid, and the server's deployments."""

    server: Server | None
    worker: int | None
    deployments: tuple[Deployment, ...] = ()


def up(
    project: Path | None = None, home: Path | None = None, *, host: str | None = None, say: Say | None = None
) -> Status:
    """Make the project's deployments run: server, work pool, `prefect deploy --all`, worker.

    `project` is the folder in which runs start, default the current one; without a prefect.yaml in it the one of the
    package counts. `host` is the address of this machine where our server is to listen, until `down`. `say` gets a
    sentence for each thing done.

    Raises SetupError "deploy-failed", "worker-not-started", or what `ensure_server` raises.
    """
    say = say or _silent
    home = state_folder(home)
    url = deploy(project, home, host=host, say=say)
    with locked(home / "up.lock", WORKER_SECONDS, say):
        _ensure_worker(url, home, say)
    say("worker: ready")
    return status(home)


def deploy(
    project: Path | None = None, home: Path | None = None, *, host: str | None = None, say: Say | None = None
) -> str:
    """Do what `up` does, but for the worker, which runs elsewhere; return the address of the server's API.

    A schedule stays on or off as it was switched, which a bare `prefect deploy --all` resets to the file.
    """
    say = say or _silent
    project, home = (project or Path.cwd()).resolve(), state_folder(home)
    url = ensure_server(home, host=host, waiting=say)
    say(f"server: {url}")
    _ensure_pool(url)
    say(f"work pool: {POOL}")
    own = project / PROJECT_FILE
    file = own if own.exists() else shipped(PROJECT_FILE)
    with locked(home / "up.lock", WORKER_SECONDS, say):
        _deploy(file, project, url, home)
    say(f"deployments: {file}{'' if own.exists() else f', for the folder {project}'}")
    return url


def down(home: Path | None = None, *, say: Say | None = None) -> None:
    """Cancel the runs of our worker, stop it, then our server; scheduled runs wait for the next `up`."""
    say = say or _silent
    home = state_folder(home)
    with locked(home / "up.lock", WORKER_SECONDS, say):
        worker = running(home / "worker.json")
        if server := running(home / "server.json"):
            log_in(server.url, read_secret(home))
        if worker:
            with suppress(*NO_ANSWER):  # a server that has ended cannot cancel anything
                _cancel_runs(worker.url, say)
        say("worker: stopped" if stop(home / "worker.json") else "worker: was not running")
        say("server: stopped" if stop_server(home) else "server: was not running")


def status(home: Path | None = None) -> Status:
    """Return what is running, without starting anything."""
    home = state_folder(home)
    server, worker = find_server(home), running(home / "worker.json")
    deployments = _deployments(server.url) if server and server.healthy else ()
    return Status(server, worker.pid if worker else None, deployments)


def _silent(_sentence: str) -> None:
    pass


def write_project_file(folder: Path) -> Path:
    """Write the prefect.yaml of the package into a folder, to be edited; UsageError where there is one."""
    target = folder / PROJECT_FILE
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(shipped(PROJECT_FILE).read_text(encoding="utf-8"))
    except FileExistsError as error:
        reason = f"{target} exists already"
        raise UsageError("project-exists", reason, "Edit it, or move it away to get a new one.") from error
    return target


def _ensure_pool(url: str) -> None:
    try:
        call(f"{url}/work_pools/{POOL}")
    except RefusedError as error:
        if error.status != NOT_FOUND:
            raise
        try:  # without a job template: the first worker of the pool supplies that of its type
            call(f"{url}/work_pools/", {"name": POOL, "type": "process"})
        except RefusedError as created:  # by another command, or by us, if the reply was lost
            if created.status != CONFLICT:
                raise


def _deploy(file: Path, project: Path, url: str, home: Path) -> None:
    """Register all deployments; keep each schedule on or off as it was, which Prefect would reset to the file."""
    before = {deployment.name: deployment.schedules for deployment in _deployments(url)}
    # PWD, since prefect.yaml refers to the project's folder by it
    environment = os.environ | prefect_environment(url, home) | OUR_NAMES
    environment |= {"PWD": str(project), "NO_COLOR": "1", "COLUMNS": "500"}
    log = home / "deploy.log"
    with log.open("wb") as output:
        result = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file)],
            cwd=project,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
        )
    if result.returncode != 0:
        raise SetupError("deploy-failed", f"`prefect deploy --all` failed: {last_line(log)}", f"Read {log}.")
    _switch_schedules(url, before)


def _switch_schedules(url: str, wanted: dict[str, dict[str, bool]]) -> None:
    for name, deployment in _read_deployments(url):
        for schedule in deployment["schedules"]:
            active = wanted.get(name, {}).get(_slug(schedule), schedule["active"])
            if active != schedule["active"]:
                path = f"deployments/{deployment['id']}/schedules/{schedule['id']}"
                call(f"{url}/{path}", {"active": active}, method="PATCH")


def _deployments(url: str) -> tuple[Deployment, ...]:
    return tuple(
        Deployment(name, {_slug(schedule): schedule["active"] for schedule in deployment["schedules"]})
        for name, deployment in _read_deployments(url)
    )


def _read_deployments(url: str) -> list[tuple[str, dict[str, Any]]]:
    flows = {flow["id"]: flow["name"] for flow in call(f"{url}/flows/filter", {})}
    deployments = call(f"{url}/deployments/filter", {"sort": "NAME_ASC"})
    return [(f"{flows[deployment['flow_id']]}/{deployment['name']}", deployment) for deployment in deployments]


def _slug(schedule: dict[str, Any]) -> str:
    return str(schedule["slug"] or schedule["id"])


def _ensure_worker(url: str, home: Path, say: Say) -> None:
    """Start the one Prefect worker of this folder, unless it already serves this server; await its first report."""
    note, name = home / "worker.json", f"anabranch-{platform.node()}"
    worker, used = running(note), prefect_environment(url, home)
    login = f"PREFECT_API_AUTH_STRING={used.get('PREFECT_API_AUTH_STRING', '')}"
    if not worker or worker.url != url or not _has_variable(worker.pid, login):
        stop(note)
        _forget_worker(url, name)
        command = ["-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process", "--name", name]
        environment = {"PREFECT_WORKER_QUERY_SECONDS": POLL_SECONDS, **os.environ, **used, **OUR_NAMES}
        environment["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "INFO"
        worker = launch([*command, "--install-policy", "never"], note, home / "worker.log", url, environment)
    for _ in patiently(WORKER_SECONDS, "the Prefect worker to start", say):
        if not alive(worker):
            break
        if any(known["name"] == name for known in call(f"{url}/work_pools/{POOL}/workers/filter", {})):
            return
    log = home / "worker.log"
    raise SetupError("worker-not-started", f"the Prefect worker did not start: {last_line(log)}", f"Read {log}.")


def _cancel_runs(url: str, say: Say) -> None:
    """Cancel the runs of our worker: killed with it, a run would stay "Running" forever and keep its slot."""
    ours = {run["id"]: run["name"] for run in _live_runs(url) if _is_process_of(run)}
    for run, name in ours.items():
        call(f"{url}/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
        say(f"run {name}: cancelled")
    for _ in patiently(CANCEL_SECONDS if ours else 0, "the runs to stop", say):
        if ours.keys().isdisjoint(run["id"] for run in _live_runs(url)):  # a process ends before its worker reports it
            break


def _live_runs(url: str) -> list[dict[str, Any]]:
    states = {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}
    pool = {"name": {"any_": [POOL]}}
    runs: list[dict[str, Any]] = call(f"{url}/flow_runs/filter", {"flow_runs": {"state": states}, "work_pools": pool})
    return runs


def _is_process_of(run: dict[str, Any]) -> bool:
    # Prefect sets PREFECT__FLOW_RUN_ID in the process; the pid may be that of another machine
    return _has_variable(run["infrastructure_pid"], run["id"])


def _has_variable(pid: object, text: str) -> bool:
    """Whether the text is in the environment that the process was started with."""
    try:
        return text.encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def _forget_worker(url: str, name: str) -> None:
    """Remove the server's record of an earlier worker, which would be mistaken for a report of the new one."""
    try:
        call(f"{url}/work_pools/{POOL}/workers/{quote(name)}", method="DELETE")
    except RefusedError as error:
        if error.status != NOT_FOUND:
            raise
