"""What a user sees on stderr: a live bar on a terminal, otherwise a plain line every 10 s; a summary at the end."""

import re
import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from anabranch.core.parts import INNER, Report
from anabranch.run.pictures import shortened

if TYPE_CHECKING:
    from anabranch.run.progress import Progress

LINE_EVERY = 10.0  # seconds between plain lines
BAR_WIDTH, NAME_WIDTH = 20, 24  # characters
MOST_LINES = 20  # errors, warnings or outputs in the summary; the run's page and --json have them all
_MANY = re.compile(
    r"\b(file|row|line|record|session|photo|reject|duplicate|position|value|table|part|byte|folder|upload|archive)s\b"
)
_ONE = r"\1"


class Terminal:
    """Show progress and messages on stderr; with `quiet` only errors."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.quiet = quiet
        columns = (TextColumn("{task.description}", markup=False), BarColumn(BAR_WIDTH),
                   TextColumn("{task.fields[note]}", markup=False), TimeElapsedColumn())  # fmt: skip
        self._bar = None if quiet or not self.console.is_terminal else Bar(*columns, console=self.console)
        self._tasks: dict[str, TaskID] = {}
        self._last_line = 0.0

    def __enter__(self) -> Self:
        self._last_line = time.monotonic()
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def say(self, text: str) -> None:
        """Print one line."""
        if not self.quiet:
            with suppress(OSError):  # a terminal that was closed
                self.console.print(text, markup=False)

    def show(self, progress: "Progress") -> None:
        """Show how far a map is."""
        if self._bar:
            self._move(self._bar, progress)
        elif time.monotonic() - self._last_line >= LINE_EVERY:
            self._last_line = time.monotonic()
            self.say(str(progress))
            for file, text in progress.files:
                self.say(f"  {file.name}: {text}")

    def _move(self, bar: Bar, progress: "Progress") -> None:
        """Show a bar for the step, and one below it for each file under way."""
        files = {f"  {file.name}": (file.fraction, text) for file, text in progress.files}
        for name in [name for name in self._tasks if name.startswith("  ") and name not in files]:
            bar.remove_task(self._tasks.pop(name))
        rows = {progress.step: (progress.fraction, str(progress).partition(": ")[2]), **files}
        for name, (fraction, note) in rows.items():
            if name not in self._tasks:
                self._tasks[name] = bar.add_task(shortened(name, NAME_WIDTH), total=1.0, note="")
            bar.update(self._tasks[name], completed=fraction, note=note)

    @property
    def seen(self) -> bool:
        """Whether what is said here goes to a person's terminal, and not to a file or a pipe."""
        return sys.stderr.isatty()  # rich believes FORCE_COLOR, which is set where logs are kept

    def summarise(self, report: Report, page: str = "", *, own_server: bool) -> None:
        """Print what happened, item by item, and what to do next; `page` is the address of the run's page."""
        for title, lines in (("warning", report.warnings), ("error", report.errors)):
            if title == "error" or not self.quiet:
                for line in lines[:MOST_LINES]:
                    with suppress(OSError):
                        print(f"{title}: {line}", file=sys.stderr)
            self._say_rest(len(lines), f"{title}s")
        for note in report.notes:
            self.say(note)
        items = ", ".join(_amount(*item) for item in report.items.items() if item[1] and item[0] not in INNER)
        speed = f", {report.bytes_in / report.seconds / 1e6:.1f} MB/s" if report.seconds and report.bytes_in else ""
        done = f": {report.message}" if report.parts.total and report.status != "nothing_to_do" else ""
        self.say(f"{report.flow}: {report.status.replace('_', ' ')}{done}")
        if report.seconds:
            self.say(f"{items or 'nothing'} in {report.seconds:.2f} s ({report.bytes_in / 1e6:.1f} MB read{speed})")
        for output in report.outputs[:MOST_LINES]:
            self.say(f"wrote {output}")
        self._say_rest(len(report.outputs), "outputs")
        if page:
            self.say(f"run: {page}")
        if own_server:
            self.say("The Prefect server stays up for the next run; `anabranch down` stops it.")

    def _say_rest(self, count: int, what: str) -> None:
        if count > MOST_LINES:
            self.say(f"… and {count - MOST_LINES:,} more {what}: --json lists them all")


def _amount(name: str, number: int) -> str:
    words = name.replace("_", " ")
    return f"{number:,} {_MANY.sub(_ONE, words) if number == 1 else words}"
