"""Time our conversions beside the programs that people use now, on the same files and in the same run.

    uv run --group bench python -m benchmarks.files --files 12 --csv-mb 500 --json-mb 100 --records 400000 \
        --break-even 1 4 16 64 256 --write

Every row is a process measured from start to end, which also says how long it worked once everything was imported. All
convert to equal types and the same codec, and what they wrote is read back by pyarrow: rows and values that differ end
the benchmark. The rounds are interleaved, so that what else the machine does disturbs all rows alike.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.files_page import ALL, ENGINE, LOOP, ONE, PROGRAMS, TITLES, WHOLE, Task, Timing, page
from benchmarks.logs import server
from benchmarks.measure import Usage, machine, median, run, write_section

# what a program cannot do, or not with the same result
UNABLE = {
    "pyarrow": {"csv-infer"},  # it infers from the first block
    "datafusion": {"csv-infer"},  # its inference stops at a quoted line break
    "dask": {"csv-infer", "nested"},  # it infers from the first 256 kB, and writes nested values as text
}
# a minute and more for a task: measured with less, and scaled
SLOW = {"iterabledata": set(TITLES), "polars": {"csv-infer"}}
# what iterabledata writes without types, and the columns of CSV in the order of the alphabet: only rows are compared
UNTYPED = {"csv.gz", "csv", "csv-infer", "parquet"}
EXTENSIONS = {"flat": "jsonl", "nested": "jsonl", "records": "jsonl"}
RECORD = 163  # bytes of one in the files of flat JSON lines
FUNCTION = "benchmarks.files_pipeline:score"


class Sample(NamedTuple):
    """Files of one kind in a folder of their own, with their schema as a file, and what they hold."""

    kind: str
    sources: list[str]
    schema: str
    megabytes: float
    rows: int
    digest: int | None  # None: of what the first row makes of them


class Row(NamedTuple):
    """A contender: the command, to which an output folder is added, and how it is measured."""

    command: Callable[[Sample, Path], list[str]]
    slow: bool = False  # gets a smaller sample
    typed: bool = True  # its values are compared, not only its rows
    timed: bool = True  # prints its own seconds


def main() -> None:
    """Start a server of our own, measure, print the tables; with --write keep them in docs/performance.md."""
    arguments = _arguments()
    for name in ("PREFECT_API_URL", "ANABRANCH_CLUSTER"):
        os.environ.pop(name, None)  # what the user set there would be measured instead
    installed = [name for name, module in PROGRAMS.items() if find_spec(module)]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, server(Path(folder) / "state"):
        found = dict(timings(Path(folder), task, installed, arguments) for task in arguments.tasks)
        even = {size: break_even(Path(folder), size, arguments.rounds) for size in arguments.break_even}
    missing = [name for name in PROGRAMS if name not in installed]
    text = page(found, even, missing, arguments.rounds, machine("prefect", "distributed", *installed))
    print(text)
    if arguments.write:
        write_section("files", text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="*", choices=TITLES, default=list(TITLES))
    parser.add_argument("--files", type=int, default=4, help="how many CSV.gz files")
    parser.add_argument("--file-mb", type=float, default=11, help="text in each of them")
    parser.add_argument("--csv-mb", type=float, default=100, help="size of the one CSV file, and of the Parquet file")
    parser.add_argument("--json-mb", type=float, default=30, help="size of each file of JSON lines")
    parser.add_argument("--records", type=int, default=50_000, help="records for the function")
    parser.add_argument("--slow-files", type=int, default=1, help="CSV.gz files for the slowest row, which is scaled")
    parser.add_argument("--slow-mb", type=float, default=10, help="size of any other file for it")
    parser.add_argument("--break-even", type=float, nargs="*", default=[1, 4, 16, 64], help="sizes of one CSV file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="keep the tables in docs/performance.md")
    return parser.parse_args()


def timings(
    folder: Path, name: str, installed: Sequence[str], arguments: argparse.Namespace
) -> tuple[Task, dict[str, Timing]]:
    """Write the files of a task, and measure all its rows."""
    whole, small = samples(folder, name, arguments)
    task = Task(name, len(whole.sources), whole.megabytes, whole.rows)
    return task, measured(rows(name, installed), whole, small, arguments.rounds)


def samples(folder: Path, task: str, arguments: argparse.Namespace) -> tuple[Sample, Sample]:
    """Write the files of a task, and what the slow rows get of them: fewer files, or a smaller one."""
    if task == "csv.gz":
        fewer = min(arguments.files, arguments.slow_files)
        return tuple(sample(folder, task, files, arguments.file_mb) for files in (arguments.files, fewer))
    sizes = {"flat": arguments.json_mb, "nested": arguments.json_mb, "records": arguments.records * RECORD / 1e6}
    megabytes = sizes.get(task, arguments.csv_mb)
    return tuple(sample(folder, task, 1, size) for size in (megabytes, min(megabytes, arguments.slow_mb)))


def sample(folder: Path, task: str, files: int, megabytes: float) -> Sample:
    """Write some files, each with that much text, for a task; those that another task had only once."""
    kind = task.removesuffix("-infer")
    place = folder / f"{kind}-{files}-{megabytes:g}"
    sources = [str(place / f"orders-{number:02}.{EXTENSIONS.get(kind, kind)}") for number in range(files)]
    schema = str(place / "schema.json")
    if not place.exists():
        place.mkdir()
        (place / "content").write_text(json.dumps(_aside(_write, kind, sources, megabytes, schema)))
    rows, digest = json.loads((place / "content").read_text())
    return Sample(kind, sources, schema, files * megabytes, rows, None if kind == "records" else digest)


def _write(kind: str, sources: Sequence[str], megabytes: float, schema: str) -> tuple[int, int]:
    from anabranch.files.types.schema import dump_schema
    from benchmarks.files_data import NOTHING, write
    from benchmarks.files_kinds import SCHEMAS

    Path(schema).write_text(json.dumps(dump_schema(SCHEMAS[kind])))
    rows, digest = sum((write(kind, Path(path), megabytes, seed) for seed, path in enumerate(sources)), NOTHING)
    return rows, digest  # plain, since what this process imports to unpickle would make it larger


def _contained(kind: str, folder: str, *, typed: bool) -> tuple[int, int]:
    from benchmarks.files_data import contained
    from benchmarks.files_kinds import SCHEMAS

    rows, digest = contained(Path(folder), SCHEMAS[kind] if typed else None)
    return rows, digest


def _aside(function: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    """Call a function in a process of its own: what this one holds would count as the peak of all that it starts."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments, **more).result()


