"""Parse logs with our own steps on the threads of one process: what a flow does, without Prefect and Dask.

python -m benchmarks.engine unit.tar.bz2 --output reports/ --mode known,bw --threads 2 --work-dir work
"""

import argparse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from anabranch.core.parts import Outcome, Part, Plan, Report
from anabranch.logs.join import join
from anabranch.logs.options import LogOptions
from anabranch.logs.plan import plan
from anabranch.logs.unpack import survey, unpack
from anabranch.logs.work import work


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
        slices = survey([archive], work_dir, threads)
        logs = plan(slices, _mapped(pool, unpack, slices), options, threads)
        return join(logs, _mapped(pool, work, logs), output)


def _mapped(pool: ThreadPoolExecutor, step: Callable[[Any], Any], steps: Plan[Part]) -> list[Outcome]:
    """Do the heaviest parts first, as the flow's map does."""
    futures = {part.index: pool.submit(step, part) for part in sorted(steps.parts, key=lambda part: -part.cost)}
    return [Outcome(part, manifest=futures[part.index].result()) for part in steps.parts]


if __name__ == "__main__":
    main()
