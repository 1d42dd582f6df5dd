"""Convert files, or apply a function to their records, with our own steps in one process, without Prefect and Dask.

    python -m benchmarks.files_ours convert csv.gz --few few.csv.gz --output out orders-*.csv.gz
    python -m benchmarks.files_ours pipeline --few few.jsonl --output out orders.jsonl

Prints the seconds that it took, imports and the start of the interpreter left out: it does a small file before.
"""

import argparse
import tempfile
import time
from pathlib import Path

import anabranch
from anabranch.core.config import cores
from anabranch.core.parts import Job
from anabranch.files.options import ConvertOptions
from anabranch.library.bulk import convert
from benchmarks.files_kinds import TARGETS
from benchmarks.files_pipeline import score


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
        command.add_argument("--few", required=True, help="a small file, to be done before the clock starts")
        command.add_argument("--output", type=Path, required=True)
        command.add_argument("sources", nargs="+")
    arguments = parser.parse_args()
    print(arguments.way(arguments))


def _convert(arguments: argparse.Namespace) -> float:
    with tempfile.TemporaryDirectory(dir=arguments.output.parent) as folder:
        _converted([arguments.few], Path(folder, "few"), Path(folder, "work few"), arguments)
        start = time.perf_counter()
        _converted(arguments.sources, arguments.output, Path(folder, "work"), arguments)
        return time.perf_counter() - start


def _converted(sources: list[str], output: Path, work: Path, arguments: argparse.Namespace) -> None:
    options = ConvertOptions(to=TARGETS[arguments.kind], schema=arguments.schema)
    conversion, _ = convert(Job(sources, f"{output}/", options, work, arguments.threads or cores()))
    if errors := [*conversion.errors, *conversion.failed.values()]:
        raise errors[0]


def _pipeline(arguments: argparse.Namespace) -> float:
    """The few records also start the processes, which stay; left to itself, it would not start any for so few."""
    [source] = arguments.sources
    few = str(arguments.output.parent / "few.jsonl")
    anabranch.pipeline(arguments.few, few, score, parallel=True, parallel_mode="process")
    start = time.perf_counter()
    anabranch.pipeline(source, str(arguments.output / "orders.jsonl"), score, parallel=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
