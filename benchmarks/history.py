"""How fast the server answers before and after the runs of a schedule that was on for days, as a ratio.

python -m benchmarks.history --runs 300
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from anabranch.run.api import call
from benchmarks.measure import machine, table, write_section

# runs before the first measurement, which fill a page of the list; times that each question is asked
WARM_UP, ROUNDS = 50, 7
SETTLE_SECONDS = 5  # in which the server writes what it was told last
FIRST = "2025-09-26T10:00:00.000001+00:00: corecard streamer @:INFO:Stop streaming\n"


def main() -> None:
    """Start a server of its own, ask, carry out the runs, ask again, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--write", action="store_true", help="keep the table in docs/performance.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "state"
        os.environ |= {"ANABRANCH_STATE_DIR": str(home), "ANABRANCH_WORK_DIR": folder}
        os.environ.pop("PREFECT_API_URL", None)
        # before anything imports Prefect, which reads its settings once
        from anabranch.run.server import ensure_server, prefect_environment, stop_server

        url = ensure_server()
        os.environ.update(prefect_environment(url))
        try:
            text = report(url, home, Path(folder), arguments.runs)
        finally:
            stop_server()
    print(text)
    if arguments.write:
        write_section("history", text)


def report(url: str, home: Path, folder: Path, runs: int) -> str:
    """Return the table of what each question took, and a run itself, in ms."""
    run, deployment = scheduled(folder)
    for _ in range(WARM_UP):
        last = run()
    before, size = measured(url, deployment, last, run), database_bytes(home)
    for number in range(runs):
        last = run()
        if number % 50 == 49:
            print(f"{number + 1} runs", flush=True)
    after, grown = measured(url, deployment, last, run), database_bytes(home) - size
    rows = [
        (name, f"{before[name] * 1000:.0f}", f"{after[name] * 1000:.0f}", f"{after[name] / before[name]:.2f}")
        for name in before
    ]
    heads = ("what", "before, ms", f"after {runs} runs, ms", "ratio")
    about = (
        f"A deployment of parse-logs with a schedule of every minute, {WARM_UP} runs, then {runs} more; medians of "
        f"{ROUNDS}. The ratios hold what else the machine did: compare them with that of `health`, which reads no data."
    )
    kept = f"The database has {grown / runs / 1000:.0f} kB more for each run."
    return f"\n## The server after many runs\n\n{about}\n\n{table(heads, rows)}\n{kept}\n\n{machine()}\n"


def scheduled(folder: Path) -> tuple[Callable[[], str], str]:
    """Deploy parse-logs with a schedule of every minute; return what carries out one run as its worker would."""
    import tarfile

    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import IntervalSchedule
    from prefect.flow_engine import run_flow

    from flows.logs import parse_logs

    (folder / "messages.log").write_text(FIRST)
    with tarfile.open(folder / "unit.tar.gz", "w:gz") as archive:
        archive.add(folder / "messages.log", "messages.log")
    schedule = DeploymentScheduleCreate(schedule=IntervalSchedule(interval=timedelta(minutes=1)), active=True)
    parameters = {"source": [str(folder / "unit.tar.gz")], "output": str(folder / "out.txt"), "run": {"refresh": True}}
    client = get_client(sync_client=True)
    deployment = client.create_deployment(
        client.create_flow(parse_logs), "every-minute", schedules=[schedule], parameters=parameters
    )

    def run() -> str:
        flow_run = client.create_flow_run_from_deployment(deployment)
        state: Any = run_flow(parse_logs, flow_run=flow_run, return_type="state")
        if not state.is_completed():
            raise SystemExit(f"a run ended as {state}")
        return str(flow_run.id)

    return run, str(deployment)


def measured(url: str, deployment: str, last: str, run: Callable[[], str]) -> dict[str, float]:
    """Ask everything several times; return the median of the seconds of each."""
    time.sleep(SETTLE_SECONDS)
    asked = {
        name: statistics.median(_seconds(ask) for _ in range(ROUNDS))
        for name, ask in questions(url, deployment, last).items()
    }
    return {**asked, "a run, from start to end": statistics.median(_seconds(run) for _ in range(ROUNDS))}


def questions(url: str, deployment: str, last: str) -> dict[str, Callable[[], Any]]:
    """Return what commands, a worker and the pages ask of the server."""
    now = datetime.now(UTC)
    week = {"history_start": (now - timedelta(days=7)).isoformat(), "history_end": now.isoformat()}
    of_run = {"flow_runs": {"id": {"any_": [last]}}}
    occurred = {"since": week["history_start"], "until": now.isoformat()}

    def ask(path: str, body: Any) -> Callable[[], Any]:
        return lambda: call(f"{url}/{path}", body)

    return {
        "the command: health": ask("health", None),
        "the command: deployments": ask("deployments/filter", {"sort": "NAME_ASC"}),
        "a scheduled run: whether another is on": ask(
            "flow_runs/filter",
            {
                "deployments": {"id": {"any_": [deployment]}},
                "flow_runs": {"start_time": {"before_": now.isoformat()}, "end_time": {"after_": now.isoformat()}},
                "limit": 1,
            },
        ),
        "pages: list of runs": ask("flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 50}),
        "pages: count of runs": ask("flow_runs/count", {}),
        "pages: history of runs": ask("flow_runs/history", {**week, "history_interval_seconds": 3600 * 6}),
        "pages: deployments": ask("deployments/paginate", {"limit": 20}),
        "pages: tasks of a run": ask("task_runs/filter", {**of_run, "limit": 50}),
        "pages: log of a run": ask("logs/filter", {"logs": {"flow_run_id": {"any_": [last]}}, "limit": 200}),
        "pages: artifacts of a run": ask("artifacts/filter", {**of_run, "limit": 50}),
        "pages: events of a week": ask("events/filter", {"filter": {"occurred": occurred}, "limit": 50}),
        "pages: events by day": ask(
            "events/count-by/time", {"filter": {"occurred": occurred}, "time_unit": "day", "time_interval": 1}
        ),
    }


def database_bytes(home: Path) -> int:
    """Return the size of the server's database, what is not merged into it yet included."""
    return sum(path.stat().st_size for path in (home / "prefect").glob("prefect.db*"))


def _seconds(ask: Callable[[], Any]) -> float:
    start = time.perf_counter()
    ask()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
