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

from typing import Any, ClassVar


class AnabranchError(Exception):
    """Say which part failed, why, and what to do; `code` is the heading of the error's entry in docs/errors.md."""

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
    if isinstance(error, OSError):
        return TemporaryError("system-error", str(error), "Fix the cause and run the same command again.", part)
    return AnabranchError(
        "unexpected",
        f"{type(error).__name__}: {error}",
        "This is a defect: please report it with the run's log; --debug shows more.",
        part,
    )
