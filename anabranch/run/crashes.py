"""Tell Prefect's API how a task ended whose engine could not: its worker died, or never got as far as an engine."""

import logging
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext, TagsContext
from prefect.exceptions import PrefectHTTPStatusError
from prefect.tasks import Task

_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a task run comes from: what its record needs when no engine lived to make one."""

    task: Task[Any, Any]
    flow_run_id: UUID | None
    tags: frozenset[str]

    @classmethod
    def here(cls, task: Task[Any, Any]) -> "Origin":
        """Take the origin from the context of the flow that submits the task."""
        flow_run = context.flow_run if (context := FlowRunContext.get()) else None
        return cls(task, flow_run.id if flow_run else None, frozenset(TagsContext.get().current_tags))

    def report(self, task_run_id: UUID, state: State[Any]) -> None:
        """Set the task run's state in the API; log a warning where that fails."""
        try:
            with get_client(sync_client=True) as client:
                self._set_state(client, task_run_id, state)
        except Exception as error:  # noqa: BLE001  the run goes on without this line in its history
            logging.getLogger(__name__).warning("cannot report the crash of task run %s: %s", task_run_id, error)

    def _set_state(self, client: SyncPrefectClient, task_run_id: UUID, state: State[Any]) -> None:
        try:
            client.set_task_run_state(task_run_id, state, force=True)
        except PrefectHTTPStatusError as error:
            if error.response.status_code != _NOT_FOUND:
                raise
            name = f"{self.task.name}-{task_run_id.hex[:3]}"
            client.create_task_run(
                self.task, self.flow_run_id, task_run_id.hex, task_run_id, name, extra_tags=self.tags, state=state
            )
