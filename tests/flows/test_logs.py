"""The flow as Prefect and Dask run it: on a cluster, with a worker killed, from its deployment's entry point."""

import contextlib
import json
import os
import threading
import time
from pathlib import Path

import pytest
import yaml

from anabranch.core.config import RunOptions
from anabranch.logs.options import LogOptions
from anabranch.logs.sample import write_sample

ROOT = Path(__file__).parents[2]
MODES = ["known", "sessions", "bw", "md", "grading", "memory"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("sample") / "unit.tar.bz2"
    write_sample(path, megabytes=40, members=12)
    return path


@pytest.fixture
def parse(prefect_server, archive, tmp_path):
    from flows.logs import parse_logs

    def run(output, work="work", **options):
        run = RunOptions(work_dir=str(tmp_path / work), **options)
        report = parse_logs([str(archive)], f"{tmp_path / output}/", LogOptions(mode=MODES), run)
        return report, {path.name: path.read_bytes() for path in (tmp_path / output).glob("[!.]*")}

    return run


@pytest.mark.cluster
def test_a_cluster_gives_the_same_bytes_even_when_a_worker_is_killed(parse, cluster, tmp_path):
    import distributed

    expected = parse("here", "work-here")[1]
    assert len(expected) == len(MODES)

    def kill():
        results = tmp_path / "work-there" / "anabranch" / "results"
        while len(list(results.glob("*"))) < 3:  # some parts are done, others in flight
            time.sleep(0.01)
        with distributed.Client(cluster) as client, contextlib.suppress(ProcessLookupError):
            os.kill(next(iter(client.run(os.getpid).values())), 9)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    report, found = parse("there", "work-there", cluster=cluster)
    killer.join()

    assert found == expected
    assert report.parts.done == report.parts.total > 3


@pytest.mark.cluster
def test_a_worker_that_does_not_see_the_work_folder_is_unfit(cluster, tmp_path):
    import distributed

    from anabranch.run.cluster import blind_to_folder

    folder = os.open(tmp_path, os.O_RDONLY)
    seen_here_only = Path(f"/proc/self/fd/{os.dup2(folder, 900)}")
    try:
        with distributed.Client(cluster) as client:
            workers = list(client.nthreads())
            assert blind_to_folder(client, workers, tmp_path) == {}
            blind = blind_to_folder(client, workers, seen_here_only)
            assert {error.code for error in blind.values()} == {"work-dir-not-shared"}
            assert blind.keys() == set(workers)
    finally:
        os.close(900)
        os.close(folder)


def artifacts(run_id):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    with get_client(sync_client=True) as client:
        of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
        return {
            artifact.key or artifact.type: artifact.data for artifact in client.read_artifacts(artifact_filter=of_run)
        }


@pytest.mark.server
def test_the_runs_page_has_a_summary_and_programs_find_the_report_beside_the_outputs(parse, tmp_path):
    report, _ = parse("out")
    published = artifacts(report.run_id)

    assert json.loads(published["result"]) == report.model_dump(mode="json")
    assert json.loads((tmp_path / "out" / ".parse-logs.report.json").read_text()) == report.model_dump(mode="json")
    assert "unit.tar.bz2" in published["parse-logs-summary"]
    assert f"{tmp_path}/out/.parse-logs.report.json" in published["parse-logs-summary"].replace("\\", "")


@pytest.mark.server
def test_an_error_that_ends_the_run_at_once_is_on_its_page(prefect_server, tmp_path):
    from flows.logs import parse_logs

    state = parse_logs([str(tmp_path / "none.tar")], f"{tmp_path}/out/", return_state=True)
    page = artifacts(str(state.state_details.flow_run_id))["parse-logs-summary"]

    assert page.startswith("# parse-logs: failed")
    assert "[source-missing](#error-source-missing)" in page


def test_each_entry_point_of_prefect_yaml_is_a_flow_with_a_described_form():
    from prefect.flows import load_flow_from_entrypoint

    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    assert deployments
    for deployment in deployments:
        flow = load_flow_from_entrypoint(deployment["entrypoint"])
        form = flow.parameters.model_dump()

        flow.validate_parameters(deployment["parameters"])
        assert set(form["properties"]) == {"source", "output", "options", "run"}
        assert all(field.get("description") for field in form["properties"].values()), form["properties"]
        for model in form["definitions"].values():
            assert all(field["description"] for field in model["properties"].values())
