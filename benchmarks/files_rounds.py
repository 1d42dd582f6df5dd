"""Run the rows of a table in interleaved rounds, and hold what each of them wrote against what it should have."""

import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.files_page import Timing
from benchmarks.files_rows import Row, Sample
from benchmarks.measure import Usage, median, run

SIZES_DIFFER = 0.01  # how much the bytes written may, from round to round: rows in another order pack in another way


class Measured(NamedTuple):
    """What one run of a row took."""

    usage: Usage
    inner: float | None  # its own figure of the seconds that it worked, where it tells one
    outline: tuple[int, int]  # rows or lines, and bytes, that it wrote


def measured(contenders: Mapping[str, Row], whole: Sample, small: Sample, rounds: int) -> dict[str, Timing]:
    """Run all rows in turn, `rounds` times; SystemExit when one of them wrote other rows, or other values."""
    for row in contenders.values():
        _first(row, whole)
    found: dict[str, list[Measured]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, row in contenders.items():
            found[name].append(_round(name, row, small if row.slow else whole, found[name]))
    return {
        name: _scaled(listed, whole.megabytes, (small if contenders[name].slow else whole).megabytes)
        for name, listed in found.items()
    }


def _first(row: Row, sample: Sample) -> None:
    """Run a row on the small file."""
    with tempfile.TemporaryDirectory(dir=Path(sample.schema).parent) as folder:
        _timed(row, sample._replace(sources=[sample.few]), Path(folder, "out"))


def _round(name: str, row: Row, sample: Sample, before: Sequence[Measured]) -> Measured:
    """Run a row, and hold what it wrote against the sample, or against what it wrote before."""
    with tempfile.TemporaryDirectory(dir=Path(sample.schema).parent) as folder:
        output = Path(folder, "out")
        usage, inner = _timed(row, sample, output)
        outline = aside(_outline, str(output))
        if before:
            _require_alike(name, before[0].outline, outline)
        else:
            _require_equal(name, row, sample, output)
    return Measured(usage, inner, outline)


def _timed(row: Row, sample: Sample, output: Path) -> tuple[Usage, float | None]:
    """Run a row once; with its own figure of the seconds that it worked, where it tells one."""
    output.mkdir()
    with tempfile.TemporaryFile() as told:
        usage = run(row.command(sample, output), told)
        told.seek(0)
        return usage, float(told.read()) if row.timed else None


def _require_alike(name: str, first: tuple[int, int], outline: tuple[int, int]) -> None:
    (rows, size), (again, other) = first, outline
    if again != rows or abs(other - size) > SIZES_DIFFER * size:
        raise SystemExit(
            f"{name} wrote {again} rows in {other} bytes instead of the {rows} in {size} of its first round"
        )


def _require_equal(name: str, row: Row, sample: Sample, output: Path) -> None:
    try:
        many, digest = aside(_contained, sample.kind, str(output), row.typed)
    except ValueError as error:
        raise SystemExit(f"{name} wrote {error}") from error
    if many != sample.rows or (row.typed and digest != sample.digest):
        raise SystemExit(f"{name} wrote {many} rows instead of {sample.rows}, or other values")


def _outline(folder: str) -> tuple[int, int]:
    from benchmarks.files_check import outline

    rows, size = outline(Path(folder))
    return rows, size


def _contained(kind: str, folder: str, typed: bool) -> tuple[int, int]:
    from benchmarks.files_check import contained
    from benchmarks.files_kinds import SCHEMAS

    rows, digest = contained(Path(folder), SCHEMAS[kind] if typed else None)
    return rows, digest


def _scaled(listed: Sequence[Measured], megabytes: float, measured_with: float) -> Timing:
    """Take the medians of a row, as if it had been measured with all."""
    usage, inner = median([each.usage for each in listed]), [each.inner for each in listed if each.inner is not None]
    written = statistics.median(each.outline[1] for each in listed)
    if not inner:
        return Timing(usage, None, measured_with, written)
    work, factor = statistics.median(inner), megabytes / measured_with
    wall = usage.wall + work * (factor - 1)
    scaled = replace(usage, wall=wall, cpu=usage.cpu * wall / usage.wall)
    return Timing(scaled, work * factor, measured_with, written * factor)


def aside(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process of its own: what this one holds would count as the peak of all that it starts."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()
