"""Time parse-logs beside parsers that use one core, on the same archives and in the same run.

    python -m benchmarks.logs --mb 3 20 200 --rounds 3 --write

Every row is a command (or, where a parser makes one report at a time, a row of commands) measured from start to end,
and all write the same reports: a byte that differs ends the benchmark. The rounds are interleaved, so that what else
the machine does disturbs all rows alike.
"""

import argparse
import filecmp
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, get_args

from anabranch.core.config import cores
from anabranch.logs.options import Mode
from anabranch.logs.sample import write_sample
from anabranch.run.server import ensure_server, stop_server
from benchmarks.measure import Usage, machine, median, one_after_the_other, run, table, write_section

ZONE = "US/Eastern"
SINGLE = ("bw", "known")  # few rules and many: what one report alone takes
MEMBER = 5  # MB of text in a log of an archive
SLOW, PRECOMPILED = "one core, dateutil and pattern texts", "one core, fromisoformat and compiled patterns"
ENGINE, WHOLE, AGAIN = "ours, engine only, threads: {}", "ours, whole command", "ours, the same command again"
OUTER = "no parser: undoing the outer bzip2, one core"


class Case(NamedTuple):
    """What a table is about: the size of the archive, in MB of text, and the reports to make of it."""

    megabytes: int
    modes: tuple[str, ...]


Contender = Callable[[Path, Path], Usage]  # writes an archive's reports into <folder>/reports
Medians = dict[str, Usage]  # by row


def main() -> None:
    """Start a server of our own, measure, print the tables; with --write keep them in docs/performance.md."""
    arguments = _arguments()
    for name in ("PREFECT_API_URL", "ANABRANCH_CLUSTER"):
        os.environ.pop(name, None)  # what the user set there would be measured instead
    on = machine("prefect", "distributed", "regex", "python-dateutil")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, server(Path(folder) / "state"):
        found = {
            case: measured(sample(Path(folder), case.megabytes), contenders(case, arguments.slow_mb), arguments.rounds)
            for case in cases(arguments.mb, arguments.modes, arguments.slow_mb)
        }
    text = page(found, arguments.rounds, on)
    print(text)
    if arguments.write:
        write_section("logs", text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mb", type=int, nargs="+", default=[3, 20, 200], help="sizes of the archives, in MB of text")
    parser.add_argument("--slow-mb", type=int, default=20, help="above it the slowest row is scaled, not measured")
    parser.add_argument("--modes", nargs="+", choices=get_args(Mode), default=get_args(Mode))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="keep the tables in docs/performance.md")
    return parser.parse_args()


@contextmanager
def server(home: Path) -> Iterator[None]:
    """Keep a Prefect server up for the commands that this process starts."""
    os.environ["ANABRANCH_STATE_DIR"] = str(home)
    try:
        ensure_server(home)
        yield
    finally:
        stop_server(home)


