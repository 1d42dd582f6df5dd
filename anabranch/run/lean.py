"""Call a flow from a command, without what Prefect does only for other callers: a tenth of a small run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.client.schemas.objects import State
from prefect.context import SettingsContext, get_settings_context
from prefect.flows import Flow
from pydantic import TypeAdapter

from anabranch.run.orphans import noting


def call(flow: Flow[..., Any], parameters: dict[str, Any]) -> State[Any]:
    """Run the flow in this process, with parameters that are valid already; return its final state."""
    lean: Any = flow.with_options(validate_parameters=False)  # validation of parameters imports pydantic's version 1
    lean.serialize_parameters = _plain  # to show them on the run's page, Prefect imports FastAPI
    with _without_heartbeat(), noting(os.environ["PREFECT_API_URL"]) as note:
        lean.on_running_hooks = [*lean.on_running_hooks, note]
        state: State[Any] = lean(**parameters, return_state=True)
    return state


def _plain(parameters: dict[str, Any]) -> Any:
    return TypeAdapter(dict[str, Any]).dump_python(parameters, mode="json", by_alias=True)


@contextmanager
def _without_heartbeat() -> Iterator[None]:
    """Send no heartbeat within the block: it is meant for a supervisor, and to end it takes a second.

    Prefect's `temporary_settings` does the same, but reads all settings again.
    """
    now = get_settings_context()
    flows = now.settings.flows.model_copy(update={"heartbeat_frequency": None})
    with SettingsContext(profile=now.profile, settings=now.settings.model_copy(update={"flows": flows})):
        yield
