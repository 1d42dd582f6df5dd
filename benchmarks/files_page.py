"""The section of docs/performance.md about files: a table for each task, and how far it is from what we aim at.

Every task has a part of its own there, below a mark with its name, so that the tasks can be measured one by one.
"""

import re
from collections.abc import Iterable, Mapping
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
    "csv-large": "one large CSV to Parquet",
    "csv-infer": "one CSV to Parquet, types from all rows",
    "flat": "flat JSON lines to Parquet",
    "nested": "nested JSON lines to Parquet",
    "parquet": "Parquet to CSV",
    "records": "a function of 20 µs over every record, JSON lines to JSON lines",
}
EVEN = "break-even"
PARTS = (*TITLES, EVEN)  # in their order
HEADS = ("work s", "wall s", "CPU s", "peak MB", "wrote MB", "MB/s", "x ours")
HEADING = """## convert-files

Every program writes the same values with the same types, Parquet with zstd of level 1 (iterabledata only text), and is
given the types, unless the table says that it finds them. MB are of text. *Work* leaves out the start of the
interpreter, imports and a first small file; *MB/s* and *x ours* go by it where it is known. What takes minutes is
measured with less and scaled, but for its peak. Peaks are of the largest process; the Prefect server was up.
"""


class Timing(NamedTuple):
    """What a row took for all files, and with how much text it was measured, MB; without it, all was."""

    usage: Usage
    inner: float | None  # seconds without the start of the interpreter and imports, where they can be measured
    measured_with: float
    written: float  # bytes

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


def page(old: str, new: Mapping[str, str]) -> str:
    """Write the section: of the old one all parts that are not new are kept."""
    _, *marked = re.split(r"^<!-- (\S+) -->\n", old, flags=re.MULTILINE)
    parts = {**dict(zip(marked[::2], marked[1::2], strict=True)), **new}
    return "\n".join([HEADING, *(f"<!-- {name} -->\n{parts[name].rstrip()}\n" for name in PARTS if name in parts)])


def part(task: Task, rows: Timings, conditions: str) -> str:
    """Write the part of a task: its table, what it says of our aims, and how it was measured."""
    many = f"{task.files} files" if task.files > 1 else "one file"
    title = f"{TITLES[task.name]}: {many}, {task.megabytes:.0f} MB, {task.rows:,} rows"
    ours = rows[ENGINE].seconds
    lines = (_cells(name, row, task.megabytes, ours) for name, row in rows.items())
    aims = [*_times_faster(rows), *_times_as_long(rows), ""]
    return "\n".join([table((title, *HEADS), lines), *aims, conditions, ""])


def _cells(name: str, row: Timing, megabytes: float, ours: float) -> list[str]:
    scaled = f" (measured with {row.measured_with:.0f} MB, scaled)" if row.measured_with < megabytes else ""
    return [
        f"{name}{scaled}",
        "" if row.inner is None else f"{row.inner:.2f}",
        f"{row.usage.wall:.2f}",
        f"{row.usage.cpu:.2f}",
        f"{row.usage.peak / 1e6:.0f}",
        f"{row.written / 1e6:.1f}",
        f"{megabytes / row.seconds:.1f}",
        f"{row.seconds / ours:.2f}",
    ]


def _times_faster(rows: Timings) -> Iterable[str]:
    fastest = _fastest(rows)
    for name in ("iterabledata", LOOP):
        if name in rows:
            engine, whole = rows[name].seconds / rows[ENGINE].seconds, rows[name].usage.wall / rows[WHOLE].usage.wall
            limit = f", {fastest} {rows[name].seconds / rows[fastest].seconds:.1f} times" if fastest else ""
            yield f"Beside {name} the engine is {engine:.1f} times as fast, the whole command {whole:.1f} times{limit}."
    more = rows[WHOLE].usage.wall - rows[ENGINE].seconds
    yield f"The command takes {more:.2f} s more than the engine, to import Prefect and Dask and start its workers."


def _times_as_long(rows: Timings) -> Iterable[str]:
    if fastest := _fastest(rows):
        taken = [f"{rows[name].seconds / rows[fastest].seconds:.2f} ({name})" for name in (ENGINE, ALL) if name in rows]
        yield f"Times as long as the fastest of {', '.join(FASTEST)}: {', '.join(taken)}."


def _fastest(rows: Timings) -> str:
    """Name the fastest of those whom we must not be much slower than; '' where none was measured."""
    return min((name for name in FASTEST if name in rows), key=lambda name: rows[name].seconds, default="")


def even_part(even: Mapping[float, Timings], conditions: str) -> str:
    """Write the part that shows from which size on a second thread, and a whole command, are worth while."""
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
    return f"{table(heads, lines)}\n{conditions}\n"
