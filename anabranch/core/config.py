"""What every flow takes besides its workload's options, and where Anabranch keeps its files."""

import math
import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from anabranch.core.forms import Grouped

T = TypeVar("T")
_REASONS = {"missing": "is needed", "string_pattern_mismatch": "is not of the form described"}  # in plain words
CPU_MAX = Path("/sys/fs/cgroup/cpu.max")  # cgroup v2, as seen in a container: QUOTA PERIOD


def split_words(value: Any) -> Any:
    """Accept `a,b` as well as a list, and keep each word once; anything else is left to pydantic."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list | tuple):
        return value
    return list(dict.fromkeys(word.strip() for item in listed for word in str(item).split(",") if word.strip()))


Words = Annotated[list[T], BeforeValidator(split_words)]  # an option that is several words: Words[str], Words[Mode]


class RunOptions(Grouped):
    """How the run is carried out; the same for every flow."""

    model_config = ConfigDict(extra="forbid")

    workers: Annotated[
        int | None, Field(ge=1, description="Parts that run at the same time. Default: one per core.")
    ] = None
    cluster: Annotated[
        str | None,
        Field(description="Address of a running Dask scheduler, such as tcp://host:8786. Default: $ANABRANCH_CLUSTER."),
    ] = None
    refresh: Annotated[bool, Field(description="Do every part again, even if the cache has its result.")] = False
    work_dir: Annotated[
        str | None,
        Field(
            description="Folder for work files, which a cluster's machines must share. Default: $ANABRANCH_WORK_DIR."
        ),
    ] = None
    tolerate: Annotated[
        str,
        Field(
            pattern=r"^\d+%?$",
            description="How many files or other parts may fail (a number, or N%) for the run to count as completed.",
        ),
    ] = "0"

    def tolerated(self, total: int) -> int:
        """Return how many of `total` parts may fail."""
        number = int(self.tolerate.rstrip("%"))
        return total * number // 100 if self.tolerate.endswith("%") else number


def first_fault(error: ValidationError) -> tuple[str, str]:
    """Return the first field that is wrong and why; the field is empty if several contradict each other."""
    first = error.errors()[0]
    if not first["loc"]:
        return "", first["msg"].removeprefix("Value error, ")
    reason = _REASONS.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    given = "" if first["type"] == "missing" else f" (given: {first['input']!r}{_meant(first)})"
    return str(first["loc"][0]), f"{reason}{given}"


def _meant(fault: Mapping[str, Any]) -> str:
    """Return a question for the word that was probably meant, where a few are possible."""
    if fault["type"] not in ("literal_error", "enum"):
        return ""
    close = get_close_matches(str(fault["input"]), re.findall("'([^']+)'", fault["ctx"]["expected"]), 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def cores(cpu_max: Path = CPU_MAX) -> int:
    """Count the cores that this process may use: those it may run on, limited by its container's share of CPU time."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = cpu_max.read_text().split()
    except OSError:  # not in a container, or cgroup v1
        return allowed
    return allowed if quota == "max" else min(allowed, math.ceil(int(quota) / int(period)))


def cluster_address(run: RunOptions) -> str | None:
    """Return the address of the Dask scheduler that the run is to use, if any."""
    return run.cluster or os.environ.get("ANABRANCH_CLUSTER") or None


def work_dir(run: RunOptions) -> Path:
    """Return the folder of our work files: within the chosen one, or within the user's cache folder."""
    chosen = run.work_dir or os.environ.get("ANABRANCH_WORK_DIR")
    return (Path(chosen) / "anabranch" if chosen else _user_folder("XDG_CACHE_HOME", ".cache")).absolute()


def state_dir() -> Path:
    """Return the folder of our own Prefect server: $ANABRANCH_STATE_DIR or within the user's state folder."""
    return Path(os.environ.get("ANABRANCH_STATE_DIR") or _user_folder("XDG_STATE_HOME", ".local/state")).absolute()


def _user_folder(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / default) / "anabranch"
