"""Which runs are under way: those whose process lives, here, or gave a sign of life lately, on another machine."""

import json
import os
import time
from contextlib import suppress

import pytest

from anabranch.core.errors import Stopped, UsageError
from anabranch.core.tally import Tally
from anabranch.run.background import Program
from anabranch.run.following import follow, followed, following
from anabranch.run.status import FOLDER, KILLED, LOST_SECONDS, MOST_FILES, RUNNING, active, counted, one_run, runs


@pytest.fixture
def leave(tmp_path):
    """Write the status of a run with one file under way."""

    def write(run, *, name="brave-otter", state=RUNNING, age=0.0, done=0, **process):
        tally = Tally()
        for number in range(done):
            tally.expect(str(number), f"/in/{number}", 0)
            tally.end(str(number), "sent")
        tally.expect("a", "/in/a", 100)
        tally.begin("a", 1)
        found = {"run": run, "name": name, "started": f"2026-01-0{len(run)}", "state": state, **counted(tally)}
        here = Program.this("")
        found["process"] = {"pid": here.pid, "started": here.started, "host": os.uname().nodename, **process}
        path = tmp_path / FOLDER / f"{run}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(found))
        os.utime(path, (time.time() - age,) * 2)

    return write


@pytest.mark.parametrize(("process", "age", "state"), [
    ({}, 0, RUNNING),
    ({}, 10 * LOST_SECONDS, RUNNING),  # a stopped clock or disk is no death
    ({"started": 1}, 0, KILLED),  # the number belongs to another process now
    ({"host": "elsewhere", "pid": 0}, 0, RUNNING),
    ({"host": "elsewhere"}, 2 * LOST_SECONDS, KILLED),
])  # fmt: skip
def test_a_run_is_under_way_while_its_process_lives(tmp_path, leave, process, age, state):
    leave("r1", age=age, **process)

    (found,) = runs(tmp_path)

    assert found["state"] == state
    assert [run["run"] for run in active([found])] == (["r1"] if state == RUNNING else [])
    assert found["files"]["active"] == (state == RUNNING)
    assert found["uploads"][0]["state"] == ("active" if state == RUNNING else "stopped")


def test_a_run_is_named_by_its_id_the_start_of_it_or_its_name(tmp_path, leave):
    leave("abc1", name="one")
    leave("abd22", name="two", state="completed")
    (tmp_path / FOLDER / "damaged.json").write_text("{")

    assert [run["run"] for run in runs(tmp_path)] == ["abd22", "abc1"]
    assert [one_run(tmp_path, wanted)["name"] for wanted in ("abc", "one", "abd22", "two")] == [
        "one",
        "one",
        "two",
        "two",
    ]
    with pytest.raises(UsageError, match="2 runs are meant by ab "):
        one_run(tmp_path, "ab")
    with pytest.raises(UsageError, match="no run x has left its status"):
        one_run(tmp_path, "x")
    assert runs(tmp_path / "nothing") == []


def test_of_the_runs_under_way_only_the_files_under_way_are_shown(tmp_path, leave):
    leave("r1", done=3)

    (run,) = active(runs(tmp_path))

    assert [upload["file"] for upload in run["uploads"]] == ["/in/a"]
    assert (run["not_listed"], len(runs(tmp_path)[0]["uploads"])) == (0, 4)


def test_of_many_files_those_under_way_are_listed_first():
    tally = Tally()
    for number in range(MOST_FILES + 10):
        tally.expect(str(number), str(number), 1)
    tally.begin("205", 1)
    tally.begin("9", 1)
    tally.end("9", "failed")

    found = counted(tally)

    assert [upload["file"] for upload in found["uploads"]][:2] == ["205", "9"]
    assert found["files"] == {"total": 210, "active": 1, "waiting": 208, "failed": 1, "done": 0}
    assert (len(found["uploads"]), found["not_listed"]) == (MOST_FILES, 10)


def left(folder):
    (path,) = (folder / FOLDER).glob("*.json")
    return json.loads(path.read_text())


@pytest.mark.parametrize(("error", "state"), [
    (None, "partly_failed"),
    (Stopped(), "cancelled"),
    (KeyboardInterrupt(), "cancelled"),
    (OSError("no disk"), "failed"),
])  # fmt: skip
def test_a_run_leaves_how_it_ended(tmp_path, error, state):
    tally = Tally()
    tally.expect("a", "/in/a", 100)
    with suppress(Stopped, KeyboardInterrupt, OSError), following() as ended:
        follow(tally, tmp_path, lambda: {"user": "ann"})
        tally.begin("a", 1)
        assert (left(tmp_path)["state"], followed()) == (RUNNING, tally)
        if error:
            raise error
        tally.end("a", "failed")
        ended("partly_failed")

    found = left(tmp_path)
    assert (found["state"], found["user"], found["files"]["active"], followed()) == (state, "ann", 0, None)
    assert found["uploads"][0]["state"] == ("stopped" if error else "failed")


def test_a_run_whose_status_cannot_be_written_goes_on(tmp_path):
    (tmp_path / FOLDER).write_text("in the way")

    with following() as ended:
        follow(Tally(), tmp_path)
        ended("completed")

    assert (tmp_path / FOLDER).read_text() == "in the way"


def test_the_status_follows_the_run_while_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("anabranch.run.following.WRITE_EVERY", 0.01)
    tally = Tally()
    tally.expect("a", "/in/a", 100)
    with following():
        follow(tally, tmp_path, memory=lambda: 41.5)
        tally.begin("a", 2)
        tally.add("a", 1, 50, 50)
        while left(tmp_path)["total"]["parts_done"] == 0 or not tally.memory():
            time.sleep(0.01)

        assert left(tmp_path)["uploads"][0]["percent"] == 50
        assert {percent for _, percent in tally.memory()} == {41.5}
