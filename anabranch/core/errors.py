"""Every error that Anabranch raises on purpose, one class for each *reaction* of the caller.

AnabranchError            something is wrong: say which part, why, and what to do
├── UsageError            the command or form is wrong: correct it               exit 2
├── SetupError            server, cluster or folder is not usable: set it up     exit 1
├── SourceError           this input cannot be read: leave it out, report it     exit 3, the rest is joined
├── TemporaryError        it may work next time: try again                       a part: retried; the run: exit 5
├── Stopped               we were asked to stop: the same command resumes        exit 5
└── PartlyFailed          the run is over, some parts failed; holds the report   exit 3

All survive pickle, since errors travel from workers: `args` are exactly the arguments of `__init__`.
"""

import errno
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, ClassVar, TypeGuard

from anabranch.core.sizes import size_shown

_FULL = {
    errno.ENOSPC: "the disk of {folder} is full",
    errno.EDQUOT: "the quota on the disk of {folder} is used up",
    errno.EFBIG: "a file in {folder} may not get any bigger (ulimit -f shows the limit)",
}
_SCARCE = "the disk of {folder} has too little room"
_WORK = re.compile(r"/anabranch/[a-z]+/[0-9a-f]{32}\b")  # in the path of a work file, wherever --work-dir is


class AnabranchError(Exception):
    """An error that says which part failed, why, and what to do; `code` is its heading in docs/errors.md."""

    exit_code: ClassVar[int] = 1
    attempt = 1  # of the part, when it failed

    def __init__(self, code: str, reason: str, remedy: str, part: str = "", item: str = "") -> None:
        super().__init__(code, reason, remedy, part, item)
        self.code, self.reason, self.remedy, self.part, self.item = code, reason, remedy, part, item

    def __str__(self) -> str:
        where = ": ".join(name for name in (self.part, self.item) if name)
        return f"{where}{': ' if where else ''}{self.reason}. {self.remedy} [{self.code}]"


class UsageError(AnabranchError):
    """The command or the form is wrong, and nothing was done."""

    exit_code = 2


class SetupError(AnabranchError):
    """A server, a cluster or a folder that the run needs is not usable."""


class SourceError(AnabranchError):
    """This input cannot be read; the other parts can."""

    exit_code = 3


class TemporaryError(AnabranchError):
    """The same attempt may succeed later: the network, a lock, a full disk."""

    exit_code = 5


class Stopped(AnabranchError):  # noqa: N818  an outcome that was asked for, not a defect
    """The run was asked to stop; what is done stays done."""

    exit_code = 5

    def __init__(self, reason: str = "the run was stopped") -> None:
        super().__init__("stopped", reason, "Run the same command again to resume.")
        self.args = (reason,)


class PartlyFailed(AnabranchError):  # noqa: N818  has the name of the Prefect state that it becomes
    """The run is over and everything that could be joined is joined; `report` lists the parts that failed."""

    exit_code = 3

    def __init__(self, report: Any) -> None:
        super().__init__("partly-failed", report.message, "See the errors listed in the report.")
        self.report = report
        self.args = (report,)

    def __str__(self) -> str:
        return self.reason


def as_ours(error: BaseException, part: str = "") -> AnabranchError:
    """Return any error as one of ours: unchanged, as something that the system refused, or as a defect."""
    if isinstance(error, AnabranchError):
        return error
    if is_full(error):
        return disk_full(error.filename, getattr(error, "needed", 0), getattr(error, "free", None), error.errno, part)
    if isinstance(error, OSError):
        return TemporaryError("system-error", str(error), "Fix the cause and run the same command again.", part)
    return AnabranchError(
        "unexpected",
        f"{type(error).__name__}: {error}",
        "This is a defect: please report it with the run's log; --debug shows more.",
        part,
    )


def is_full(error: BaseException) -> TypeGuard[OSError]:
    """Whether the system says that a disk, or a user's share of it, is full."""
    return isinstance(error, OSError) and error.errno in _FULL


def disk_full(
    path: str | None, needed: int = 0, free: int | None = None, number: int | None = None, part: str = ""
) -> TemporaryError:
    """Return the error of a disk that is full: for which file or folder, how much it needs and is free, what moves it.

    Of a path that is not known, the fullest of our own folders is taken.
    """
    places = [path] if path else _own()
    folders = [
        next(one for one in (Path(place).absolute(), *Path(place).absolute().parents) if one.is_dir())
        for place in places
    ]
    free_now, folder = min((shutil.disk_usage(folder).free, str(folder)) for folder in folders)
    free = free_now if free is None else free
    room = f"at least {size_shown(needed)} are needed, and " if needed else ""
    reason = f"{_FULL.get(number or 0, _SCARCE).format(folder=folder)}: {room}{size_shown(free)} are free"
    remedy = f"Make room there, or {_moved_by(path or folder)}, and run the same command again: it resumes."
    return TemporaryError("disk-full", reason, remedy, part, path if path and path != folder else "")


def _own() -> list[str]:
    from anabranch.core import config  # noqa: PLC0415  which imports pydantic, and errors are imported by all

    return [str(config.work_dir(config.RunOptions())), str(config.state_dir()), tempfile.gettempdir()]


def _moved_by(path: str) -> str:
    """Return how a user moves the folder in which the file lies."""
    place, (work, state, scratch) = Path(path).absolute(), _own()
    if place.is_relative_to(state):
        return "name another folder in ANABRANCH_STATE_DIR"
    if place.is_relative_to(work) or _WORK.search(str(place)):
        return "name another folder by --work-dir (or ANABRANCH_WORK_DIR)"
    if str(place) == scratch:
        return "name another folder in TMPDIR"
    return "name another output"
