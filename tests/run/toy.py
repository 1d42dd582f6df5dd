"""The smallest workload: a part fails as its table says, waits, and writes one file; every attempt is counted."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from prefect import flow, task

from anabranch.core.config import RunOptions
from anabranch.core.errors import SourceError, Stopped, TemporaryError
from anabranch.core.moving import say_moved
from anabranch.core.parts import ErrorLine, Manifest, Part, PartCounts, Plan, Report
from anabranch.core.storage import published, work_file
from anabranch.run.mapping import BY_PART, Done, carry_out, is_temporary, map_parts
from anabranch.run.reporting import concluded


@dataclass(frozen=True, slots=True)
class ToyPart(Part):
    folder: str
    attempts: tuple[str, ...] = ("ok",)  # what each attempt does: ok, item, temporary, system, …


def toy_plan(folder, table, costs=None, python_seconds=0.0, version=""):
    """Make a plan of one part for each row of the table {label: attempts}."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    name = Path(folder).name
    parts = [
        ToyPart(i, label, (costs or {}).get(label, 1.0), f"{name}-{label}{version}", str(folder), tuple(attempts))
        for i, (label, attempts) in enumerate(table.items())
    ]
    return Plan(tuple(parts), str(folder), python_seconds)


@dataclass(frozen=True)
class OneByOne(Plan):
    """Brings one part at a time, whatever ends meanwhile."""

    left: list[Part] = field(default_factory=list)

    def further(self, ended):
        return [self.left.pop(0)] if self.left else None


def attempts_of(folder, label):
    """Count how often a part was begun."""
    path = Path(folder) / f"{label}.attempts"
    return len(path.read_text()) if path.exists() else 0


def work(part, stop):
    with (Path(part.folder) / f"{part.label}.attempts").open("a") as file:
        file.write("x")
    attempt = attempts_of(part.folder, part.label)
    match part.attempts[min(attempt, len(part.attempts)) - 1]:
        case "temporary":
            raise TemporaryError("busy", "it is busy", "Try again.")
        case "system":
            raise OSError(5, "Input/output error")
        case "source":
            raise SourceError("bad-input", "it is damaged", "Mend it.", item="line 7")
        case "defect" | "exits" as end:
            raise ZeroDivisionError("a defect") if end == "defect" else SystemExit("nothing to load")
        case "die":
            os.kill(os.getpid(), 9)
        case "slow":
            for _ in range(600):
                if stop():
                    (Path(part.folder) / f"{part.label}.stopped").touch()
                    raise Stopped
                time.sleep(0.05)
        case "says" | "waits" as how:
            _stay(part, says=how == "says")
    target = Path(part.folder) / f"{part.label}.done"
    with published(target) as file:
        file.write(part.label.encode())
    bad = [SourceError("bad-item", "it is damaged", "Mend it.", part.label, "item 3")]
    errors = bad if part.attempts[min(attempt, len(part.attempts)) - 1] == "item" else []
    return Manifest((work_file(target),), {"items": 1}, errors=tuple(errors))


def _stay(part, *, says):
    while not (Path(part.folder) / "heard").exists():
        if says:
            say_moved()(part.index + 7)
        time.sleep(0.05)


@task(name="toy", task_run_name="toy {part.label}", cache_policy=BY_PART, retries=2, retry_delay_seconds=0.1,
      retry_condition_fn=is_temporary)  # fmt: skip
def do_part(part: ToyPart) -> Done:
    return carry_out(work, part)


@flow(name="toy")
@concluded
def toy(plan, run: RunOptions) -> Report:
    toy.moved = set()

    def moved(part, size):
        toy.moved.add((part.label, size))
        (Path(part.folder) / "heard").touch()

    outcomes = map_parts(do_part, plan, run, moved=moved)
    toy.outcomes = outcomes
    errors = [error for outcome in outcomes for error in outcome.errors]
    outputs = [outcome.part.label for outcome in outcomes if outcome.done]
    return Report(
        flow="toy", outputs=outputs, parts=PartCounts.of(outcomes), errors=[ErrorLine.of(error) for error in errors]
    )


def cancel_when(begun):
    """Cancel the toy that runs on the server, as its page does, once the file `begun` is there."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName
    from prefect.client.schemas.sorting import FlowRunSort
    from prefect.states import Cancelling

    while not begun.exists():
        time.sleep(0.05)
    of_toys = FlowFilter(name=FlowFilterName(any_=[toy.name]))
    with get_client(sync_client=True) as client:
        # the server would give any 200 of all runs
        (run,) = client.read_flow_runs(flow_filter=of_toys, sort=FlowRunSort.START_TIME_DESC, limit=1)
        client.set_flow_run_state(run.id, Cancelling(), force=True)
