"""A standing cluster is looked at before the first part goes there; clusters of ours need no look."""

import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from anabranch.core.config import RunOptions
from anabranch.core.errors import SetupError, TemporaryError, UsageError
from anabranch.core.parts import WorkFile
from anabranch.core.storage import work_file
from anabranch.run.background import patiently

pytestmark = [pytest.mark.server, pytest.mark.cluster]


@pytest.fixture
def client(cluster):
    from anabranch.run.cluster import connected

    with connected(cluster) as connection:
        yield connection


@pytest.fixture
def seen_here_only(tmp_path):
    """Yield a path of `tmp_path` that means something else, or nothing, in any other process."""
    folder, unusual = os.open(tmp_path, os.O_RDONLY), 900
    os.dup2(folder, unusual)
    yield Path(f"/proc/self/fd/{unusual}")
    os.close(unusual)
    os.close(folder)


@pytest.fixture
def parts_begun(tmp_path):
    """Run two parts that read a source; return which of them were begun."""
    from tests.run.toy import toy, toy_plan

    def run(source, cluster=None):
        plan = replace(toy_plan(tmp_path / "toy", {"a": ["ok"], "b": ["ok"]}), reads=(WorkFile(str(source), 0, 0),))
        try:
            run.warnings = toy(plan, run=RunOptions(work_dir=str(tmp_path), cluster=cluster)).warnings
        finally:
            begun = sorted(path.stem for path in (tmp_path / "toy").glob("*.attempts"))
        return begun

    return run


def test_a_source_that_a_worker_does_not_see_stops_the_run_before_its_first_part(
    parts_begun, cluster, seen_here_only, tmp_path
):
    (tmp_path / "source").touch()

    with pytest.raises(SetupError) as caught:
        parts_begun(seen_here_only / "source", cluster)

    assert caught.value.code == "source-not-shared"
    assert not list((tmp_path / "toy").iterdir())


def test_processes_of_this_machine_are_not_asked_for_the_source(parts_begun, seen_here_only):
    assert parts_begun(seen_here_only / "source") == ["a", "b"]


def test_the_first_and_the_last_source_of_each_folder_are_looked_for(client, tmp_path, seen_here_only):
    from anabranch.run.cluster import blind_to_sources

    workers = list(client.nthreads())
    (tmp_path / "there").mkdir()
    for name in ("there/1", "there/2", "there/3"):
        (tmp_path / name).touch()
    there = [work_file(path) for path in sorted((tmp_path / "there").iterdir())]
    (tmp_path / "there" / "link").symlink_to(seen_here_only / "there/1")
    link = replace(there[0], path=str(tmp_path / "there" / "link"))
    assert blind_to_sources(client, workers, there) == {}

    for sources in ([link, *there], [*there, link], [*there, replace(link, path=str(seen_here_only / "there/1"))]):
        blind = blind_to_sources(client, workers, sources)
        assert blind.keys() == set(workers)
        assert all(re.search(r"cannot read .*(link|/there/1)", str(error)) for error in blind.values())


@pytest.mark.parametrize("source", ["http://127.0.0.1:9/data.csv", "/gone/since/it/was/found.csv"])
def test_what_is_no_file_here_is_left_to_its_part(parts_begun, cluster, source):
    assert parts_begun(source, cluster) == ["a", "b"]


def test_other_software_on_a_worker_is_named(client, monkeypatch):
    from anabranch.run import cluster, joining

    workers = list(client.nthreads())
    assert cluster.unfit_software(client, workers) == {}
    monkeypatch.setattr(joining, "version", lambda _: "another")

    unfit = cluster.unfit_software(client, workers)

    assert unfit.keys() == set(workers)
    assert {error.code for error in unfit.values()} == {"cluster-version"}
    assert "another" in str(unfit[workers[0]])


def test_a_worker_without_our_software_is_named(client, monkeypatch, tmp_path):
    """What a worker cannot load comes back as its error, as from one where Anabranch is not installed."""
    import sys

    from anabranch.run import cluster

    (tmp_path / "installed_here_only.py").write_text("def versions():\n    return {}\n")
    monkeypatch.syspath_prepend(tmp_path)
    import installed_here_only

    monkeypatch.setattr(cluster, "versions_here", installed_here_only.versions)
    try:
        unfit = cluster.unfit_software(client, list(client.nthreads()))
    finally:
        del sys.modules["installed_here_only"]
    assert {error.code for error in unfit.values()} == {"cluster-version"}
    assert all("No module named" in str(error) for error in unfit.values())


@pytest.fixture
def frozen(client, monkeypatch):
    """Stop the processes of so many workers, as a machine does that has no memory left; give their addresses."""
    from anabranch.run import cluster

    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 5.0)
    monkeypatch.setattr(cluster, "LOAD_SECONDS", 30.0)
    processes = client.run(os.getpid)
    stopped = []

    def freeze(count):
        for address in list(processes)[:count]:
            os.kill(processes[address], signal.SIGSTOP)
            stopped.append(address)
        return stopped

    yield freeze
    for address in stopped:
        os.kill(processes[address], signal.SIGCONT)


