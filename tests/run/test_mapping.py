"""map_parts on real Prefect and Dask: every outcome, in the plan's order; retries, cache, cancel, progress."""

import errno
import logging
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from anabranch.core.config import RunOptions
from anabranch.core.errors import PartlyFailed

pytestmark = pytest.mark.server


@pytest.fixture
def run(prefect_server, tmp_path):
    """Run the toy flow on a table of parts; return final state, outcomes by label, and the folder."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    from tests.run.toy import OneByOne, toy, toy_plan

    def run_toy(table, *, folder=tmp_path / "toy", costs=None, version="", grows=False, **options):
        plan = toy_plan(folder, table, costs, version=version)
        plan = OneByOne((), plan.folder, left=list(plan.parts)) if grows else plan
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):  # its thread ends a second later
            state = toy(plan, run=RunOptions(work_dir=str(tmp_path), **options), return_state=True)
        return state, {outcome.part.label: outcome for outcome in toy.outcomes}, folder

    return run_toy


def test_outcomes_come_in_the_plans_order_whatever_order_they_end_in(run):
    state, outcomes, _ = run({"a": ["ok"], "b": ["temporary", "ok"], "c": ["ok"]}, costs={"c": 9})

    assert list(outcomes) == ["a", "b", "c"]
    assert state.is_completed()
    assert state.message == "3 of 3 parts done"


def test_parts_that_come_while_others_are_done_are_done_too(run):
    state, outcomes, _ = run({"a": ["ok"], "b": ["temporary", "ok"], "c": ["source"]}, grows=True)

    assert [(label, outcome.done) for label, outcome in outcomes.items()] == [("a", True), ("b", True), ("c", False)]
    assert state.message.startswith("2 of 3 parts done, 1 failed")


def test_one_bad_part_does_not_stop_the_rest(run):
    state, outcomes, folder = run({"a": ["ok"], "b": ["source"], "c": ["ok"], "d": ["defect"]}, workers=1)

    assert state.name == "PartlyFailed"
    assert isinstance(state.result(raise_on_failure=False), PartlyFailed)
    assert [outcome.done for outcome in outcomes.values()] == [True, False, True, False]
    assert str(outcomes["b"].error) == "b: line 7: it is damaged. Mend it. [bad-input]"
    assert outcomes["d"].error.code == "unexpected"
    assert (folder / "c.done").read_text() == "c"


@pytest.mark.parametrize(("attempts", "tries", "done"), [
    (["temporary", "system", "ok"], 3, True),
    pytest.param(["temporary"], 3, False, marks=pytest.mark.soak),
    (["source"], 1, False),
    pytest.param(["defect"], 1, False, marks=pytest.mark.soak),
])  # fmt: skip
def test_only_what_may_pass_is_tried_again(run, attempts, tries, done):
    _, outcomes, folder = run({"a": attempts})
    from tests.run.toy import attempts_of

    assert attempts_of(folder, "a") == tries
    assert outcomes["a"].done is done
    assert outcomes["a"].attempts == tries


@pytest.mark.parametrize(("error", "may_pass"), [
    (OSError(errno.ENOSPC, "full"), True),
    (OSError(errno.ESTALE, "stale"), True),
    (ConnectionResetError(), True),
    (TimeoutError(), True),
    (FileNotFoundError(errno.ENOENT, "gone"), False),
    (PermissionError(errno.EACCES, "closed"), False),
    (OSError(errno.ENAMETOOLONG, "long"), False),
])  # fmt: skip
def test_what_the_system_refuses_for_good_is_not_tried_again(error, may_pass):
    from prefect.states import Failed

    from anabranch.run.mapping import is_temporary

    assert is_temporary(None, None, Failed(data=error)) is may_pass


@pytest.mark.parametrize(
    ("tolerate", "name"), [("19%", "PartlyFailed"), pytest.param("20%", "Completed", marks=pytest.mark.soak)]
)
def test_a_percentage_is_one_of_the_files_where_files_fail_one_by_one(prefect_server, tolerate, name):
    from prefect import flow

    from anabranch.core.parts import ErrorLine, PartCounts, Report
    from anabranch.run.reporting import concluded

    @flow
    @concluded
    def finish(run: RunOptions) -> Report:
        errors = [ErrorLine(code="bad-input", part=part, reason="it is damaged", remedy="Mend it.") for part in "ab"]
        counts = PartCounts(total=3, done=2, failed=1)
        return Report(flow="finish", outputs=["c"], parts=counts, items={"files": 10}, errors=errors)

    assert finish(RunOptions(tolerate=tolerate), return_state=True).name == name


def test_failures_within_tolerate_complete_the_run(run):
    state, _, _ = run({"a": ["ok"], "b": ["source"]}, tolerate="50%")

    assert state.is_completed()
    assert state.result().errors[0].code == "bad-input"


def test_a_second_run_takes_its_parts_from_the_cache(run):
    from tests.run.toy import attempts_of

    table = {"a": ["ok"], "b": ["ok"]}
    run(table)
    state, outcomes, folder = run(table)

    assert all(outcome.cached for outcome in outcomes.values())
    assert state.message == "2 of 2 parts done, 2 from the cache"
    assert attempts_of(folder, "a") == 1


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("changed")])
def test_a_hit_whose_file_is_gone_or_changed_runs_anew(run, spoil):
    from tests.run.toy import attempts_of

    table = {"a": ["ok"], "b": ["ok"]}
    _, _, folder = run(table)
    spoil(folder / "a.done")
    _, outcomes, _ = run(table)

    assert [outcomes["a"].cached, outcomes["b"].cached] == [False, True]
    assert attempts_of(folder, "a") == 2
    assert (folder / "a.done").read_text() == "a"
    assert run(table)[1]["a"].cached


def test_another_key_or_refresh_runs_anew(run):
    from tests.run.toy import attempts_of

    run({"a": ["ok"]})
    _, outcomes, _ = run({"a": ["ok"]}, version="2")
    assert not outcomes["a"].cached
    _, outcomes, folder = run({"a": ["ok"]}, refresh=True)
    assert not outcomes["a"].cached
    assert attempts_of(folder, "a") == 3


def test_a_failed_part_is_not_cached(run):
    run({"a": ["source", "ok"], "b": ["ok"]})
    _, outcomes, _ = run({"a": ["source", "ok"], "b": ["ok"]})

    assert outcomes["a"].done
    assert not outcomes["a"].cached
    assert outcomes["b"].cached


def test_a_part_of_which_an_item_failed_is_joined_listed_and_done_anew_by_the_next_run(run):
    state, outcomes, folder = run({"a": ["item", "ok"], "b": ["ok"]})

    assert state.name == "PartlyFailed"
    assert state.message.startswith("1 of 2 parts done, 1 failed. a: ")
    assert [error.item for error in outcomes["a"].errors] == ["item 3"]
    assert (folder / "a.done").exists()

    state, outcomes, _ = run({"a": ["item", "ok"], "b": ["ok"]})

    assert state.is_completed()
    assert [outcome.cached for outcome in outcomes.values()] == [False, True]


def test_a_part_of_which_an_item_failed_is_shown_as_failed_with_its_result():
    from anabranch.core.errors import SourceError
    from anabranch.core.parts import Manifest, Part
    from anabranch.run.mapping import Done, carry_out

    manifest = Manifest((), errors=(SourceError("bad-input", "it is damaged", "Mend it.", "a", "item 3"),))
    state = carry_out(lambda _part, _stop: manifest, Part(0, "a", 1.0, "key"))

    assert (state.is_failed(), state.name) == (True, "PartlyFailed")
    assert state.message == "1 item failed, the rest is done. a: item 3: it is damaged. Mend it. [bad-input]"
    assert state.result(raise_on_failure=False) == Done(manifest, 1)


def test_a_run_of_which_nothing_is_done_failed(run):
    assert run({"a": ["source"]})[0].name == "Failed"


def test_a_run_cancelled_through_the_api_stops_at_the_next_item_and_resumes(run, tmp_path):
    from tests.run.toy import cancel_when, toy, toy_plan

    thread = threading.Thread(target=cancel_when, args=(tmp_path / "toy" / "b.attempts",), daemon=True)
    thread.start()
    plan = toy_plan(tmp_path / "toy", {"a": ["ok"], "b": ["slow", "ok"], "c": ["ok"]}, {"b": 0.1})
    state = toy(plan, run=RunOptions(work_dir=str(tmp_path), workers=1), return_state=True)
    thread.join()

    assert state.is_cancelled()
    assert (tmp_path / "toy" / "b.stopped").exists()
    assert not (tmp_path / "toy" / "b.done").exists()

    state, outcomes, _ = run({"a": ["ok"], "b": ["slow", "ok"], "c": ["ok"]})

    assert state.is_completed()
    assert [outcome.cached for outcome in outcomes.values()] == [True, False, True]


def test_progress_is_shown_once_a_second_at_most(run, monkeypatch):
    from anabranch.run.progress import listening

    shown = []
    with listening(lambda progress: shown.append((time.monotonic(), progress.done))):
        run({str(i): ["ok"] for i in range(40)})

    times = [moment for moment, _ in shown[1:-1]]  # the first and the last come with begin and end
    assert shown[-1][1] == 40
    assert all(later - earlier >= 1 for earlier, later in pairwise(times))


@pytest.mark.cluster
@pytest.mark.parametrize("where", ["here", "on a cluster"])
def test_the_flow_hears_how_far_a_part_in_flight_is(run, cluster, where):
    from tests.run.toy import toy

    state, _, _ = run({"a": ["ok"], "b": ["says"]}, cluster=cluster if where == "on a cluster" else None)

    assert state.is_completed()
    assert toy.moved == {("b", 8)}


@pytest.mark.cluster
def test_a_part_that_kills_its_worker_fails_and_the_others_are_done(run, cluster):
    _, outcomes, _ = run({"a": ["ok"], "b": ["die"], "c": ["ok"], "d": ["ok"]}, cluster=cluster)

    assert [outcome.done for outcome in outcomes.values()] == [True, False, True, True]
    assert outcomes["b"].error.code == "worker-died"


@pytest.mark.cluster
def test_a_part_that_crashes_without_killing_its_worker_is_not_put_down_to_lack_of_memory(run, cluster):
    _, outcomes, _ = run({"a": ["ok"], "b": ["exits"]}, cluster=cluster)

    assert outcomes["a"].done
    assert outcomes["b"].error.code == "part-crashed"
    assert "memory" not in str(outcomes["b"].error)


@pytest.mark.cluster
def test_a_worker_killed_in_the_middle_costs_no_finished_part(run, cluster):
    from tests.run.toy import attempts_of

    table = {"a": ["ok"], "b": ["ok"], "c": ["die", "ok"], "d": ["ok"], "e": ["ok"]}
    _, outcomes, folder = run(table, cluster=cluster)

    assert all(outcome.done for outcome in outcomes.values())
    assert [attempts_of(folder, label) for label in table] == [1, 1, 2, 1, 1]


@pytest.mark.faults
def test_a_scheduler_that_goes_away_ends_the_run_which_resumes_without_it(run, tmp_path):
    program = """
