"""However a pipeline ends, none of its processes stays, and nothing waits for the rest of a chunk."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

import anabranch
from tests.files.pipeline import steps
from tests.files.pipeline.running import read_lines, write_lines

SCRIPT = """
import anabranch
from tests.files.pipeline import steps
from tests.files.pipeline.running import read_lines, write_lines

if __name__ == "__main__":
    records = ({"id": number} for number in range(1000))
    anabranch.pipeline(records, None, steps.doze, parallel=True, workers=2, parallel_mode="MODE", chunk_size=500)
"""


@pytest.mark.parametrize(
    ("mode", "signal_number"),
    [("process", signal.SIGINT), ("process", signal.SIGTERM), ("process", signal.SIGKILL), ("thread", signal.SIGINT)],
)
def test_a_signal_ends_a_pipeline_and_its_processes(tmp_path, mode, signal_number):
    (tmp_path / "script.py").write_text(SCRIPT.replace("MODE", mode))
    noted = tmp_path / "noted"
    environment = {**os.environ, "NOTED": str(noted), "PYTHONPATH": str(Path.cwd())}
    script = subprocess.Popen(
        [sys.executable, tmp_path / "script.py"], env=environment, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        workers = _pids(noted, 2 if mode == "process" else 1)
        script.send_signal(signal_number)

        assert script.wait(30) == -signal_number  # a chunk would take more than a minute
        _wait(lambda: not any(map(_lives, workers)))
        assert b"SpawnProcess" not in script.stderr.read()  # as which a process shows its own traceback
    finally:
        with suppress(ProcessLookupError):
            os.killpg(script.pid, signal.SIGKILL)
        script.communicate()


def test_functions_of_a_script_run_in_processes(tmp_path):
    (tmp_path / "script.py").write_text(
        """
import os
import anabranch

def work(record):
    return {"id": record["id"], "pid": os.getpid()}

if __name__ == "__main__":
    class Kept(list):
        def write(self, record):
            self.append(record)

    kept = Kept()
    records = [{"id": number} for number in range(3000)]
    anabranch.pipeline(records, kept, work, parallel=True, workers=2, parallel_mode="process")
    print([one["id"] for one in kept] == list(range(3000)), os.getpid() in {one["pid"] for one in kept})
"""
    )

    done = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, check=True)

    assert done.stdout == "True False\n"


def test_an_error_of_the_source_does_not_wait_for_the_rest_of_a_chunk(monkeypatch, tmp_path):
    monkeypatch.setenv("NOTED", str(tmp_path / "noted"))

    def source():
        yield from ({"id": number} for number in range(500))
        _pids(tmp_path / "noted", 1)
        raise RuntimeError("no more")

    before = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="no more"):
        anabranch.pipeline(source(), None, steps.doze, parallel=True, workers=2, parallel_mode="thread", chunk_size=500)

    assert not [thread for thread in set(threading.enumerate()) - before if "ThreadPool" in thread.name]
    assert len((tmp_path / "noted").read_text().split()) < 500


def _lives(pid):
    try:
        return psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE  # which its parent has not waited for
    except psutil.NoSuchProcess:
        return False


def _pids(noted, count):
    """Wait until so many processes have called the function, and name them."""
    _wait(lambda: noted.exists() and len(set(noted.read_text().split())) >= count)
    return set(noted.read_text().split())


def _wait(condition):
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it does not come")


def test_processes_that_are_kept_have_the_folder_and_environment_of_the_run(tmp_path, monkeypatch):
    lines = write_lines(tmp_path / "r.jsonl", 400)
    seen = []
    for place in ("one", "two", "two"):
        (tmp_path / place).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / place)
        monkeypatch.setenv("NOTED", place)
        anabranch.pipeline(
            tmp_path / "r.jsonl", tmp_path / "o.jsonl", steps.surroundings,
            parallel=True, workers=2, parallel_mode="process", chunk_size=100,
        )  # fmt: skip
        seen.append(read_lines(tmp_path / "o.jsonl"))

    assert [{(row["folder"], row["noted"]) for row in rows} for rows in seen] == [
        {("one", "one")}, {("two", "two")}, {("two", "two")},
    ]  # fmt: skip
    assert [len(rows) for rows in seen] == [len(lines)] * 3
    assert len({row["pid"] for rows in seen[1:] for row in rows}) <= 2
