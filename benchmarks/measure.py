"""What every benchmark shares: measure a command, take medians, print a table, name the machine, write the page."""

import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO

if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what a benchmark has started ends with it
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a command took, from its start to its end, the programs it waited for included."""

    wall: float  # seconds
    cpu: float  # seconds, of all cores together
    peak: int  # bytes of memory, of its largest process

    @property
    def cores(self) -> float:
        """How many cores were busy on average."""
        return self.cpu / self.wall


def run(command: Sequence[str], stdout: IO[bytes] | None = None, environment: Mapping[str, str] | None = None) -> Usage:
    """Run the command and measure it; raises CalledProcessError, noting its stderr, unless it exits 0.

    A process begins with the memory of the one that starts it as its peak, so a caller must be small. Every command may
    keep the bytecode of its modules: where the environment forbids it, each would compile all of them again.
    """
    variables = {**os.environ, **(environment or {})}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.perf_counter()
    with subprocess.Popen(
        command, stdout=stdout or subprocess.DEVNULL, stderr=subprocess.PIPE, env=variables
    ) as process:
        said = process.stderr.read() if process.stderr else b""
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        error = subprocess.CalledProcessError(process.returncode, command)
        error.add_note(said.decode(errors="replace"))
        raise error
    return Usage(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def one_after_the_other(usages: Iterable[Usage]) -> Usage:
    """Add up what several commands took that ran in turn."""
    listed = list(usages)
    return Usage(sum(each.wall for each in listed), sum(each.cpu for each in listed), max(each.peak for each in listed))


def median(usages: Sequence[Usage]) -> Usage:
    """Take the median of each figure, since the rounds are disturbed in different ways."""
    return Usage(
        statistics.median(each.wall for each in usages),
        statistics.median(each.cpu for each in usages),
        int(statistics.median(each.peak for each in usages)),
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table; all columns but the first are numbers."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def machine(*packages: str) -> str:
    """Name the machine, its load in the minute past, and the versions of Python and of some packages."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return (
        f"{len(os.sched_getaffinity(0))} cores ({model[1] if model else platform.machine()}), "
        f"load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}, {versions}"
    )


def read_section(name: str, page: Path = PAGE) -> str:
    """Return what a benchmark wrote between its two marks; nothing, where it has no section."""
    begin, end = _marks(name)
    return page.read_text("utf-8").partition(begin)[2].partition(end)[0]


def write_section(name: str, text: str, page: Path = PAGE) -> None:
    """Replace the benchmark's own section of the page, between its two marks, or add it at the end."""
    begin, end = _marks(name)
    before, found, rest = page.read_text("utf-8").partition(begin)
    after = rest.partition(end)[2] if found else ""
    gap = "" if found else "\n"
    page.write_text(f"{before}{gap}{begin}{text}{end}{after}", "utf-8")


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- written by python -m benchmarks.{name} --write -->\n", f"<!-- end of benchmarks.{name} -->\n"
