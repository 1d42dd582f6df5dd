"""`anabranch status` while uploads are under way, after kill -9, and after the run; and runs that are interrupted."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from anabranch.core.parts import Report
from anabranch.run.api import call
from anabranch.run.places import reset
from tests.uploads.faulty import PASS, Faulty, error

COMMAND = [sys.executable, "-m", "anabranch.command.cli"]
MIB = 1 << 20
SENT = 4  # parts that the server takes while it holds the others up

pytestmark = pytest.mark.server


@pytest.fixture
def environment(tmp_path, prefect_server):
    return {**os.environ, "ANABRANCH_WORK_DIR": str(tmp_path / "work"), "ANABRANCH_STATE_DIR": str(tmp_path / "state")}


@pytest.fixture
def big(tmp_path):
    path = tmp_path / "big.bin"
    path.write_bytes(random.Random(1).randbytes(60 * MIB))
    return path


def words(bucket, big, endpoint):
    return [*COMMAND, "upload-files", str(big), f"{bucket.url}/in/", "--endpoint", endpoint, "--part-size", "5MiB",
            "--parts-in-flight", "2", "--user", "ann", "--json"]  # fmt: skip


def told(environment, *words):
    done = subprocess.run([*COMMAND, *words, "--json"], capture_output=True, env=environment, check=True)
    return json.loads(done.stdout)


def status(environment, *run):
    return told(environment, "status", *run)


def started(words, environment):
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, start_new_session=True)


def test_status_tells_how_far_a_run_is_and_how_it_ended(bucket, big, environment):
    reset(os.environ["PREFECT_API_URL"], "uploads")  # which a run that another test killed may hold for a minute
    busy = error("SlowDown", "503 Slow Down")
    with Faulty(bucket.server.port, lambda request: busy if request.number > SENT else PASS) as proxy:
        process = started(words(bucket, big, proxy.endpoint), environment)
        found = {"runs": []}
        while not found["runs"] or found["runs"][0]["total"]["parts_done"] < SENT:
            assert process.poll() is None
            found = status(environment)
        (run,) = found["runs"]
        one, limits = status(environment, run["name"]), told(environment, "limits", "show")
        text = subprocess.run([*COMMAND, "status", run["run"]], capture_output=True, env=environment, check=True).stdout
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    (upload,) = run["uploads"]
    assert (found["active_uploads"], run["state"], run["user"], one["run"]) == (1, "running", "ann", run["run"])
    assert (upload["file"], upload["state"]) == (str(big), "active")
    assert (upload["parts_total"], upload["parts_done"]) == (12, SENT)
    assert upload["bytes_total"] == 60 * MIB
    assert SENT * 5 * MIB <= upload["bytes_done"] <= (SENT + 2) * 5 * MIB  # two parts are in flight, and refused
    assert upload["percent"] == round(100 * upload["bytes_done"] / (60 * MIB), 1)
    assert (upload["parts_failed"], upload["seconds_left"] > 0, upload["parts_per_second"] > 0) == (0, True, True)
    slots = {slot["limit"]: slot for slot in found["slots"]}  # another test may have set how many places there are
    for name in ("uploads", "uploads-user-ann"):
        assert (slots[name]["taken"], slots[name]["free"]) == (1, slots[name]["places"] - 1)
    assert limits == found["slots"] == one["slots"]
    assert 0 < found["memory"]["used_percent"] <= 100
    assert found["memory"]["limit_percent"] == run["memory"]["limit_percent"] == 80
    assert f"{big}  active  4 of 12".encode() in text

    assert status(environment)["runs"] == []
    assert {limit["taken"] for limit in told(environment, "limits", "reset")} == {0}
    killed = status(environment, run["run"])
    assert (killed["state"], killed["files"]["active"], killed["uploads"][0]["state"]) == ("killed", 0, "stopped")

    done = subprocess.run(words(bucket, big, bucket.server.endpoint), capture_output=True, env=environment, check=True)
    report = Report.model_validate_json(done.stdout)
    ended = status(environment, report.run_id)
    assert (ended["state"], ended["files"]["done"], ended["uploads"][0]["state"]) == ("completed", 1, "sent")
    assert (ended["total"]["parts_done"], ended["total"]["bytes_done"]) == (12, 60 * MIB)
    assert bucket.read("in/big.bin") == big.read_bytes()


def test_a_run_that_never_was_is_an_error(environment):
    done = subprocess.run([*COMMAND, "status", "no-such"], capture_output=True, env=environment, check=False)

    assert done.returncode == 2
    assert b"no run no-such has left its status" in done.stderr


def interrupt(process, _environment):
    process.send_signal(signal.SIGINT)


def cancel(_process, environment):
    """Cancel the run as the button of its page does."""
    (run,) = status(environment)["runs"]
    call(f"{environment['PREFECT_API_URL']}/flow_runs/{run['run']}/set_state", {"state": {"type": "CANCELLING"}})


def stored(bucket):
    """How many parts of the one unfinished upload the server has."""
    for upload in bucket.client.list_multipart_uploads(Bucket=bucket.name).get("Uploads", []):
        listed = bucket.client.list_parts(Bucket=bucket.name, Key=upload["Key"], UploadId=upload["UploadId"])
        return len(listed.get("Parts", []))
    return 0


@pytest.mark.parametrize(
    ("stop", "policy"), [(interrupt, "keep"), pytest.param(cancel, "abort", marks=pytest.mark.soak)]
)
def test_a_run_that_is_stopped_keeps_its_upload_unless_told_otherwise(bucket, big, environment, stop, policy):
    busy = error("SlowDown", "503 Slow Down")
    with Faulty(bucket.server.port, lambda request: busy if request.number > SENT else PASS) as proxy:
        process = started([*words(bucket, big, proxy.endpoint), "--on-cancel", policy], environment)
        while stored(bucket) < SENT:
            assert process.poll() is None
            time.sleep(0.05)
        stop(process, environment)
        out, _ = process.communicate(timeout=60)

    assert process.returncode == 5
    assert bucket.unfinished() == (["in/big.bin"] if policy == "keep" else [])
    report = Report.model_validate_json(out)
    assert report.status == "cancelled"
    assert status(environment, report.run_id)["state"] == "cancelled"
    again = subprocess.run(words(bucket, big, bucket.server.endpoint), capture_output=True, env=environment, check=True)
    resumed = Report.model_validate_json(again.stdout)
    assert resumed.items["parts_kept"] >= (SENT if policy == "keep" else 0)
    assert resumed.bytes_out == 60 * MIB - 5 * MIB * resumed.items["parts_kept"]
    assert bucket.read("in/big.bin") == big.read_bytes()