def rows(task: str, installed: Sequence[str]) -> dict[str, Row]:
    """Name what is compared for a task: ours first."""
    kind, infer = task.removesuffix("-infer"), task.endswith("-infer")
    if kind == "records":
        loop, library = (Row(partial(_scored, "files_pipeline", way)) for way in ("loop", "iterabledata"))
        ours = {ENGINE: Row(partial(_scored, "files_ours", "pipeline")), WHOLE: Row(_run_pipeline, timed=False)}
        return (
            ours | {LOOP: loop} | ({"iterabledata": library._replace(slow=True)} if "iterabledata" in installed else {})
        )
    found = {ENGINE: Row(partial(_ours, kind, infer))}
    if not infer and kind != "parquet":
        found[ALL] = Row(partial(_ours, kind, True))
    found[WHOLE] = Row(partial(_convert_files, infer), timed=False)
    for name in installed:
        if task not in UNABLE.get(name, ()):
            typed = name != "iterabledata" or task not in UNTYPED
            found[name] = Row(partial(_other, name, kind, infer), task in SLOW.get(name, ()), typed)
    return found


def _module(name: str, *words: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.{name}", *words]


def _other(name: str, kind: str, infer: bool, sample: Sample, output: Path) -> list[str]:
    more = ["--infer"] if infer else []
    return _module("files_others", name, kind, *more, "--output", str(output), *sample.sources)


def _ours(kind: str, infer: bool, sample: Sample, output: Path, threads: int = 0) -> list[str]:
    more = [] if infer else ["--schema", sample.schema]
    return _module(
        "files_ours", "convert", kind, *more, "--threads", str(threads), "--output", str(output), *sample.sources
    )


def _scored(module: str, way: str, sample: Sample, output: Path) -> list[str]:
    return _module(module, way, "--output", str(output), *sample.sources)


def _convert_files(infer: bool, sample: Sample, output: Path) -> list[str]:
    more = [] if infer else ["--schema", sample.schema]
    words = ["--to", "csv" if sample.kind == "parquet" else "parquet", *more, "--work-dir", f"{output}.work"]
    return [sys.executable, "-m", "anabranch.cli", "convert-files", *sample.sources, str(output), *words]


def _run_pipeline(sample: Sample, output: Path) -> list[str]:
    words = ["--function", FUNCTION, "--work-dir", f"{output}.work"]
    return [sys.executable, "-m", "anabranch.cli", "run-pipeline", *sample.sources, str(output), *words]


def measured(contenders: dict[str, Row], whole: Sample, small: Sample, rounds: int) -> dict[str, Timing]:
    """Run all rows in turn, `rounds` times; SystemExit when one of them wrote other rows, or other values."""
    found: dict[str, list[tuple[Usage, float | None]]] = {name: [] for name in contenders}
    digests: dict[str, int] = {}  # by the sample's schema file
    for _ in range(rounds):
        for name, row in contenders.items():
            sample = small if row.slow else whole
            with tempfile.TemporaryDirectory(dir=Path(sample.schema).parent) as folder:
                found[name].append(_timed(row, sample, Path(folder, "out")))
                try:
                    many, digest = _aside(_contained, sample.kind, f"{folder}/out", typed=row.typed)
                except ValueError as error:
                    raise SystemExit(f"{name} wrote {error}") from error
            wanted = digests.setdefault(sample.schema, digest if sample.digest is None else sample.digest)
            if many != sample.rows or (row.typed and digest != wanted):
                raise SystemExit(f"{name} wrote {many} rows instead of {sample.rows}, or other values")
    return {
        name: _scaled(listed, whole.megabytes, (small if contenders[name].slow else whole).megabytes)
        for name, listed in found.items()
    }


def _timed(row: Row, sample: Sample, output: Path) -> tuple[Usage, float | None]:
    """Run a row once; with its own figure of the seconds that it worked, where it tells one."""
    output.mkdir()
    with tempfile.TemporaryFile() as told:
        usage = run(row.command(sample, output), told)
        told.seek(0)
        return usage, float(told.read()) if row.timed else None


def _scaled(listed: Sequence[tuple[Usage, float | None]], megabytes: float, measured_with: float) -> Timing:
    """Take the medians of a row, as if it had been measured with all."""
    usage, inner = median([usage for usage, _ in listed]), [seconds for _, seconds in listed if seconds is not None]
    if not inner:
        return Timing(usage, None, measured_with)
    work, factor = statistics.median(inner), megabytes / measured_with
    wall = usage.wall + work * (factor - 1)
    return Timing(replace(usage, wall=wall, cpu=usage.cpu * wall / usage.wall), work * factor, measured_with)


def break_even(folder: Path, megabytes: float, rounds: int) -> dict[str, Timing]:
    """Convert one CSV file of a size on one thread, on all, and with the whole command."""
    of_size = sample(folder, "csv", 1, megabytes)
    contenders = {
        ONE: Row(partial(_ours, "csv", False, threads=1)),
        ENGINE: Row(partial(_ours, "csv", False)),
        WHOLE: Row(partial(_convert_files, False), timed=False),
    }
    return measured(contenders, of_size, of_size, rounds)


if __name__ == "__main__":
    main()
