"""Hand a run to its deployment over HTTP and leave it to that deployment's Prefect worker."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from anabranch.core.errors import SetupError, UsageError
from anabranch.run.api import CONFLICT, NOT_FOUND, BusyError, RefusedError, call, page_of, ui_url
from anabranch.run.naming import DETACHED, name_of

UNPROCESSABLE = 422  # or CONFLICT: how the server refuses parameters


@dataclass(frozen=True, slots=True)
class FlowRun:
    """A run on the server, and the address of its page."""

    id: str
    url: str


def hand_over(
    url: str, flow: str, deployment: str, parameters: Mapping[str, Any], tags: Sequence[str] = (DETACHED,)
) -> FlowRun:
    """Create a run of `flow/deployment` with these parameters, which override the deployment's own, and return at once.

    Where the flow has no deployment of that name and only one other, that one takes the run.

    Paths in the parameters must be absolute: the worker runs in the project's folder. Raises SetupError
    "not-deployed" or "server-unreachable", UsageError "bad-parameters" with the server's reason, and BusyError, after
    which the run may exist all the same.
    """
    found = _find(url, flow, deployment)
    known = (found.get("parameter_openapi_schema") or {}).get("properties", parameters)
    if unknown := sorted(parameters.keys() - known.keys()):  # the server would accept them, and the run would crash
        raise _bad_parameters(flow, f"no parameter is called {', '.join(unknown)}")
    wish = {
        "parameters": dict(parameters),
        "name": name_of(flow, parameters),
        "tags": list(tags),
        "idempotency_key": str(uuid.uuid4()),  # by which a request that is repeated still creates one run
    }
    try:
        run = call(f"{url}/deployments/{found['id']}/create_flow_run", wish)
    except RefusedError as error:
        if error.status in (CONFLICT, UNPROCESSABLE):
            raise _bad_parameters(flow, error.detail) from error
        raise
    except BusyError as error:
        remedy = f"The run may have been created: look among the runs of {ui_url(url)}/runs before you submit it again."
        raise BusyError(error.code, error.reason, remedy) from error
    return FlowRun(run["id"], page_of(url, run["id"]))


def _find(url: str, flow: str, deployment: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = call(f"{url}/deployments/name/{quote(flow, safe='')}/{quote(deployment, safe='')}")
    except RefusedError as error:
        if error.status != NOT_FOUND:
            raise
        others = call(f"{url}/deployments/filter", {"flows": {"name": {"any_": [flow]}}, "sort": "NAME_ASC"})
        if len(others) != 1:
            reason = f"the server at {url} has no deployment {flow}/{deployment}"
            there = f", but {', '.join(one['name'] for one in others)}" if others else ""
            raise SetupError("not-deployed", reason + there, "Run `anabranch up`.") from error
        found = others[0]
    return found


def _bad_parameters(flow: str, why: str) -> UsageError:
    return UsageError("bad-parameters", f"{flow} does not take these parameters: {why}", "Correct the command.")
