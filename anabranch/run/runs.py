"""The runs that the server remembers: list them, find one, read its report, wait for its end, cancel it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from anabranch.core.errors import UsageError
from anabranch.core.parts import Report
from anabranch.run.api import call
from anabranch.run.handover import FlowRun, hand_over
from anabranch.run.naming import RETRY

ENDS = {"COMPLETED": 0, "FAILED": 1, "CRASHED": 1, "CANCELLED": 5}
"""The types of the states in which a run ends, and the exit codes that they mean."""
LOOK_SECONDS = 2.0  # between two questions for a run's state
WHOLE_TYPE, WHOLE = "result", "the whole report, for programs"
"""Type and description of the artifact that has a run's report; the run's page leaves out artifacts of this type."""
_MOST = 200  # runs that the server returns at a time


def recent(url: str, flows: Sequence[str], most: int) -> list[dict[str, Any]]:
    """Return the newest runs of these flows, as the server describes them, with the name of the flow of each."""
    chosen = {"name": {"any_": list(flows)}}
    names = {flow["id"]: flow["name"] for flow in call(f"{url}/flows/filter", {"flows": chosen})}
    begun = {"state": {"type": {"not_any_": ["SCHEDULED"]}}}
    found: list[dict[str, Any]] = []
    while len(found) < most:
        wanted = min(_MOST, most - len(found))
        page = {"sort": "EXPECTED_START_TIME_DESC", "limit": wanted, "offset": len(found)}
        listed = call(f"{url}/flow_runs/filter", {"flows": chosen, "flow_runs": begun, **page})
        found += ({**run, "flow": names.get(run["flow_id"], "")} for run in listed)
        if len(listed) < wanted:
            break
    return found


def one(url: str, flows: Sequence[str], wanted: str) -> dict[str, Any]:
    """Return the run of this id, of an id that begins so, or of this name; UsageError "no-such-run" without one."""
    try:
        chosen: dict[str, Any] = {"id": {"any_": [str(UUID(wanted))]}}
    except ValueError:
        chosen = {"name": {"any_": [wanted]}}
    found = call(f"{url}/flow_runs/filter", {"flow_runs": chosen})
    found = found or [run for run in recent(url, flows, 1000) if wanted and run["id"].startswith(wanted)]
    if len(found) == 1:
        return dict(found[0])
    what = f"{len(found)} runs are meant by {wanted}" if found else f"the server knows no run {wanted}"
    raise UsageError("no-such-run", what, "`anabranch runs list` shows the ids and names of the newest ones.")


def report_of(url: str, run: str) -> Report | None:
    """Return the report of a run; None where it has published none, since it did not get to its end."""
    of_run = {"flow_run_id": {"any_": [run]}, "type": {"any_": [WHOLE_TYPE]}}
    listed = call(f"{url}/artifacts/filter", {"artifacts": of_run, "sort": "CREATED_DESC"})
    found = [one["data"] for one in listed if one["description"] == WHOLE]
    if not found:
        return None
    return Report.model_validate_json(found[0]) if isinstance(found[0], str) else Report.model_validate(found[0])


def until_the_end(url: str, run: str, sleep: Callable[[float], object] = time.sleep) -> Iterator[dict[str, Any]]:
    """Yield a run's state whenever it has changed, the last one when it has ended."""
    known = None
    while True:
        state = call(f"{url}/flow_runs/{run}")["state"] or {}
        if (now := (state.get("name"), state.get("message"))) != known:
            known = now
            yield state
        if state.get("type") in ENDS:
            return
        sleep(LOOK_SECONDS)


def cancel(url: str, run: Mapping[str, Any]) -> str:
    """Ask a run to stop at its next item, and return its state by name; one that has ended stays as it is."""
    if (run["state"] or {}).get("type") not in ENDS:
        call(f"{url}/flow_runs/{run['id']}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}})
    return str(call(f"{url}/flow_runs/{run['id']}")["state"]["name"])


def again(url: str, run: Mapping[str, Any]) -> FlowRun:
    """Hand a run with the same parameters to its deployment, or to the one that is called like the flow.

    What is done is not done again: results are cached, and outputs that stand are kept. Raises UsageError
    "run-not-ended", and what `hand_over` raises.
    """
    if (run["state"] or {}).get("type") not in ENDS:
        reason = f"the run {run['name']} has not ended"
        raise UsageError("run-not-ended", reason, "Wait for its end (`anabranch runs watch`), or cancel it.")
    flow = call(f"{url}/flows/{run['flow_id']}")["name"]
    of = run["deployment_id"]
    deployment = call(f"{url}/deployments/{of}")["name"] if of else flow
    return hand_over(url, flow, deployment, run["parameters"], tags=[RETRY])


def seconds_of(run: Mapping[str, Any]) -> float | None:
    """Return how long a run took, or has taken so far; None where it has not begun."""
    began, ended = run["start_time"], run["end_time"]
    if not began:
        return None
    end = datetime.fromisoformat(ended) if ended else datetime.now().astimezone()
    return round((end - datetime.fromisoformat(began)).total_seconds(), 1)