@pytest.mark.soak
def test_a_worker_that_stands_still_gets_no_parts_and_the_report_warns_of_it(parts_begun, cluster, frozen):
    (address,) = frozen(1)

    assert parts_begun("http://127.0.0.1:9/data.csv", cluster) == ["a", "b"]
    (warning,) = parts_begun.warnings
    assert address in warning
    assert "[worker-silent]" in warning


def test_a_cluster_whose_workers_all_stand_still_is_refused(parts_begun, cluster, frozen, tmp_path, monkeypatch):
    frozen(2)
    monkeypatch.setattr("anabranch.run.cluster.LOAD_SECONDS", 8.0)

    with pytest.raises(SetupError) as caught:
        parts_begun("http://127.0.0.1:9/data.csv", cluster)

    assert caught.value.code == "worker-silent"
    assert not list((tmp_path / "toy").iterdir())


def test_a_worker_that_does_not_see_the_sources_leaves_all_parts_to_one_that_does(
    parts_begun, cluster, client, seen_here_only, tmp_path
):
    (tmp_path / "source").touch()
    sees, blind = client.nthreads()
    open_folder = client.run(_open_as_900, str(tmp_path), workers=[sees])[sees]
    try:
        assert parts_begun(seen_here_only / "source", cluster) == ["a", "b"]
    finally:
        client.run(_close, (900, open_folder), workers=[sees])
    (warning,) = parts_begun.warnings
    assert blind in warning
    assert "[source-not-shared]" in warning


@pytest.fixture
def growing(prefect_server):
    """A cluster of one worker with one thread, to which others may be added."""
    import dask
    import distributed

    from anabranch.run.runner import CLUSTER_SETTINGS

    alone = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with dask.config.set(CLUSTER_SETTINGS), distributed.LocalCluster(**alone) as running:
        yield running


@pytest.mark.parametrize("sees", [pytest.param(True, marks=pytest.mark.soak), False])
def test_a_worker_that_joins_gets_parts_only_if_it_is_fit(growing, seen_here_only, tmp_path, sees):
    from distributed import Client

    from tests.run.toy import attempts_of, toy, toy_plan

    (tmp_path / "source").touch()
    source = str(tmp_path / "source") if sees else str(seen_here_only / "source")
    folder, others = tmp_path / "toy", ("b", "c", "d")
    plan = toy_plan(folder, {"a": ["waits"], **{name: ["ok"] for name in others}}, costs={"a": 9.0})
    plan = replace(plan, reads=(WorkFile(source, 0, 0),))
    options = RunOptions(work_dir=str(tmp_path), cluster=growing.scheduler_address)
    with Client(growing, set_as_default=False) as client, ThreadPoolExecutor(1) as pool:
        client.run(_open_as_900, str(tmp_path))
        running = pool.submit(copy_context().run, toy, plan, run=options)
        assert any(attempts_of(folder, "a") for _ in patiently(60))  # the only worker is busy from now on
        growing.scale(2)
        if sees:
            assert any(all((folder / f"{name}.done").exists() for name in others) for _ in patiently(60))
        else:
            client.wait_for_workers(2)
            time.sleep(3)  # in which the second one gives back what it got
        done_meanwhile = [name for name in others if (folder / f"{name}.done").exists()]
        (folder / "heard").touch()
        report = running.result(60)

    assert done_meanwhile == (list(others) if sees else [])
    assert (report.parts.done, report.parts.failed) == (4, 0)
    assert [attempts_of(folder, name) for name in ("a", *others)] == [1, 1, 1, 1]
    assert [warning.count("worker-unfit") for warning in report.warnings] == ([] if sees else [1])


def test_a_run_whose_fit_workers_have_gone_ends_and_can_be_resumed(client, monkeypatch):
    from anabranch.run import joining

    monkeypatch.setattr(joining, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(joining, "GONE_SECONDS", 1.0)
    present, gone = SimpleNamespace(client=client), SimpleNamespace(client=client)
    members = joining.Members(present, list(client.nthreads())[:1])
    lost = joining.Members(gone, ["tcp://127.0.0.1:1"])

    def look():
        for _ in patiently(30):
            members.require_some()
            lost.require_some()

    with pytest.raises(TemporaryError) as caught:
        look()
    assert (caught.value.code, caught.value.exit_code) == ("cluster-lost", 5)


def _open_as_900(folder):
    opened = os.open(folder, os.O_RDONLY)
    os.dup2(opened, 900)
    return opened


def _close(descriptors):
    for descriptor in descriptors:
        os.close(descriptor)


def test_a_tls_address_without_certificates_is_wrong_usage_and_says_what_to_set():
    from anabranch.run.cluster import require_scheduler

    with pytest.raises(UsageError, match="DASK_DISTRIBUTED__COMM__TLS__CA_FILE") as caught:
        require_scheduler("tls://127.0.0.1:1")

    assert caught.value.code == "cluster-certificates"
