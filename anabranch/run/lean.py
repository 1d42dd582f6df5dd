"""Call a flow from a command, without what Prefect does only for other callers: a tenth of a small run."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from prefect import tags
from prefect.client.schemas.objects import State
from prefect.context import SettingsContext, get_settings_context
from prefect.exceptions import Abort
from prefect.flows import Flow
from pydantic import TypeAdapter

from anabranch.core.errors import PartlyFailed, TemporaryError
from anabranch.core.parts import Report
from anabranch.run.api import BUSY
from anabranch.run.naming import AD_HOC
from anabranch.run.orphans import noting
from anabranch.run.telling import INCOMPLETE, remembering


def call(flow: Flow[..., Any], parameters: dict[str, Any], untold: Callable[[], object] = lambda: None) -> State[Any]:
    """Run the flow in this process, with parameters that are valid already; return its final state.

    A server that has gone cannot change how the run ended: its report says so, and `untold` is called.
    """
    lean: Any = flow.with_options(validate_parameters=False)  # validation of parameters imports pydantic's version 1
    lean.serialize_parameters = _plain  # to show them on the run's page, Prefect imports FastAPI
    with _without_heartbeat(), remembering() as end, noting(os.environ["PREFECT_API_URL"], end) as note:
        lean.on_running_hooks = [*lean.on_running_hooks, note]
        try:
            with tags(AD_HOC):
                state: State[Any] = lean(**parameters, return_state=True)
        except (Exception, Abort) as error:
            if end.state is None:
                if _is_busy(error):
                    reason = f"the Prefect server was busy: {error}"
                    raise TemporaryError("server-busy", reason, "Run the same command again.") from error
                raise
            end.told, state = False, end.state  # the work is done; only the server does not know
            _warn(state.data)
            untold()
    return state


def _is_busy(error: BaseException) -> bool:
    """Whether Prefect's client gave a request up that may succeed later."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in BUSY
    return isinstance(error, httpx.TransportError)


def _warn(result: Any) -> None:
    report = result.report if isinstance(result, PartlyFailed) else result
    if isinstance(report, Report) and INCOMPLETE not in report.warnings:
        report.warnings.append(INCOMPLETE)


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
