"""Parse logs with our own steps on the threads of one process: what a flow does, without Prefect and Dask.

python -m benchmarks.engine unit.tar.bz2 --output reports/ --mode known,bw --threads 2 --work-dir work
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from anabranch.core.here import P, Work
from anabranch.core.parts import Job, Outcome, Plan, Report
from anabranch.logs.options import LogOptions
from anabranch.logs.way import way


def main() -> None:
    """Write one archive's reports into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive")
    parser.add_argument("--output", required=True, help="folder, with a slash at its end")
    parser.add_argument("--mode", required=True)
    parser.add_argument("--timezone", default="UTC")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--work-dir", type=Path, required=True)
    arguments = parser.parse_args()
    options = LogOptions(mode=arguments.mode, timezone=arguments.timezone)
    parse_logs(arguments.archive, arguments.output, options, arguments.work_dir, arguments.threads)


def parse_logs(archive: str, output: str, options: LogOptions, work_dir: Path, threads: int) -> Report:
    """Run every step; raises the first error of a part, since a benchmark of half the work means nothing."""
    with ThreadPoolExecutor(threads) as pool:
        return way(Job([archive], output, options, work_dir, threads), partial(_mapped, pool))


def _mapped(pool: ThreadPoolExecutor, step: Work[P], plan: Plan[P], /) -> list[Outcome]:
    """Do the heaviest parts first, as the flow's map does."""
    plan.save()
    heaviest = sorted(plan.parts, key=lambda part: -part.cost)
    futures = {part.index: pool.submit(step, part, lambda: False) for part in heaviest}
    return [Outcome(part, manifest=futures[part.index].result()) for part in plan.parts]


if __name__ == "__main__":
    main()
