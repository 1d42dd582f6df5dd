"""What Prefect's API remembers of a flow run, once its events have arrived."""

import json
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import TaskRun

PATIENCE = 60  # seconds for events that are still on their way

T = TypeVar("T")


@dataclass(frozen=True)
class Seen:
    """The answers of a flow run, and the run's id to look it up."""

    answers: dict[str, Any]
    flow_run_id: UUID

    def __getitem__(self, behaviour: str) -> Any:
        answer = self.answers[behaviour]
        if isinstance(answer, Exception):
            raise answer
        return answer


def task_runs(flow_run_id: UUID, count: int) -> list[TaskRun]:
    """Return the task runs of a flow run, once `count` of them have come to an end, or patience ends."""
    chosen = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    with get_client(sync_client=True) as client:
        return _patiently(
            lambda: client.read_task_runs(flow_run_filter=chosen),
            lambda runs: sum(map(_has_ended, runs)) >= count,
        )


def records(api: str, kind: str, criteria: dict[str, Any], field: str, wanted: set[str]) -> set[str]:
    """Return that field of the API's "logs", "artifacts" or "events", once all wanted are there, or patience ends."""
    body, headers = json.dumps(criteria).encode(), {"Content-Type": "application/json"}

    def read() -> set[str]:
        with urllib.request.urlopen(urllib.request.Request(f"{api}/{kind}/filter", body, headers)) as answer:
            found = json.load(answer)
        return {each[field] for each in (found["events"] if kind == "events" else found)}

    return _patiently(read, lambda found: wanted <= found)


def everything(api: str, kind: str) -> bytes:
    """Return all that the API has of "flow_runs", "task_runs", "logs" or "artifacts", which it gives by 200."""
    pages: list[bytes] = []
    while not pages or pages[-1] != b"[]":
        body = json.dumps({"offset": 200 * len(pages)}).encode()
        request = urllib.request.Request(f"{api}/{kind}/filter", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            pages.append(answer.read())
    return b"".join(pages)


def _has_ended(run: TaskRun) -> bool:
    return run.state is not None and (run.state.is_final() or run.state.name == "NotReady")


def _patiently(read: Callable[[], T], enough: Callable[[T], bool]) -> T:
    deadline = time.monotonic() + PATIENCE
    while not enough(found := read()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found
