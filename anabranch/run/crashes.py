"""Report the end of a task to Prefect's API if its engine could not: its worker died, or no engine had started."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext, TagsContext
from prefect.exceptions import PrefectHTTPStatusError
from prefect.tasks import Task

_NO_SUCH_RECORD_OR_TWICE = {404, 409}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a task run comes from: what its record needs if no engine created one."""

    task: Task[Any, Any]
    flow_run_id: UUID | None
    tags: frozenset[str]

    @classmethod
    def here(cls, task: Task[Any, Any]) -> "Origin":
        """Take the origin from the context of the flow that submits the task."""
        flow_run = context.flow_run if (context := FlowRunContext.get()) else None
        return cls(task, flow_run.id if flow_run else None, frozenset(TagsContext.get().current_tags))

    def report(self, task_run_id: UUID, state: State[Any]) -> None:
        """Set the task run's state in the API; log a warning if that fails."""
        try:
            with get_client(sync_client=True) as client:
                self._set_state(client, task_run_id, state)
        except Exception as error:  # noqa: BLE001  the run continues without this entry in its history
            logging.getLogger(__name__).warning("cannot report the crash of task run %s: %s", task_run_id, error)

    def _set_state(self, client: SyncPrefectClient, task_run_id: UUID, state: State[Any]) -> None:
        name = f"{self.task.name}-{task_run_id.hex[:3]}"
        set_state = partial(client.set_task_run_state, task_run_id, state, force=True)
        create = partial(
            client.create_task_run, self.task, self.flow_run_id, task_run_id.hex, task_run_id, name, self.tags, state
        )
        # once more at the end, since the worker's last events may create the record after the first attempt
        attempts: tuple[Callable[[], object], ...] = (set_state, create, set_state)
        for attempt in attempts:
            try:
                attempt()
            except PrefectHTTPStatusError as error:
                if error.response.status_code not in _NO_SUCH_RECORD_OR_TWICE:
                    raise
            else:
                return
