"""Scheduled runs that would pile up: one that was due while another run of its deployment was on is skipped.

The server lets it wait for its turn, as it should with runs that people start; a run that takes longer than the time
between two of its schedule would then never end waiting.
"""

from contextvars import copy_context

from httpx import HTTPError
from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterStartTime,
    FlowRunFilterState,
    FlowRunFilterStateName,
)
from prefect.client.schemas.objects import FlowRun

from anabranch.run.telling import ANSWER_SECONDS, RETRIES, set_retries

SKIPPED = "Skipped"  # the name of the state of such a run


def overlapped(run: FlowRun) -> str:
    """Return which run was on when this scheduled one was due; nothing for a run that was started by hand.

    Runs that were skipped themselves do not count. A server that does not tell, within limits, must not end a run: then
    it is carried out.
    """
    due = run.expected_start_time
    if not run.auto_scheduled or run.deployment_id is None or due is None:
        return ""
    wanted = FlowRunFilter(
        start_time=FlowRunFilterStartTime(before_=due),
        end_time=FlowRunFilterEndTime(after_=due),
        state=FlowRunFilterState(name=FlowRunFilterStateName(not_any_=[SKIPPED])),
    )
    deployment = DeploymentFilter(id=DeploymentFilterId(any_=[run.deployment_id]))
    try:
        on = copy_context().run(_found, deployment, wanted)
    except HTTPError as error:
        get_run_logger().warning("whether another run was on when this one was due is not known: %s", error)
        return ""
    return f"{on[0].name} was still on when this run was due" if on else ""


def _found(deployment: DeploymentFilter, wanted: FlowRunFilter) -> list[FlowRun]:
    set_retries(RETRIES)
    with get_client(sync_client=True, httpx_settings={"timeout": ANSWER_SECONDS}) as client:
        return client.read_flow_runs(deployment_filter=deployment, flow_run_filter=wanted, limit=1)
