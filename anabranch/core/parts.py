"""What data pass through in every workload: a plan of parts, one outcome for each, one report."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar
from urllib.parse import unquote_to_bytes

from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer

from anabranch.core.errors import AnabranchError
from anabranch.core.words import many


@dataclass(frozen=True, slots=True)
class Part:
    """One unit of work: where its bytes are, never the bytes; workloads add fields (less than 4 KB pickled)."""

    index: int  # place in the plan, and so in the join
    label: str  # what a user would call it
    cost: float  # estimated seconds of one core
    key: str  # fingerprint of everything that its result depends on


def first_to_last(names: Iterable[str]) -> str:
    """Name a part after what it works on, in order: the only name, or the first and the last."""
    known = list(dict.fromkeys(names))
    return f"{known[0]} to {known[-1]}" if len(known) > 1 else known[0]


@dataclass(frozen=True, slots=True)
class WorkFile:
    """A file as it was at some moment: an input when it was planned, a work file when its part was done."""

    path: str
    size: int
    modified_ns: int


Opts = TypeVar("Opts", bound=BaseModel)
Opts_co = TypeVar("Opts_co", bound=BaseModel, covariant=True)


@dataclass(frozen=True, slots=True)
class Job(Generic[Opts_co]):
    """What a flow is to do, as every step that plans it sees it."""

    source: Sequence[str]
    output: str | None
    options: Opts_co
    work_dir: Path
    threads: int  # how many parts will run at the same time
    refresh: bool = False  # do everything again


P_co = TypeVar("P_co", bound=Part, covariant=True)


@dataclass(frozen=True, slots=True)
class Plan(Generic[P_co]):
    """All parts of one map, in the order of the join."""

    parts: tuple[P_co, ...]
    folder: str  # where the parts' work files go
    python_seconds: float = 0.0  # how much of the cost holds the GIL, so that threads would not share it
    reads: tuple[WorkFile, ...] = ()  # the input, as it was when it was planned
    at_once: int = 0  # parts that run at the same time where the user does not say; 0: one per core
    counted: ClassVar[Mapping[str, str]] = {}  # counts of the manifests that progress shows, and the words for them

    @property
    def cost(self) -> float:
        """Estimated seconds of one core for all parts."""
        return sum(part.cost for part in self.parts)

    def further(self, ended: "Outcome | None") -> Sequence[P_co] | None:  # noqa: ARG002  most plans do not grow
        """Return parts to be done as well; None once there will be no more, as in most plans from the start.

        Called in the thread that maps: with each outcome, and with None from time to time. It may wait for a moment
        where no part is in flight, and not otherwise.
        """
        return None

    def save(self) -> None:
        """Write what the parts read besides their sources, if anything; called before they are mapped."""

    def written(self, named: Sequence[Path]) -> Sequence[Path]:
        """Return which of the outputs named after the sources will be written."""
        return named

    def notes(self) -> Iterator[tuple[str, str]]:
        """Yield what is known about each input besides its size: what it is, or why it cannot be read."""
        return iter(())


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a part brings back: the files it wrote, and counts; workloads add their own fields, never data.

    `errors` concern single items: the rest of the part is done. The next run does such a part again.
    """

    files: tuple[WorkFile, ...]
    counts: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    errors: tuple[AnabranchError, ...] = ()

    @property
    def failures(self) -> tuple[str, ...]:
        """Why each item failed that did; in words, since the column may know the whole error only at its end."""
        return tuple(map(str, self.errors))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one part: `manifest` if it is done, otherwise `error`."""

    part: Part
    manifest: Any = None  # the workload's Manifest
    error: AnabranchError | None = None
    attempts: int = 1
    cached: bool = False

    @property
    def done(self) -> bool:
        """Whether the part has a result, although some of its items may have failed."""
        return self.error is None

    @property
    def errors(self) -> tuple[AnabranchError, ...]:
        """What failed: the part, or items of it."""
        return (self.error,) if self.error else tuple(self.manifest.errors)


class ErrorLine(BaseModel):
    """One error, as people and programs read it."""

    code: str
    part: str
    item: str = ""
    reason: str
    remedy: str

    @classmethod
    def of(cls, error: AnabranchError) -> "ErrorLine":
        """Make the line from an error."""
        return cls(code=error.code, part=error.part, item=error.item, reason=error.reason, remedy=error.remedy)

    def __str__(self) -> str:
        return str(AnabranchError(self.code, self.reason, self.remedy, self.part, self.item))


class PartCounts(BaseModel):
    """How many parts a run had, and what became of them."""

    total: int = 0
    done: int = 0
    failed: int = 0
    cached: int = 0

    @classmethod
    def of(cls, outcomes: Collection[Outcome]) -> "PartCounts":
        """Count the outcomes of all maps of a run; a part with a failed item counts as failed."""
        failed = sum(bool(outcome.errors) for outcome in outcomes)
        cached = sum(outcome.cached for outcome in outcomes)
        return cls(total=len(outcomes), done=len(outcomes) - failed, failed=failed, cached=cached)


class Written(BaseModel):
    """An output as the run left it; `anabranch verify` compares what is there later with it.

    `place` is exact, while `name` is meant for people: the URI of a file, the key of an object, the address of a
    table's database.
    """

    name: str
    place: str
    kind: Literal["file", "object", "table"] = "file"
    size: int = 0  # bytes
    sha256: str = ""  # of a file that this process wrote
    tag: str = ""  # of an object: its ETag, or the joined MD5s of its parts; of a table: the id of the import
    part_size: int = 0  # of the parts whose MD5s are joined
    rows: int | None = None  # of a table: those that the run inserted
    kept: bool = False  # of a file: whether it had these bytes before

    @model_serializer(mode="wrap")
    def _briefly(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what says nothing: a report may have thousands of outputs."""
        return {name: value for name, value in whole(self).items() if value or name == "size"}

    @property
    def path(self) -> Path:
        """The path of a file."""
        return Path(os.fsdecode(unquote_to_bytes(self.place.removeprefix("file://"))))


