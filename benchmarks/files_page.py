"""The section of docs/performance.md about files: a table for each task, and how far it is from what we aim at."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from benchmarks.measure import Usage, table

PROGRAMS = {  # by the module that must be there
    "iterabledata": "iterable",
    "pyarrow": "pyarrow",
    "duckdb": "duckdb",
    "polars": "polars",
    "datafusion": "datafusion",
    "dask": "dask",
}
FASTEST = ("duckdb", "datafusion", "polars")  # whom we must not be much slower than
ENGINE, ALL, WHOLE = "ours, engine only", "ours, engine only, `--infer all`", "ours, whole command"
ONE, LOOP = "ours, engine only, one thread", "a plain loop"
TITLES = {
    "csv.gz": "CSV.gz to Parquet",
    "csv": "one CSV to Parquet",
    "csv-infer": "one CSV to Parquet, types from all rows",
    "flat": "flat JSON lines to Parquet",
    "nested": "nested JSON lines to Parquet",
    "parquet": "Parquet to CSV",
    "records": "a function of 20 µs over every record, JSON lines to JSON lines",
}
HEADS = ("work s", "wall s", "CPU s", "peak MB", "MB/s", "x ours")


class Timing(NamedTuple):
    """What a row took for all files, and with how much text it was measured, MB; without it, all was."""

    usage: Usage
    inner: float | None  # seconds without the start of the interpreter and imports, where they can be told
    measured_with: float

    @property
    def seconds(self) -> float:
        """The figure that is compared."""
        return self.usage.wall if self.inner is None else self.inner


class Task(NamedTuple):
    """What was converted."""

    name: str
    files: int
    megabytes: float
    rows: int


Timings = Mapping[str, Timing]  # by row


def page(
    found: Mapping[Task, Timings], even: Mapping[float, Timings], missing: Sequence[str], rounds: int, on: str
) -> str:
    """Write the section."""
    absent = f" Not installed, so left out: {', '.join(missing)}." if missing else ""
    heading = (
        "## convert-files\n\nEvery program writes the same values with the same types, Parquet with zstd (iterabledata "
        "only text), and is told the types, unless the table says that it finds them. MB are of text. *Work* leaves "
        "out the start of the interpreter and imports; *MB/s* and *x ours* go by it where it can be told. Peaks are of "
        f"the largest process; the Prefect server was up.{absent} Medians of {rounds} interleaved rounds; {on}.\n"
    )
    tables = (f"{_table(task, rows)}\n{_aims(rows)}" for task, rows in found.items())
    return "\n".join([heading, *tables, *([_even(even)] if even else [])])


def _table(task: Task, rows: Timings) -> str:
    many = f"{task.files} files" if task.files > 1 else "one file"
    title = f"{TITLES[task.name]}: {many}, {task.megabytes:.0f} MB, {task.rows:,} rows"
    ours = rows[ENGINE].seconds
    return table((title, *HEADS), (_cells(name, row, task.megabytes, ours) for name, row in rows.items()))


def _cells(name: str, row: Timing, megabytes: float, ours: float) -> list[str]:
    scaled = f" (measured with {row.measured_with:.0f} MB, scaled)" if row.measured_with < megabytes else ""
    return [
        f"{name}{scaled}",
        "" if row.inner is None else f"{row.inner:.2f}",
        f"{row.usage.wall:.2f}",
        f"{row.usage.cpu:.2f}",
        f"{row.usage.peak / 1e6:.0f}",
        f"{megabytes / row.seconds:.1f}",
        f"{row.seconds / ours:.2f}",
    ]


def _aims(rows: Timings) -> str:
    """Say how we compare with the slowest and with the fastest of the others."""
    return "\n".join([*_times_faster(rows), *_times_as_long(rows), ""])


def _times_faster(rows: Timings) -> Iterable[str]:
    for name in ("iterabledata", LOOP):
        if name in rows:
            engine, whole = rows[name].seconds / rows[ENGINE].seconds, rows[name].usage.wall / rows[WHOLE].usage.wall
            yield f"Beside {name} the engine is {engine:.1f} times as fast, the whole command {whole:.1f} times."


def _times_as_long(rows: Timings) -> Iterable[str]:
    others = [rows[name] for name in FASTEST if name in rows]
    if others:
        fastest = min(row.seconds for row in others)
        taken = [f"{rows[name].seconds / fastest:.2f} ({name})" for name in (ENGINE, ALL) if name in rows]
        yield f"Times as long as the fastest of {', '.join(FASTEST)}: {', '.join(taken)}."


def _even(even: Mapping[float, Timings]) -> str:
    """Show from which size on a second thread, and a whole command, are worth while."""
    heads = ("one CSV to Parquet, MB", "one thread, s", "all threads, s", "times faster", "whole command, s")
    lines = (
        (
            f"{size:g}",
            f"{rows[ONE].seconds:.3f}",
            f"{rows[ENGINE].seconds:.3f}",
            f"{rows[ONE].seconds / rows[ENGINE].seconds:.2f}",
            f"{rows[WHOLE].seconds:.2f}",
        )
        for size, rows in even.items()
    )
    return table(heads, lines)
