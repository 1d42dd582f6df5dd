"""Time our conversions beside the programs that people use now, on the same files and in the same run.

    uv run --group bench python -m benchmarks.files --files 12 --csv-mb 500 --json-mb 100 --records 400000 --write
    uv run --group bench python -m benchmarks.files --tasks csv-large --large-mb 1000 --write

Every row is a process measured from start to end, which also says how long it worked once everything was imported. All
convert to equal types, with the same codec and level. What they wrote in the first round is read back by pyarrow: rows
or values that differ from those of the sources end the benchmark. What they write in later rounds must have as many
rows (text: lines) and, within a hundredth, as many bytes. The rounds are interleaved, so that what else the machine
does disturbs all rows alike; before them every program runs once on a small file, so that none is measured while its
modules are compiled or read from the disk. Each task's table is printed, and with --write kept, as soon as it is there.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks.files_page import EVEN, PARTS, PROGRAMS, Task, Timing, even_part, page, part
from benchmarks.files_rounds import aside, measured
from benchmarks.files_rows import Sample, even_rows, kind_of, rows
from benchmarks.logs import server
from benchmarks.measure import machine, read_section, write_section

EXTENSIONS = {"flat": "jsonl", "nested": "jsonl", "records": "jsonl"}
RECORD = 163  # bytes of one in the files of flat JSON lines
FEW = 0.1  # MB of the small file that is converted first


def main() -> None:
    """Start a server of our own, measure, print the tables; with --write keep them in docs/performance.md."""
    arguments = _arguments()
    for name in ("PREFECT_API_URL", "ANABRANCH_CLUSTER"):
        os.environ.pop(name, None)  # what the user set there would be measured instead
    installed = [name for name, module in PROGRAMS.items() if find_spec(module)]
    conditions = _conditions(installed, arguments.rounds)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, server(Path(folder) / "state"):
        for task in arguments.tasks:
            text = measure(Path(folder), task, installed, arguments, conditions)
            print(text, flush=True)
            if arguments.write:
                write_section("files", page(read_section("files"), {task: text}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    usual = [name for name in PARTS if name != "csv-large"]
    parser.add_argument("--tasks", nargs="+", choices=PARTS, default=usual, help="all but csv-large, if not given")
    parser.add_argument("--files", type=int, default=4, help="how many CSV.gz files")
    parser.add_argument("--file-mb", type=float, default=11, help="text in each of them")
    parser.add_argument("--csv-mb", type=float, default=100, help="size of the one CSV file, and of the Parquet file")
    parser.add_argument("--large-mb", type=float, default=1000, help="size of the CSV file of csv-large")
    parser.add_argument("--json-mb", type=float, default=30, help="size of each file of JSON lines")
    parser.add_argument("--records", type=int, default=50_000, help="records for the function")
    parser.add_argument("--slow-files", type=int, default=2, help="CSV.gz files for the slowest row, which is scaled")
    parser.add_argument("--slow-mb", type=float, default=10, help="size of any other file for it")
    parser.add_argument("--break-even", type=float, nargs="+", default=[1, 4, 16, 64], help="MB of one CSV file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="keep the tables in docs/performance.md")
    return parser.parse_args()


def _conditions(installed: Sequence[str], rounds: int) -> str:
    missing = [name for name in PROGRAMS if name not in installed]
    absent = f" Not installed, so left out: {', '.join(missing)}." if missing else ""
    many = f"Medians of {rounds} interleaved rounds" if rounds > 1 else "One round"
    return f"{many}; {machine('prefect', 'distributed', *installed)}.{absent}"


def measure(folder: Path, name: str, installed: Sequence[str], arguments: argparse.Namespace, conditions: str) -> str:
    """Write the files of a task, measure all its rows, and write its part of the page."""
    if name == EVEN:
        found = {size: break_even(folder, size, arguments.rounds) for size in arguments.break_even}
        return even_part(found, conditions)
    whole, small = samples(folder, name, arguments)
    task = Task(name, len(whole.sources), whole.megabytes, whole.rows)
    return part(task, measured(rows(name, installed), whole, small, arguments.rounds), conditions)


def break_even(folder: Path, megabytes: float, rounds: int) -> dict[str, Timing]:
    """Convert one CSV file of a size on one thread, on all, and with the whole command."""
    of_size = sample(folder, "csv", 1, megabytes)
    return measured(even_rows(), of_size, of_size, rounds)


def samples(folder: Path, task: str, arguments: argparse.Namespace) -> tuple[Sample, Sample]:
    """Write the files of a task, and what the slow rows get of them: fewer files, or a smaller one."""
    if task == "csv.gz":
        fewer = min(arguments.files, arguments.slow_files)
        return tuple(sample(folder, task, files, arguments.file_mb) for files in (arguments.files, fewer))
    sizes = {
        "flat": arguments.json_mb,
        "nested": arguments.json_mb,
        "records": arguments.records * RECORD / 1e6,
        "csv-large": arguments.large_mb,
    }
    megabytes = sizes.get(task, arguments.csv_mb)
    return tuple(sample(folder, kind_of(task), 1, size) for size in (megabytes, min(megabytes, arguments.slow_mb)))


def sample(folder: Path, kind: str, files: int, megabytes: float) -> Sample:
    """Write some files of a kind, each with that much text; those that another task had only once."""
    [few] = _sources(_written(folder, kind, 1, FEW), kind, 1)
    place = _written(folder, kind, files, megabytes)
    size, many, digest = json.loads((place / "content").read_text())
    return Sample(kind, _sources(place, kind, files), few, str(place / "schema.json"), size / 1e6, many, digest)


def _written(folder: Path, kind: str, files: int, megabytes: float) -> Path:
    place = folder / f"{kind}-{files}-{megabytes:g}"
    if not place.exists():
        place.mkdir()
        content = aside(_write, kind, _sources(place, kind, files), megabytes, str(place / "schema.json"))
        (place / "content").write_text(json.dumps(content))
    return place


def _sources(place: Path, kind: str, files: int) -> list[str]:
    return [str(place / f"orders-{number:02}.{EXTENSIONS.get(kind, kind)}") for number in range(files)]


def _write(kind: str, sources: Sequence[str], megabytes: float, schema: str) -> tuple[int, int, int]:
    from anabranch.schema.schema import dump_schema
    from benchmarks.files_data import EMPTY, write
    from benchmarks.files_kinds import SCHEMAS

    Path(schema).write_text(json.dumps(dump_schema(SCHEMAS[kind])))
    content, size = sum((write(kind, Path(path), megabytes, seed) for seed, path in enumerate(sources)), EMPTY)
    return size, *content  # plain, since what this process imports to unpickle would make it larger


if __name__ == "__main__":
    main()
