"""The whole command in a subprocess: objects, JSON, exit codes, kill -9."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import distributed
import pytest
import yaml

from anabranch.core.config import RunOptions
from anabranch.core.parts import Report
from anabranch.uploads.options import UploadOptions
from tests.uploads.faulty import PASS, Faulty, error

COMMAND = [sys.executable, "-m", "anabranch.command.cli", "upload-files"]
MIB = 1 << 20


@pytest.fixture
def environment(tmp_path, prefect_server):
    return {**os.environ, "ANABRANCH_WORK_DIR": str(tmp_path / "work"), "ANABRANCH_STATE_DIR": str(tmp_path / "state")}


@pytest.fixture
def big(tmp_path):
    path = tmp_path / "a b+ü&%.bin"
    path.write_bytes(random.Random(1).randbytes(60 * MIB))
    return path


def run(environment, *words):
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, env=environment, check=False)


@pytest.mark.server
def test_a_killed_upload_to_a_bucket_is_resumed_by_the_same_command(bucket, big, environment):
    words = [str(big), f"{bucket.url}/in/", "--endpoint", bucket.server.endpoint, "--part-size", "5MiB",
             "--parts-in-flight", "2", "--json"]  # fmt: skip
    first = subprocess.Popen([*COMMAND, *words], env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    while _held(bucket) < 4:
        assert first.poll() is None
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    held = _held(bucket)

    done = run(environment, *words)

    report = Report.model_validate_json(done.stdout)
    assert (done.returncode, report.status) == (0, "completed")
    assert bucket.read(f"in/{big.name}") == big.read_bytes()
    assert report.items["parts_kept"] >= held  # what was in flight may have arrived after the kill
    assert report.bytes_out == 60 * MIB - report.items["parts_kept"] * 5 * MIB
    assert report.outputs == [f"{bucket.url}/in/{big.name}"]
    again = Report.model_validate_json(run(environment, *words).stdout)
    assert (again.items["unchanged"], again.bytes_out) == (1, 0)


def _held(bucket):
    """Count the parts of the one unfinished upload."""
    uploads = bucket.client.list_multipart_uploads(Bucket=bucket.name).get("Uploads", [])
    if not uploads:
        return 0
    listed = bucket.client.list_parts(Bucket=bucket.name, Key=uploads[0]["Key"], UploadId=uploads[0]["UploadId"])
    return len(listed.get("Parts", []))


@pytest.mark.server
def test_one_file_that_cannot_be_sent_among_others_exits_with_3(tmp_path, environment):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "good").write_bytes(b"good")
    os.mkfifo(folder / "pipe")

    mixed = run(environment, folder, f"{tmp_path}/out/", "--json")
    (folder / "good").unlink()
    none = run(environment, folder, f"{tmp_path}/out2/")

    assert (mixed.returncode, none.returncode) == (3, 1)
    assert (tmp_path / "out" / "good").read_bytes() == b"good"
    assert [error.code for error in Report.model_validate_json(mixed.stdout).errors] == ["source-not-a-file"]
    assert b"this is a pipe" in none.stderr


def test_a_dry_run_tells_keys_parts_and_sparse_files_and_asks_nobody(tmp_path, big):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(20 * MIB)
    words = [big, tmp_path / "sparse", "s3://nowhere/p/", "--endpoint", "http://127.0.0.1:9", "--dry-run"]

    done = run(dict(os.environ), *words)

    assert done.returncode == 0, done.stderr
    out = done.stdout.decode()
    assert f"becomes s3://nowhere/p/{big.name}" in out
    assert "is sparse: all 20,971,520 bytes are sent" in out
    assert "Planned so far: 6 parts" in out


@pytest.mark.parametrize(("words", "reason"), [
    (["/dev/null"], b"no destination is named"),
    (["/dev/null", "ftp://host/"], b"ftp:// is not a place to upload to"),
    (["/no/such/file", "s3://bucket/"], b"there is no such file"),
    (["/dev/null", "s3://bucket/", "--part-size", "big"], b"is not a size"),
    (["/dev/null", "s3://bucket/", "--credentials", "AKIA:secret"], b"--credentials"),
    (["/dev/null", "s3://bucket/", "--endpoint", "https://user:secret@host"], b"--endpoint"),
])  # fmt: skip
def test_what_is_wrong_is_told_before_anything_runs(words, reason):
    done = run(dict(os.environ), *words)

    assert done.returncode == 2
    assert reason in done.stderr


@pytest.mark.server
def test_a_run_from_the_deployments_form_uploads(tmp_path, monkeypatch, environment, big):
    from prefect.flows import load_flow_from_entrypoint

    entries = yaml.safe_load((Path(__file__).parents[2] / "prefect.yaml").read_text())["deployments"]
    (entry,) = [entry for entry in entries if entry["name"] == "nightly-uploads"]
    assert [schedule["active"] for schedule in entry["schedules"]] == [False]
    monkeypatch.setenv("ANABRANCH_WORK_DIR", environment["ANABRANCH_WORK_DIR"])
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here" / "outbox").mkdir()
    big.rename(tmp_path / "here" / "outbox" / "big.bin")
    flow = load_flow_from_entrypoint(entry["entrypoint"])

    report = flow(**flow.validate_parameters(entry["parameters"]))

    sent = (tmp_path / "here" / "uploaded" / "big.bin").read_bytes()
    assert hashlib.sha256(sent).digest() == hashlib.sha256((Path("outbox") / "big.bin").read_bytes()).digest()
    assert report.items["sent"] == 1
    assert list(report.pictures) == ["MB/s and memory over the run"]


@pytest.mark.server
def test_of_two_runs_of_one_file_at_once_one_waits_and_finds_it_sent(bucket, big, environment, tmp_path):
    go, busy = threading.Event(), error("SlowDown", "503 Slow Down")
    with Faulty(bucket.server.port, lambda request: busy if request.number > 4 and not go.is_set() else PASS) as proxy:
        words = [*COMMAND, str(big), f"{bucket.url}/", "--endpoint", proxy.endpoint, "--part-size", "5MiB", "--json"]
        both = [subprocess.Popen(words, env=environment, stdout=subprocess.PIPE) for _ in range(2)]
        while len(list((tmp_path / "work").rglob("status/*.json"))) < 2 or proxy.seen["part"] < 5:
            assert [process.poll() for process in both] == [None, None]
            time.sleep(0.05)
        go.set()
        reports = [Report.model_validate_json(process.communicate()[0]) for process in both]

    assert sorted(report.items["sent"] for report in reports) == [0, 1]
    assert sorted(report.items["unchanged"] for report in reports) == [0, 1]
    assert proxy.seen["create"] == proxy.seen["complete"] == 1
    assert sum(report.bytes_out for report in reports) == 60 * MIB
    assert bucket.read(big.name) == big.read_bytes()


@pytest.mark.cluster
def test_a_worker_killed_in_the_middle_costs_no_more_than_the_parts_in_flight(bucket, big, cluster, tmp_path):
    from anabranch.run.blocks import S3Credentials
    from flows.uploads import upload_files

    with distributed.Client(cluster, set_as_default=False) as client:
        victim, *_ = client.run(os.getpid).values()
        threads = max(client.nthreads().values())
    S3Credentials(access_key_id="test:tester", secret_access_key="testing").save("s3-cluster", overwrite=True)

    def kill(request):
        if request.kind == "part" and request.count == 4:
            os.kill(victim, signal.SIGKILL)
        return PASS

    with Faulty(bucket.server.port, kill) as proxy:
        options = UploadOptions(endpoint=proxy.endpoint, credentials="s3-cluster", part_size="5MiB")
        report = upload_files(
            [str(big)], f"{bucket.url}/", options, RunOptions(cluster=cluster, work_dir=str(tmp_path / "work"))
        )

    assert bucket.read(big.name) == big.read_bytes()
    assert (report.items["sent"], len(proxy.parts)) == (1, 12 + 1)  # beside the requests of no part
    assert sum(proxy.parts.values()) - 12 <= threads