NOTHING = "nothing to do"
INNER = ("candidates", "pieces")  # figures that say how the work was done: for programs, and shown to no person
Status = Literal["completed", "partly_failed", "failed", "nothing_to_do", "cancelled"]


class Report(BaseModel):
    """What a run did: the object that `--json` prints and the run's page shows."""

    flow: str
    status: Status = "completed"
    run_id: str = ""
    run_url: str = ""
    parts: PartCounts = Field(default_factory=PartCounts)
    items: dict[str, int] = Field(default_factory=dict)
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    outputs: list[str] = Field(default_factory=list)
    written: list[Written] = Field(default_factory=list)  # the outputs as they were left, with their checksums
    errors: list[ErrorLine] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)  # what the run decided by itself; nothing is wrong
    details: dict[str, dict[str, Any]] = Field(default_factory=dict)
    pictures: dict[str, str] = Field(default_factory=dict, exclude=True)  # data URLs by title, for the run's page only

    @property
    def stands(self) -> bool:
        """Whether there is any output: from this run, or unchanged since an earlier one."""
        return bool(self.outputs or self.items.get("unchanged"))

    @property
    def nothing_new(self) -> bool:
        """Whether the run ended well and left every output as it was."""
        good = self.status == "nothing_to_do" or (self.status == "completed" and not self.errors)
        return good and all(one.kept for one in self.written)

    @property
    def message(self) -> str:
        """One sentence for the run's state and the end of the log."""
        if self.status == "nothing_to_do":
            same = [f"{many(len(self.written), 'output')} left as before"] if self.written else []
            return "; ".join([NOTHING, *same, *self.warnings[:1]])
        if self.status == "failed" and not self.parts.total:
            return "the run failed"
        cached = f", {self.parts.cached} from the cache" if self.parts.cached else ""
        failed = f", {self.parts.failed} failed" if self.parts.failed else ""
        return f"{self.parts.done} of {self.parts.total} parts done{cached}{failed}"
