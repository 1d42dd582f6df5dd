"""Notice a request to stop this flow run, from the UI, the API or another terminal."""

import threading
from contextlib import suppress
from types import TracebackType
from typing import Self
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext

from anabranch.core.errors import Stopped

LOOK_EVERY = 2.0  # seconds between two looks at the run's state


class CancelWatch:
    """Watch the flow run's own state in a thread, since no Prefect worker supervises a run started by hand."""

    def __init__(self) -> None:
        context = FlowRunContext.get()
        self._run_id = context.flow_run.id if context and context.flow_run else None
        self._over, self._cancelled = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(self._run_id,), name="cancel-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(LOOK_EVERY)

    def requested(self) -> bool:
        """Whether the run should stop."""
        return self._cancelled.is_set()

    def check(self) -> None:
        """Raise Stopped if the run is to stop."""
        if self._cancelled.is_set():
            raise Stopped("the run was cancelled")

    def _watch(self, run_id: UUID | None) -> None:
        if run_id is None or self._over.wait(LOOK_EVERY):
            return  # most small runs have ended by then and need no client
        with get_client(sync_client=True) as client:
            while not self._cancelled.is_set():
                with suppress(Exception):  # a server that is away for a while must not stop the work
                    state = client.read_flow_run(run_id).state
                    if state is not None and (state.is_cancelling() or state.is_cancelled()):
                        self._cancelled.set()
                if self._over.wait(LOOK_EVERY):
                    return
