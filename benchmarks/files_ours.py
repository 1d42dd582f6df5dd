"""Convert files, or apply a function to their records, with our own steps in one process, without Prefect and Dask.

    python -m benchmarks.files_ours convert csv.gz --output out orders-*.csv.gz
    python -m benchmarks.files_ours pipeline --output out orders.jsonl

Prints the seconds that it took, imports and the start of the interpreter left out.
"""

import argparse
import tempfile
import time
from itertools import islice
from pathlib import Path

import anabranch
from anabranch.config import cores
from anabranch.files.convert import convert
from anabranch.files.options import ConvertOptions
from anabranch.parts import Job
from benchmarks.files_kinds import TARGETS
from benchmarks.files_pipeline import score

WARM = 20_000  # records that are scored before the clock starts


def main() -> None:
    """Convert files of one kind into a folder, or score their records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ways = parser.add_subparsers(required=True)
    for name, way in (("convert", _convert), ("pipeline", _pipeline)):
        command = ways.add_parser(name)
        command.set_defaults(way=way)
        if way is _convert:
            command.add_argument("kind", choices=TARGETS)
            command.add_argument("--schema", help="JSON file of the types; without it they are found, from all rows")
            command.add_argument("--threads", type=int, default=0, help="0: one per core")
        command.add_argument("--output", type=Path, required=True)
        command.add_argument("sources", nargs="+")
    arguments = parser.parse_args()
    print(arguments.way(arguments))


def _convert(arguments: argparse.Namespace) -> float:
    options = ConvertOptions(to=TARGETS[arguments.kind], schema=arguments.schema)
    with tempfile.TemporaryDirectory(dir=arguments.output.parent) as work:
        job = Job(arguments.sources, str(arguments.output), options, Path(work), arguments.threads or cores())
        start = time.perf_counter()
        conversion, _ = convert(job)
        seconds = time.perf_counter() - start
    if errors := [*conversion.errors, *conversion.failed.values()]:
        raise errors[0]
    return seconds


def _pipeline(arguments: argparse.Namespace) -> float:
    """Score some records first, so that the processes are there and have imported what they need."""
    [source] = arguments.sources
    with tempfile.TemporaryDirectory(dir=arguments.output.parent) as work:
        few = Path(work, "few.jsonl")
        with Path(source).open("rb") as lines:
            few.write_bytes(b"".join(islice(lines, WARM)))
        anabranch.pipeline(str(few), f"{work}/scored.jsonl", score, parallel=True)
    start = time.perf_counter()
    anabranch.pipeline(source, str(arguments.output / "orders.jsonl"), score, parallel=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
