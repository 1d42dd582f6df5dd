"""What Prefect's API remembers of a flow run, once its events have arrived."""

import json
import time
import urllib.request
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import TaskRun

PATIENCE = 60  # seconds for events that are still on their way


def task_runs(flow_run_id: UUID, count: int) -> list[TaskRun]:
    """Return the task runs of a flow run, once there are `count` of them and all are final, or patience ends."""
    with get_client(sync_client=True) as client:
        deadline = time.monotonic() + PATIENCE
        while True:
            runs = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id])))
            final = [run for run in runs if run.state and run.state.is_final()]
            if len(final) >= count or time.monotonic() > deadline:
                return runs
            time.sleep(0.2)


def records(api: str, kind: str, criteria: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Return the API's records of a kind ("logs", "artifacts", "events"), once there are `count` of them."""
    deadline = time.monotonic() + PATIENCE
    while True:
        request = urllib.request.Request(
            f"{api}/{kind}/filter", json.dumps(criteria).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            found = json.load(answer)
        found = found["events"] if kind == "events" else found
        if len(found) >= count or time.monotonic() > deadline:
            return list(found)
        time.sleep(0.2)


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
