"""Who is compared: the rows of each task's table, each a command that converts a sample into a folder."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.files_page import ALL, ENGINE, LOOP, ONE, TITLES, WHOLE

# what a program cannot do, or not with the same result
UNABLE = {
    "pyarrow": {"csv-infer"},  # it infers from the first block
    "datafusion": {"csv-infer"},  # its inference stops at a quoted line break
    "dask": {"csv-infer", "nested"},  # it infers from the first 256 kB, and writes nested values as text
}
# a minute and more for a task: measured with less, and scaled, since twice as much takes them twice as long
SLOW = {"iterabledata": set(TITLES), "polars": {"csv-infer"}}
# what iterabledata writes without types, and the columns of CSV in the order of the alphabet: only rows are compared
UNTYPED = {"csv.gz", "csv", "csv-large", "csv-infer", "parquet"}
FUNCTION = "benchmarks.files_pipeline:score"


class Sample(NamedTuple):
    """Files of one kind in a folder of their own, with their schema as a file, and what should become of them."""

    kind: str
    sources: list[str]
    few: str  # a small file of the same kind, which every program converts before its clock starts
    schema: str
    megabytes: float  # of text
    rows: int
    digest: int


class Row(NamedTuple):
    """A contender: the command, to which an output folder is added, and how it is measured."""

    command: Callable[[Sample, Path], list[str]]
    slow: bool = False  # gets a smaller sample
    typed: bool = True  # its values are compared, not only its rows
    timed: bool = True  # prints its own seconds


def kind_of(task: str) -> str:
    """Name the kind of the files that a task converts."""
    return task.partition("-")[0]


def rows(task: str, installed: Sequence[str]) -> dict[str, Row]:
    """Name what is compared for a task: ours first."""
    if task == "records":
        return _pipelines(installed)
    kind, infer = kind_of(task), task.endswith("-infer")
    found = {ENGINE: Row(partial(_ours, kind, infer))}
    if not infer and kind != "parquet":
        found[ALL] = Row(partial(_ours, kind, True))
    found[WHOLE] = Row(partial(_convert_files, infer), timed=False)
    for name in installed:
        if task not in UNABLE.get(name, ()):
            typed = name != "iterabledata" or task not in UNTYPED
            found[name] = Row(partial(_other, name, kind, infer), task in SLOW.get(name, ()), typed)
    return found


def even_rows() -> dict[str, Row]:
    """Name what shows from which size on threads, and a whole command, are worth while."""
    return {
        ONE: Row(partial(_ours, "csv", False, threads=1)),
        ENGINE: Row(partial(_ours, "csv", False)),
        WHOLE: Row(partial(_convert_files, False), timed=False),
    }


def _pipelines(installed: Sequence[str]) -> dict[str, Row]:
    found = {
        ENGINE: Row(partial(_module, "files_ours", ["pipeline"])),
        WHOLE: Row(_run_pipeline, timed=False),
        LOOP: Row(partial(_module, "files_pipeline", ["loop"])),
    }
    if "iterabledata" in installed:
        found["iterabledata"] = Row(partial(_module, "files_pipeline", ["iterabledata"]), slow=True)
    return found


def _module(name: str, words: Sequence[str], sample: Sample, output: Path) -> list[str]:
    begin = [sys.executable, "-m", f"benchmarks.{name}", *words]
    return [*begin, "--few", sample.few, "--output", str(output), *sample.sources]


def _other(name: str, kind: str, infer: bool, sample: Sample, output: Path) -> list[str]:
    more = ["--infer"] if infer else []
    return _module("files_others", [name, kind, *more], sample, output)


def _ours(kind: str, infer: bool, sample: Sample, output: Path, threads: int = 0) -> list[str]:
    words = ["convert", kind, "--threads", str(threads), *_schema(infer, sample)]
    return _module("files_ours", words, sample, output)


def _convert_files(infer: bool, sample: Sample, output: Path) -> list[str]:
    more = ["--to", "csv" if sample.kind == "parquet" else "parquet", *_schema(infer, sample)]
    return _command("convert-files", more, sample, output)


def _run_pipeline(sample: Sample, output: Path) -> list[str]:
    return _command("run-pipeline", ["--function", FUNCTION], sample, output)


def _command(name: str, more: Sequence[str], sample: Sample, output: Path) -> list[str]:
    begin = [sys.executable, "-m", "anabranch.command.cli", name, *sample.sources, str(output)]
    return [*begin, *more, "--work-dir", f"{output}.work"]


def _schema(infer: bool, sample: Sample) -> list[str]:
    return [] if infer else ["--schema", sample.schema]