import time, distributed
if __name__ == "__main__":
    cluster = distributed.LocalCluster(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", protocol="tcp"
    )
    print(cluster.scheduler_address, flush=True)
    time.sleep(600)
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as lost:

        def kill():
            while not (tmp_path / "toy" / "b.attempts").exists():
                time.sleep(0.05)
            lost.kill()

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        from tests.run.toy import toy, toy_plan

        table = {"a": ["ok"], "b": ["slow", "ok"], "c": ["ok"]}
        options = RunOptions(work_dir=str(tmp_path), cluster=lost.stdout.readline().strip())
        state = toy(toy_plan(tmp_path / "toy", table, {"a": 9}), run=options, return_state=True)
        killer.join()

    error = state.result(raise_on_failure=False)
    assert (state.name, error.code, error.exit_code) == ("Failed", "cluster-lost", 5)

    state, outcomes, _ = run(table)

    assert state.is_completed()
    assert [outcome.cached for outcome in outcomes.values()] == [True, False, False]


def test_a_page_that_cannot_be_shown_is_a_warning_and_the_run_stands(prefect_server, caplog):
    from prefect import flow

    from anabranch.core.parts import Report
    from anabranch.run.reporting import concluded

    @flow
    @concluded
    def finish(run: RunOptions) -> Report:
        logging.getLogger("prefect.flow_runs").addHandler(caplog.handler)
        return Report(flow="finish", details={"a": {"not json": object()}})

    try:
        state = finish(RunOptions(), return_state=True)
    finally:
        logging.getLogger("prefect.flow_runs").removeHandler(caplog.handler)

    assert state.is_completed()
    assert "this is missing from the run's page" in caplog.text


def test_progress_is_an_artifact_of_the_flow_whatever_the_task_is_called(prefect_server):
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
    from prefect.context import FlowRunContext

    from anabranch.core.parts import Part, Plan
    from anabranch.run.progress import Progress

    @flow(name="convert")
    def look():
        progress = Progress("Convert a_File!", Plan((Part(0, "a", 1.0, "a"),), ""))
        progress.started = progress._shown = 0.0
        progress.show()
        return FlowRunContext.get().flow_run.id

    of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[look()]))
    with get_client(sync_client=True) as client:
        (artifact,) = client.read_artifacts(artifact_filter=of_run)
    assert artifact.key == "convert-convert-a-file"
