"""The conversion as Prefect and Dask run it: on a cluster, with a worker killed, a second time, with a bad file."""

import contextlib
import json
import os
import random
import threading
import time
from pathlib import Path

import pytest
import yaml

from anabranch.core.config import RunOptions
from anabranch.core.errors import PartlyFailed
from anabranch.files.options import ConvertOptions

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A folder with a CSV file of several blocks, quoted ends of lines in it, and one that cannot be read."""
    folder = tmp_path_factory.mktemp("sources")
    chance = random.Random(7)
    with (folder / "big.csv").open("w", newline="") as file:
        file.write("id,text,amount\n")
        for number in range(1_000_000):
            text = '"two\nlines, one cell"' if chance.random() < 0.01 else f"text {number % 977}"
            file.write(f"{number},{text},{number / 8}\n")
    (folder / "open.csv").write_text('id\n"1\n2\n')
    return folder


@pytest.fixture
def convert(prefect_server, source, tmp_path):
    from flows.files import convert_files

    def run(output, names=("big.csv",), work="work", **options):
        run = RunOptions(work_dir=str(tmp_path / work), **options)
        sources = [str(source / name) for name in names]
        return convert_files(sources, str(tmp_path / output), ConvertOptions(), run, return_state=True)

    return run


@pytest.mark.soak
@pytest.mark.cluster
def test_a_cluster_gives_the_same_bytes_even_when_a_worker_is_killed(convert, cluster, tmp_path):
    import distributed

    convert("here", work="work-here")

    def kill():
        results = tmp_path / "work-there" / "anabranch" / "results"
        while len(list(results.glob("*"))) < 2:  # the look is over, parts are in flight
            time.sleep(0.01)
        with distributed.Client(cluster) as client, contextlib.suppress(ProcessLookupError):
            os.kill(next(iter(client.run(os.getpid).values())), 9)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    state = convert("there", work="work-there", cluster=cluster)
    killer.join()

    assert state.is_completed()
    assert (tmp_path / "there/big.parquet").read_bytes() == (tmp_path / "here/big.parquet").read_bytes()


@pytest.mark.server
def test_a_second_run_has_nothing_to_do_and_a_bad_file_makes_it_partly_failed(convert, tmp_path):
    first = convert("out", ("big.csv", "open.csv"))
    second = convert("out", ("big.csv", "open.csv"))
    report = first.result(raise_on_failure=False).report

    assert (first.name, second.name) == ("PartlyFailed", "PartlyFailed")  # what the first wrote stands
    assert isinstance(second.result(raise_on_failure=False), PartlyFailed)
    assert report.items["rows"] == 1_000_000
    assert [error.code for error in report.errors] == ["unclosed-quote"]
    assert second.result(raise_on_failure=False).report.items["unchanged"] == 1


@pytest.mark.server
def test_the_page_of_the_run_has_pictures_of_rows_and_bytes(convert, source):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    (source / "small.csv").write_text("a,b\n1,2\n")
    state = convert("out", ("big.csv", "small.csv"))
    with get_client(sync_client=True) as client:
        drawn = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[state.state_details.flow_run_id]))
        )
    (summary,) = [artifact.data for artifact in drawn if artifact.type == "markdown"]

    assert summary.splitlines()[0] == "# convert-files: completed"
    for title in ("Rows", "Bytes read", "Bytes written"):
        assert f"\n![{title}](data:image/svg+xml;base64," in summary


def test_the_deployment_fills_in_every_parameter_of_the_flow():
    from flows.files import convert_files

    entries = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    (entry,) = [entry for entry in entries if entry["name"] == "convert-files"]

    assert convert_files.validate_parameters(json.loads(json.dumps(entry["parameters"])))
    assert set(entry["parameters"]) == set(convert_files.parameters.properties)
