"""What a workload's demo is made of: steps that the command carries out one after another."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Say:
    """Tell the person on standard error what happens now."""

    text: str


@dataclass(frozen=True, slots=True)
class Show:
    """Print a result on standard output."""

    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """Run an `anabranch` command in a process of its own, as a person would type it.

    With `kill_when`, which is asked every 20 ms, the command and its processes get SIGKILL once it returns true; a
    command that was quicker is left as it ended. Any other exit code than those of `expected` ends the demo with it.
    """

    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)  # variables in addition to those of the caller
    kill_when: Callable[[], bool] | None = None
    expected: tuple[int, ...] = (0,)


Step = Say | Show | Run
Steps = Generator[Step, None, None]
# Writes its sample into the folder, which exists, under names of its own; what the sample needs while the commands run,
# such as a server, lives in `with` blocks around the steps, which are left however the demo ends.
Demo = Callable[[Path], Steps]
