"""Runs of a schedule that watches a folder: each takes what is new, and says little where there is nothing."""

import shutil
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import pytest

from anabranch.core.outputs import RECORD
from anabranch.core.verifying import verify_file
from anabranch.photos import sample
from anabranch.run.api import call
from anabranch.run.background import patiently
from anabranch.run.runs import report_of

DATA = Path(__file__).parents[1] / "data"

pytestmark = [pytest.mark.server, pytest.mark.soak]


def archive(path):
    shutil.copy(DATA / "logs" / "s01_basic.tar.bz2", path.with_suffix(".tar.bz2"))


def table(path):
    path.with_suffix(".csv").write_text(f"id,name\n{len(path.name)},{path.name}\n")


def photo(path):
    path.with_suffix(".jpg").write_bytes(sample.jpeg(sample.tiff(sample.Shot(47.5, 8.5))))


WATCHED = {  # the flow, what brings a file into the inbox, where the results go, and the options of the deployment
    "import_table": ("tables", table, None, {"table": "people", "create_table": True, "on_duplicate": "skip"}),
    "parse_logs": ("logs", archive, "out/", {"new_only": True}),
    "convert_files": ("files", table, "out/", {"to": "jsonl"}),
    "upload_files": ("uploads", table, "out/", {"if_exists": "skip-same"}),
    "extract_gps": ("photos", photo, "out/photos.csv", {}),
}


@pytest.fixture(params=list(WATCHED))
def watch(request, prefect_server, tmp_path, monkeypatch):
    """Carry out the next run of a schedule that watches the inbox; return its state, and its report on the server."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import IntervalSchedule
    from prefect.flow_engine import run_flow
    from prefect.states import Pending

    module, brings, output, options = WATCHED[request.param]
    flow = getattr(import_module(f"flows.{module}"), request.param)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inbox").mkdir()
    into = {"into": f"sqlite:///{tmp_path}/base.db"} if module == "tables" else {}
    given = {"source": ["inbox"], "output": output, "options": options | into, "run": {"work_dir": str(tmp_path / "w")}}
    often = DeploymentScheduleCreate(schedule=IntervalSchedule(interval=timedelta(minutes=5)), active=True)
    with get_client(sync_client=True) as client:
        made = client.create_deployment(client.create_flow(flow), f"watch-{tmp_path.name}", schedules=[often])
    wish = {"flow_runs": {"deployment_id": {"any_": [str(made)]}}}
    runs = next(found for _ in patiently(120) if len(found := call(f"{prefect_server}/flow_runs/filter", wish)) >= 4)

    done = []

    def next_run():
        with get_client(sync_client=True) as client:
            run = runs.pop()["id"]
            done.append(run)
            client.set_flow_run_state(run, Pending(), force=True)  # else it would wait until it is due
            run = client.read_flow_run(run)
        state = run_flow(flow, flow_run=run, parameters=flow.validate_parameters(given), return_type="state")
        return state, report_of(prefect_server, str(run.id))

    next_run.brings = lambda name: brings(tmp_path / "inbox" / name)
    next_run.written = lambda: {
        path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("[!.]*") if path.name != RECORD
    }
    yield next_run
    with get_client(sync_client=True) as client:
        client.delete_deployment(made)
        for run in done:  # they were due later than they ran, and would be the newest runs of other tests
            client.delete_flow_run(run)


def test_a_schedule_takes_what_is_new_and_is_quiet_where_there_is_nothing(watch):
    state, report = watch()
    assert (state.name, state.message.partition(";")[0], report) == ("Completed", "nothing to do", None)

    watch.brings("first")
    state, report = watch()
    assert (state.name, report.status) == ("Completed", "completed")
    before = watch.written()
    assert report.written
    assert [one.name for one in report.written if one.kind != "table"] == report.outputs
    assert all(verify_file(one).state == "as_recorded" for one in report.written if one.kind == "file")

    state, report = watch()
    assert (state.name, state.message.partition(";")[0], report) == ("Completed", "nothing to do", None)
    assert watch.written() == before

    watch.brings("second")
    state, report = watch()
    assert (state.name, report.status) == ("Completed", "completed")
    assert before.keys() <= watch.written().keys()
    if "photos.csv" not in {path.name for path in before}:  # of which there is one for all photos
        assert before.items() <= watch.written().items()
