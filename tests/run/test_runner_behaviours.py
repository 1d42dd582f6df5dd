"""Tasks behave on our runner as on Prefect's thread runner: each rule is checked on both."""

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from anabranch.run.runner import WarmDaskTaskRunner
from tests.run.history import Seen, records, task_runs
from tests.run.runner_behaviours import show_all
from tests.run.runner_tasks import LIMIT

pytestmark = [pytest.mark.server, pytest.mark.cluster]

TASK_RUNS = 65  # of one flow run with every behaviour


@pytest.fixture(scope="module")
def both(prefect_server: str, standing_cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """One flow run with every behaviour on each of the two runners."""
    with get_client(sync_client=True) as client:
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=LIMIT, limit=1))

    def run(runner: TaskRunner) -> Seen:
        state = show_all.with_options(task_runner=runner)(str(tmp_path_factory.mktemp("run")), return_state=True)
        return Seen(state.result(), state.state_details.flow_run_id)

    return {
        "threads": run(ThreadPoolTaskRunner(max_workers=2)),
        "warm": run(WarmDaskTaskRunner(address=standing_cluster.scheduler_address)),
    }


@pytest.fixture(params=["threads", "warm"])
def seen(both: dict[str, Seen], request: pytest.FixtureRequest) -> Seen:
    return both[request.param]


def test_results_of_a_map_come_in_its_order(seen):
    assert seen["map_in_order"] == [0, 1, 2]


def test_one_failed_part_does_not_stop_the_rest(seen):
    assert seen["partial_failure"] == ["COMPLETED", "FAILED"] * 3


def test_allow_failure_holds_inside_a_list(seen):
    assert seen["allow_failure_in_list"] == 0 + 2 + 4


def test_a_task_whose_input_failed_is_not_ready(seen):
    assert seen["failed_input"] == "NotReady"


def test_a_task_that_waits_for_a_failed_one_is_not_ready(seen):
    assert seen["failed_wait_for"] == "NotReady"


def test_allow_failure_holds_inside_wait_for(seen):
    assert seen["allow_failure_in_wait_for"] == 2


def test_return_state_brings_the_failed_state_with_its_exception(seen):
    assert seen["return_state"] == ("FAILED", "ValueError('odd 1')")


def test_a_failing_task_is_tried_again(seen):
    assert seen["retries"] == [3, 3]


def test_the_retry_condition_may_forbid_another_attempt(seen):
    assert seen["retry_condition"] == ("Failed", 1)


def test_a_cached_result_is_taken_unless_refreshed(seen):
    assert seen["cache"] == (True, {"Cached"}, 3, 10, 4)


def test_a_failed_transaction_rolls_back_on_the_worker(seen):
    assert seen["rollback"] == ("Failed", False)


def test_a_task_that_takes_too_long_times_out(seen):
    assert seen["timeout"] == "TimedOut"


def test_maps_chain_without_results_in_between(seen):
    assert seen["chained_maps"] == 4 + 6 + 8


def test_as_completed_yields_every_future(seen):
    assert seen["completion_order"] == [2, 3, 4]


def test_hooks_run_once_for_each_task_run(seen):
    assert seen["hooks"] == (2, 1)


def test_a_global_concurrency_limit_of_one_holds_between_workers(seen):
    intervals = seen["concurrency_limit"]

    assert all(end <= start for (_, end), (start, _) in pairwise(intervals))


def test_a_task_may_call_a_task(seen):
    assert seen["nested_task"] == 101


def test_a_task_may_call_a_flow(seen):
    assert seen["subflow"] == 102


def test_an_async_task_runs(seen):
    assert seen["async_task"] == [2, 4]


def test_a_task_run_has_the_id_of_its_future(seen):
    assert all(name == told["task_run"] for name, told in seen["identity"])


def test_tags_reach_the_tasks_of_their_block_and_no_others(seen):
    assert [told["tags"] for _, told in seen["identity"]] == [["left", "right"]] * 3 + [[]]


def test_a_task_knows_its_flow_run(seen):
    assert {told["flow_run"] for _, told in seen["identity"]} == {str(seen.flow_run_id)}


def test_an_exception_that_cannot_be_unpickled_leaves_a_failed_task_with_its_message(seen):
    name, message = seen["unreadable_exception"]

    assert name == "Failed"
    assert "leftright" in message


def test_logs_of_tasks_reach_the_api(seen, prefect_server):
    wanted = {f"logged {number}" for number in range(3)}
    criteria = {"logs": {"flow_run_id": {"any_": [str(seen.flow_run_id)]}}}

    assert wanted <= records(prefect_server, "logs", criteria, "message", wanted)


def test_artifacts_of_tasks_reach_the_api(seen, prefect_server):
    wanted = {f"part-{number}" for number in range(3)}
    criteria = {"flow_runs": {"id": {"any_": [str(seen.flow_run_id)]}}}

    assert wanted <= records(prefect_server, "artifacts", criteria, "key", wanted)


def test_events_of_tasks_reach_the_api(seen, prefect_server):
    related = {"id": [f"prefect.flow-run.{seen.flow_run_id}"]}
    criteria = {"filter": {"related": related, "event": {"name": ["anabranch.part.done"]}}}

    assert records(prefect_server, "events", criteria, "event", {"anabranch.part.done"}) == {"anabranch.part.done"}


def test_the_api_has_the_same_records_of_both_runners(both):
    states = {}
    for name, seen in both.items():
        runs = task_runs(seen.flow_run_id, TASK_RUNS)
        states[name] = Counter(run.state.name if run.state else "none" for run in runs)

    assert states["warm"] == states["threads"]
    assert "none" not in states["warm"]


def test_the_api_counts_the_attempts_of_a_retried_task(seen):
    runs = [run for run in task_runs(seen.flow_run_id, TASK_RUNS) if run.name.startswith("third_time_lucky")]

    assert [run.run_count for run in runs] == [3, 3]


def test_the_api_links_a_task_run_to_the_ones_it_waited_for(seen):
    runs = [run for run in task_runs(seen.flow_run_id, TASK_RUNS) if run.name.startswith("total")]

    assert sorted(len(run.task_inputs["numbers"]) for run in runs) == [3, 6]