def sample(folder: Path, megabytes: int) -> Path:
    """Write an archive of that much text, once."""
    path = folder / f"{megabytes}mb.tar.bz2"
    if path.exists():
        return path
    # in a process of its own, since what this one holds would count as the peak of all commands that it starts
    arguments = (path, megabytes, max(megabytes // MEMBER, 2))
    writer = multiprocessing.get_context("spawn").Process(target=write_sample, args=arguments)
    writer.start()
    writer.join()
    return path


def cases(sizes: Sequence[int], modes: Sequence[str], slow_mb: int) -> list[Case]:
    """Ask for all reports of every archive, and for each of SINGLE alone, of the largest with a slow row."""
    largest = max((size for size in sizes if size <= slow_mb), default=min(sizes))
    singles = [Case(largest, (mode,)) for mode in SINGLE if len(modes) > 1 and mode in modes]
    return [*(Case(size, tuple(modes)) for size in sorted(sizes)), *singles]


def contenders(case: Case, slow_mb: int) -> dict[str, Contender]:
    """Name what is compared; the slowest only with archives up to `slow_mb`."""
    modes = case.modes
    rows: dict[str, Contender] = {SLOW: partial(one_core, "line-by-line", modes)} if case.megabytes <= slow_mb else {}
    rows[PRECOMPILED] = partial(one_core, "precompiled", modes)
    for threads in sorted({1, cores()}):
        rows[ENGINE.format(threads)] = partial(engine, threads, modes)
    rows[WHOLE] = partial(whole, modes)
    return rows


def measured(archive: Path, rows: dict[str, Contender], rounds: int) -> Medians:
    """Run all rows in turn, `rounds` times; SystemExit when two of them write different reports."""
    usages: dict[str, list[Usage]] = {name: [] for name in (*rows, AGAIN, OUTER)}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
            for name, contender in rows.items():
                usages[name].append(contender(archive, Path(folder, name)))
            usages[AGAIN].append(rows[WHOLE](archive, Path(folder, WHOLE)))
            usages[OUTER].append(run([sys.executable, "-m", "tarfile", "--test", str(archive)]))
            require_equal([Path(folder, name, "reports") for name in rows])
    return {name: median(listed) for name, listed in usages.items()}


def one_core(way: str, modes: Sequence[str], archive: Path, folder: Path) -> Usage:
    """Make each report with a run of its own, as such a parser does."""
    return one_after_the_other([_one_report(way, mode, archive, folder / "reports") for mode in modes])


def _one_report(way: str, mode: str, archive: Path, folder: Path) -> Usage:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.one_core", way, str(archive), "--mode", mode, "--timezone", ZONE]
    with (folder / f"{archive.name}.{mode}.txt").open("wb") as report:
        return run(command, report)


def engine(threads: int, modes: Sequence[str], archive: Path, folder: Path) -> Usage:
    """Make all reports from one reading, in one process without Prefect and Dask."""
    return run([sys.executable, "-m", "benchmarks.engine", *_ours(modes, archive, folder), "--threads", str(threads)])


def whole(modes: Sequence[str], archive: Path, folder: Path) -> Usage:
    """Run the command as a user does, with the server up."""
    return run([sys.executable, "-m", "anabranch.command.cli", "parse-logs", *_ours(modes, archive, folder)])


def _ours(modes: Sequence[str], archive: Path, folder: Path) -> list[str]:
    reports, work = f"{folder}/reports/", f"{folder}/work"
    return [str(archive), "--output", reports, "--mode", ",".join(modes), "--timezone", ZONE, "--work-dir", work]


def require_equal(folders: Sequence[Path]) -> None:
    """Raise SystemExit unless all folders hold the same files with the same bytes."""
    first, *others = folders
    names = sorted(path.name for path in first.iterdir())
    for other in others:
        same, _, _ = filecmp.cmpfiles(first, other, names, shallow=False)
        if same != names or len(list(other.iterdir())) != len(names):
            raise SystemExit(f"{first.parent.name} and {other.parent.name} wrote different reports")


def page(found: dict[Case, Medians], rounds: int, on: str) -> str:
    """Write the section of docs/performance.md: a table for each case, and what limits us."""
    heading = (
        "## parse-logs\n\nReports of one archive: gzipped logs in a tar.bz2, 6 % of the lines say something. A parser "
        "for one core makes one report at a time, ours all from one reading; the reports are equal in every byte. MB "
        "are of log text, peaks of the largest process; what the Prefect server takes, which was up before, is not "
        f"counted. Medians of {rounds} interleaved rounds; {on}.\n"
    )
    sections = (f"{_table(case, _with_scaled(case, found))}\n{_limits(rows)}" for case, rows in found.items())
    return "\n".join([heading, *sections])


def _with_scaled(case: Case, found: dict[Case, Medians]) -> Medians:
    """Put the slowest row first, taken from the largest archive that it was measured with."""
    measured_with = [other for other, rows in found.items() if SLOW in rows and other.modes == case.modes]
    if not measured_with or SLOW in found[case]:
        return found[case]
    other = max(measured_with)
    slow, factor = found[other][SLOW], case.megabytes / other.megabytes
    scaled = replace(slow, wall=slow.wall * factor, cpu=slow.cpu * factor)
    return {f"{SLOW} (measured with {other.megabytes} MB, scaled)": scaled, **found[case]}


def _table(case: Case, rows: Medians) -> str:
    slow, precompiled = ([u.wall for name, u in rows.items() if name.startswith(row)] for row in (SLOW, PRECOMPILED))
    heads = [_title(case), "wall s", "CPU s", "cores busy", "peak MB", "MB/s", "x dateutil", "x precompiled"]
    return table(heads, ([name, *_cells(case, usage, slow, precompiled)] for name, usage in rows.items()))


def _cells(case: Case, usage: Usage, *others: Sequence[float]) -> list[str]:
    return [
        f"{usage.wall:.2f}",
        f"{usage.cpu:.2f}",
        f"{usage.cores:.2f}",
        f"{usage.peak / 1e6:.0f}",
        f"{case.megabytes / usage.wall:.1f}",
        *(f"{other[0] / usage.wall:.1f}" if other else "" for other in others),
    ]


def _title(case: Case) -> str:
    reports = f"{len(case.modes)} reports" if len(case.modes) > 1 else f"the report `{case.modes[0]}`"
    return f"{case.megabytes} MB, {reports}"


def _limits(rows: Medians) -> str:
    engine, whole, outer = rows[ENGINE.format(cores())], rows[WHOLE], rows[OUTER]
    return (
        f"Undoing the outer bzip2 takes {outer.cpu:.2f} s of one core, {outer.cpu / engine.cpu:.0%} of the CPU time of "
        "our engine: that share falls only with a faster decoder, and its wall time only with more cores. The command "
        f"takes {whole.wall - engine.wall:.2f} s ({whole.cpu - engine.cpu:.2f} s of CPU) more than the engine, to "
        "import Prefect and Dask and to talk to the server.\n"
    )


if __name__ == "__main__":
    main()
