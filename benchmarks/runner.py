"""Milliseconds per mapped task of Prefect's own runners and ours, on equal two-process clusters, in one run.

python -m benchmarks.runner --tasks 200 --rounds 3
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import machine, table, write_section

SETTLE_SECONDS = 4  # the server digests the events of one runner, which must not slow the next

Measures = dict[str, list[float]]


def main() -> None:
    """Start a server and a cluster of their own, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="keep the table in docs/performance.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        # before anything imports Prefect, which reads its settings once
        os.environ["PREFECT_HOME"] = home
        os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "ERROR"
        os.environ.pop("PREFECT_API_URL", None)
        from anabranch.run.server import ensure_server, prefect_environment, stop_server

        os.environ.update(prefect_environment(ensure_server(Path(home)), Path(home)))
        try:
            text = report(measure(arguments.tasks, arguments.rounds), arguments.tasks)
        finally:
            stop_server(Path(home))
    print(text)
    if arguments.write:
        write_section("runner", text)


def measure(tasks: int, rounds: int) -> Measures:
    """Map the same trivial task on each runner in turn; return ms per task of every round.

    Each round has a cluster of its own, since the stock runner leaves two open clients per task on the workers.
    """
    from distributed import LocalCluster
    from prefect.task_runners import ThreadPoolTaskRunner
    from prefect_dask import DaskTaskRunner

    from anabranch.run.runner import WarmDaskTaskRunner

    runners: dict[str, Callable[[str], Any]] = {
        "stock DaskTaskRunner": lambda address: DaskTaskRunner(address=address),
        "WarmDaskTaskRunner": lambda address: WarmDaskTaskRunner(address=address),
        "ThreadPoolTaskRunner": lambda _: ThreadPoolTaskRunner(max_workers=2),
    }
    measures: Measures = {name: [] for name in runners}
    for _ in range(rounds):
        for name, make in runners.items():
            with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
                measures[name].append(map_once(make(cluster.scheduler_address), tasks))
            time.sleep(SETTLE_SECONDS)
    return measures


def map_once(runner: Any, tasks: int) -> float:
    """Return ms per task of one map, after a first small map that makes the workers import what they need."""
    from prefect import flow

    from benchmarks.runner_task import square

    @flow
    def mapped() -> float:
        square.map(range(8)).result()
        start = time.perf_counter()
        square.map(range(tasks)).result()
        return (time.perf_counter() - start) / tasks * 1000

    return mapped.with_options(task_runner=runner)()


def report(measures: Measures, tasks: int) -> str:
    """Write medians, their ratio to the stock runner's, and the machine."""
    medians = {name: statistics.median(rounds) for name, rounds in measures.items()}
    stock = medians["stock DaskTaskRunner"]
    rows = [
        (name, f"{median:.1f}", " ".join(f"{each:.1f}" for each in measures[name]), f"{stock / median:.1f}")
        for name, median in medians.items()
    ]
    head = f"{tasks} trivial tasks on two worker processes of one thread each; Prefect's thread runner: two threads."
    figures = table(("runner", "ms per task", "rounds", "times faster"), rows)
    return f"\n## A mapped task\n\n{head}\n\n{figures}\n{machine('prefect', 'prefect-dask', 'distributed')}\n"


if __name__ == "__main__":
    main()
