"""A run holds nothing when it is over: files, sockets, threads and child processes are as many as before it."""

import threading

import pytest

from anabranch.core.config import RunOptions
from anabranch.core.errors import Stopped
from anabranch.logs.options import LogOptions
from anabranch.logs.unpack import survey
from anabranch.sources.unpack import unpack
from tests.held import held, more_than, settled
from tests.logs.pipeline import parse_logs
from tests.logs.small import parse, small_scale, write_archive

TABLES = {
    "partly failed": {"a": ["ok"], "b": ["source"], "c": ["defect"]},
    "stopped": {"a": ["ok"], "b": ["slow"], "c": ["ok"]},
}


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "unit.tar.bz2"
    write_archive(path)
    return path


def test_what_is_held_would_be_seen(tmp_path):
    before = held()

    with (tmp_path / "file").open("wb") as file:
        assert more_than(before, settle=0) == {file.name: 1}


def test_the_engine_leaves_nothing_open(archive, tmp_path):
    parse(str(archive), f"{tmp_path}/first/", str(tmp_path / "work"))
    before = held()
    parse(str(archive), f"{tmp_path}/second/", str(tmp_path / "work"))

    assert not more_than(before)


def test_an_engine_that_fails_or_is_stopped_leaves_nothing_open(archive, tmp_path):
    before = held()
    with small_scale():
        for part in survey([str(archive)], tmp_path / "work", 2).parts:
            with pytest.raises(Stopped):
                unpack(part, lambda: True)
        (tmp_path / "unit.tar.bz2").write_bytes(archive.read_bytes()[:-1000])
        report = parse_logs([str(archive)], tmp_path / "report", LogOptions(), tmp_path / "work")

    assert [error.code for error in report.errors] == ["archive-damaged"]
    assert not more_than(before)


@pytest.mark.server
def test_a_run_through_prefect_and_dask_leaves_nothing_open(prefect_server, archive, tmp_path):
    from flows.logs import parse_logs as flow

    def run(name):
        flow([str(archive)], f"{tmp_path}/{name}.txt", LogOptions(), RunOptions(work_dir=str(tmp_path / name)))

    run("first")  # what Prefect keeps for the life of the process
    before = settled()
    run("second")

    assert not more_than(before)


@pytest.mark.soak  # three runs of each, and what Prefect keeps settles slowly
@pytest.mark.server
@pytest.mark.parametrize(("end", "state"), [("partly failed", "PartlyFailed"), ("stopped", "Cancelled")])
def test_what_a_run_holds_does_not_grow_with_every_run_however_it_ends(prefect_server, tmp_path, end, state):
    _run_toy(tmp_path / "first", end)  # what Prefect keeps for the life of the process
    before = settled()
    for name in ("second", "third"):
        assert _run_toy(tmp_path / name, end) == state

    assert not more_than(before, slack=1)  # Prefect opens one more connection now and then


@pytest.mark.server
def test_a_run_stopped_in_processes_leaves_none_of_them(prefect_server, tmp_path):
    before = held()
    assert _run_toy(tmp_path / "toy", "stopped", python_seconds=100) == "Cancelled"

    # of two workers; multiprocessing keeps one process of its own, the resource tracker
    assert not more_than(before, kind="child", slack=1)


def _run_toy(folder, end, python_seconds=0):
    from tests.run.toy import cancel_when, toy, toy_plan

    plan = toy_plan(folder, TABLES[end], python_seconds=python_seconds)
    stopper = threading.Thread(target=cancel_when, args=(folder / "b.attempts",), daemon=True)
    if end == "stopped":
        stopper.start()
    state = toy(plan, run=RunOptions(work_dir=str(folder), workers=2), return_state=True)
    if end == "stopped":
        stopper.join()
    return state.name
