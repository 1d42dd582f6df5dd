"""The pipeline as Prefect and Dask run it: on a cluster whose worker the function kills, again, as a command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from anabranch.core.config import RunOptions
from anabranch.core.errors import PartlyFailed
from anabranch.files.pipeline.options import PipelineOptions
from tests.files.pipeline.running import STEPS, read_lines, write_lines


@pytest.fixture
def pipeline(prefect_server, tmp_path):
    from flows.pipeline import run_pipeline

    def run(function, work="work", cluster=None, **options):
        chosen = PipelineOptions(function=f"{STEPS}:{function}", **options)
        run = RunOptions(work_dir=str(tmp_path / work), cluster=cluster, workers=2)
        return run_pipeline([str(tmp_path / "r.jsonl")], str(tmp_path / "out"), chosen, run, return_state=True)

    return run


@pytest.mark.cluster
def test_a_part_whose_function_killed_its_worker_is_done_again(pipeline, cluster, tmp_path):
    records = write_lines(tmp_path / "r.jsonl", 5000)
    for record in records:
        record["mark"] = str(tmp_path / "died")
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))

    report = pipeline("die_once", cluster=cluster, mode="process").result()

    assert (tmp_path / "died").exists()
    assert report.parts.failed == 0
    assert read_lines(tmp_path / "out" / "r.jsonl") == records


@pytest.mark.server
def test_a_second_run_has_nothing_to_do_and_one_with_a_state_sees_all_records_again(pipeline, tmp_path, monkeypatch):
    write_lines(tmp_path / "r.jsonl", 500)
    monkeypatch.setenv("NOTED", str(tmp_path / "noted"))

    first, second = pipeline("noted"), pipeline("noted")
    with_state = [pipeline("count", merge=f"{STEPS}:append").result().details["state"] for _ in range(2)]

    assert len((tmp_path / "noted").read_text().split()) == 500
    assert (first.result().items["records"], second.result().items["unchanged"]) == (500, 1)
    assert with_state == [{"seen": list(range(500))}] * 2


@pytest.mark.server
def test_a_failed_record_makes_the_run_fail_and_says_what_to_do(pipeline, tmp_path):
    write_lines(tmp_path / "r.jsonl", 500)

    failed = pipeline("fail_sevenths").result(raise_on_failure=False)
    aside = pipeline("fail_sevenths", on_error="quarantine").result()

    assert isinstance(failed, PartlyFailed)
    assert [error.code for error in failed.report.errors] == ["function-failed"]
    assert aside.items["failed_records"] == len(read_lines(tmp_path / "out" / "r.jsonl.quarantine.jsonl")) == 71


@pytest.mark.server
@pytest.mark.soak  # half a minute; the default suite has the flow, the function's processes and the command apart
def test_the_command_finds_a_module_of_the_current_folder_also_in_new_processes(prefect_server, tmp_path):
    write_lines(tmp_path / "r.jsonl", 3000)
    (tmp_path / "of_here.py").write_text(
        "import multiprocessing\n\n"
        "def double(record):\n"
        "    return {'id': record['id'] * 2, 'here': multiprocessing.parent_process() is None}\n"
    )
    command = [Path(sys.executable).with_name("anabranch"), "run-pipeline", "r.jsonl", "out/", "--mode", "process"]

    done = subprocess.run(
        [*command, "--function", "of_here:double", "--workers", "2", "--json", "--quiet"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    refused = subprocess.run([*command, "--function", "of_here:treble"], cwd=tmp_path, capture_output=True, check=False)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["items"]["rows"] == 3000
    assert read_lines(tmp_path / "out" / "r.jsonl") == [{"id": 2 * number, "here": False} for number in range(3000)]
    assert refused.returncode == 2
    assert b"[function-missing]" in refused.stderr


def test_the_form_begins_with_the_function():
    from flows.pipeline import run_pipeline

    assert next(iter(run_pipeline.parameters.definitions["PipelineOptions"]["properties"])) == "function"
