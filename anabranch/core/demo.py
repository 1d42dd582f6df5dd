"""What a workload's demo consists of: steps that the command carries out one after another."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Say:
    """Print on standard error what happens next."""

    text: str


@dataclass(frozen=True, slots=True)
class Show:
    """Print a result on standard output."""

    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """Run an `anabranch` command in a separate process, as a user would type it.

    `kill_when` is called every 20 ms; once it returns true, the command and its processes get SIGKILL. A command that
    ended before is left alone. An exit code that is not one of `expected` ends the demo with that code.
    """

    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)  # variables in addition to those of the caller
    kill_when: Callable[[], bool] | None = None
    expected: tuple[int, ...] = (0,)


Step = Say | Show | Run
Steps = Generator[Step, None, None]
# Writes its sample into the folder, which exists, under names of its own. What the sample needs while the commands run,
# such as a server, lives in `with` blocks around the steps, which are closed however the demo ends.
Demo = Callable[[Path], Steps]
