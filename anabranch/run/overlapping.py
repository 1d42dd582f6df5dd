"""Scheduled runs that would pile up: one that was due while another run of its deployment was on is skipped.

The server lets it wait for its turn, as it should with runs that people start; a run that takes longer than the time
between two of its schedule would then never end waiting.
"""

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterStartTime,
)
from prefect.client.schemas.objects import FlowRun


def overlapped(run: FlowRun) -> str:
    """Return which run was on when this scheduled one was due; nothing for a run that somebody started."""
    due = run.expected_start_time
    if not run.auto_scheduled or run.deployment_id is None or due is None:
        return ""
    with get_client(sync_client=True) as client:
        on = client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[run.deployment_id])),
            flow_run_filter=FlowRunFilter(
                start_time=FlowRunFilterStartTime(before_=due), end_time=FlowRunFilterEndTime(after_=due)
            ),
            limit=1,
        )
    return f"{on[0].name} was still on when this run was due" if on else ""
