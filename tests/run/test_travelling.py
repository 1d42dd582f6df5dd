"""Workers elsewhere get what they need to reach the API and nothing local, and prove that they reach it."""

import os
import shutil
import signal
import subprocess
import sys
import typing
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from anabranch.core.config import RunOptions
from anabranch.core.errors import SetupError, UsageError
from anabranch.run.background import patiently
from anabranch.run.secret import read_secret
from anabranch.run.server import ensure_server, find_server, stop_server

ROOT = Path(__file__).parents[2]
LOGS = ROOT / "tests" / "data" / "logs"
HERE, THERE = "10.213.7.1", "10.213.7.2"  # the ends of the cable between this machine and the one that it is cut off by


@contextmanager
def started(home, *words, before=()):
    """Run `dask WORDS` as on another machine: with a HOME of its own, and none of our variables."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [*before, sys.executable, "-m", "dask", *words]
    with (home / f"{uuid4().hex}.log").open("wb") as log:
        program = subprocess.Popen(
            command, cwd=home, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.wait()


@pytest.fixture
def home(tmp_path):
    """Return a HOME of the other machines, which nothing of this one is in."""
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


@contextmanager
def cluster_of(home, address, *befores):
    """Yield the address of a cluster with a worker for each of `befores`, the words before its command."""
    import distributed

    file = home / "scheduler.json"
    words = ("scheduler", "--host", address, "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    options = ("--nthreads", "1", "--no-dashboard", "--no-nanny")
    with ExitStack() as programs:
        programs.enter_context(started(home, *words))
        assert any(file.exists() for _ in patiently(60))
        client = programs.enter_context(distributed.Client(scheduler_file=str(file), set_as_default=False))
        scheduler = client.scheduler.address
        for before in befores:
            programs.enter_context(started(home, "worker", scheduler, *options, before=before))
        client.wait_for_workers(len(befores), timeout=120)
        yield scheduler


@pytest.fixture(scope="module")
def cut_off():
    """Make a network namespace that reaches this machine at HERE only; give the words that run a program in it."""
    if os.getuid() or not shutil.which("ip"):
        pytest.skip("network namespaces need root and the program ip")
    name = f"anabranch-{uuid4().hex[:4]}"
    inside, outside = f"{name[-4:]}-in", f"{name[-4:]}-out"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        pytest.skip("this system lets root make no network namespace")
    try:
        for words in (
            f"link add {outside} type veth peer name {inside} netns {name}",
            f"addr add {HERE}/30 dev {outside}",
            f"link set {outside} up",
            f"-n {name} addr add {THERE}/30 dev {inside}",
            f"-n {name} link set {inside} up",
            f"-n {name} link set lo up",
        ):
            subprocess.run(["ip", *words.split()], check=True)
        yield ("ip", "netns", "exec", name)
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False)


@pytest.fixture
def run_toy(prefect_server, tmp_path):
    """Run two parts on a cluster; return the report."""
    from tests.run.toy import toy, toy_plan

    def run(cluster):
        plan = toy_plan(tmp_path / "toy", {"a": ["ok"], "b": ["ok"]})
        return toy(plan, run=RunOptions(work_dir=str(tmp_path), cluster=cluster))

    return run


def local_values(tmp_path):
    """Name settings that mean something on this machine only, or are no business of a worker."""
    from prefect import settings

    return {
        settings.PREFECT_API_SSL_CERT_FILE: f"{tmp_path}/here.pem",
        settings.PREFECT_LOCAL_STORAGE_PATH: f"{tmp_path}/here-results",
        settings.PREFECT_LOGGING_SETTINGS_PATH: f"{tmp_path}/here-logging.yml",
        settings.PREFECT_PROFILES_PATH: f"{tmp_path}/here-profiles",
        settings.PREFECT_SERVER_API_AUTH_STRING: "here:secret",
        settings.PREFECT_API_DATABASE_CONNECTION_URL: f"sqlite+aiosqlite:///{tmp_path}/here.db",
    }


@pytest.mark.server
def test_nothing_local_travels_to_workers_and_the_login_does(prefect_server, tmp_path):
    import certifi
    import cloudpickle
    from prefect import flow
    from prefect.settings import PREFECT_API_AUTH_STRING, temporary_settings

    from anabranch.run.runner import _shared_context

    @flow(name="travelling")
    def travelling():
        return cloudpickle.dumps(_shared_context())

    shutil.copy(certifi.where(), tmp_path / "here.pem")
    with temporary_settings(local_values(tmp_path) | {PREFECT_API_AUTH_STRING: "there:login"}):
        sent = travelling()

    assert b"here" not in sent.replace(b"there", b"")
    assert str(tmp_path).encode() not in sent
    assert os.environ["PREFECT_HOME"].encode() not in sent
    assert b"there:login" in sent
    assert prefect_server.encode() in sent


def test_every_setting_that_is_a_path_is_known():
    from prefect.settings import Settings

    from anabranch.run.travelling import GROUPS, PATHS

    def paths(model, *names):
        for name, field in model.model_fields.items():
            kinds = (field.annotation, *typing.get_args(field.annotation))
            if models := [kind for kind in kinds if hasattr(kind, "model_fields")]:
                yield from paths(models[0], *names, name)
            elif Path in kinds or any(word in name for word in ("file", "path", "director")):
                yield (*names, name)

    assert {path for path in paths(Settings) if path[0] in GROUPS} == set(PATHS)


@pytest.mark.cluster
def test_a_cluster_with_another_home_and_none_of_our_variables_does_the_parts(run_toy, home):
    with cluster_of(home, "127.0.0.1", ()) as scheduler:
        report = run_toy(scheduler)

    assert (report.status, report.parts.done, report.warnings) == ("completed", 2, [])


@pytest.mark.cluster
def test_a_cluster_that_does_not_reach_the_api_is_refused_before_the_first_part(run_toy, home, cut_off, tmp_path):
    with cluster_of(home, HERE, cut_off) as scheduler, pytest.raises(SetupError) as caught:
        run_toy(scheduler)

    assert caught.value.code == "api-unreachable"
    assert "anabranch up --host ADDRESS" in caught.value.remedy
    assert THERE in caught.value.reason
    assert not list((tmp_path / "toy").iterdir())


@pytest.mark.cluster
@pytest.mark.soak
def test_a_worker_that_does_not_reach_the_api_leaves_all_parts_to_one_that_does(run_toy, home, cut_off):
    with cluster_of(home, HERE, cut_off, ()) as scheduler:
        report = run_toy(scheduler)

    (warning,) = report.warnings
    assert f"a worker of the cluster gets no parts: the worker tcp://{THERE}:" in warning
    assert "[api-unreachable]" in warning
    assert report.parts.done == 2


@pytest.mark.soak
@pytest.mark.server
@pytest.mark.cluster
def test_our_server_listens_where_it_is_told_and_workers_elsewhere_reach_it(home, cut_off, tmp_path, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    state = tmp_path / "state"
    environment = {**os.environ, "ANABRANCH_STATE_DIR": str(state), "ANABRANCH_WORK_DIR": str(tmp_path / "work")}
    words = ["parse-logs", str(LOGS / "s01_basic.tar.bz2"), "--output", str(tmp_path / "out.txt"), "--cluster"]
    try:
        url = ensure_server(state, host=HERE)
        with cluster_of(home, HERE, cut_off) as scheduler:
            command = [sys.executable, "-m", "anabranch.command.cli", *words, scheduler]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            logs = "".join(path.read_text() for path in home.glob("*.log"))

        assert done.returncode == 0, done.stderr
        assert (tmp_path / "out.txt").read_bytes() == (LOGS / "expected/s01_basic.tar.bz2.known.UTC.txt").read_bytes()
        assert url.startswith(f"http://{HERE}:")
        assert find_server(state).url == url == ensure_server(state)
        assert read_secret(state).partition(":")[2] not in logs + done.stdout + done.stderr
    finally:
        stop_server(state)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "no such host", ""])
def test_a_host_at_which_nothing_can_listen_or_that_is_none_is_wrong_usage(tmp_path, monkeypatch, host):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)

    with pytest.raises(UsageError, match="--host") as caught:
        ensure_server(tmp_path / "state", host=host)

    assert caught.value.code == "bad-option"
    assert not (tmp_path / "state").exists()


def test_a_host_for_a_server_that_the_user_named_is_wrong_usage(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://192.0.2.7:4200/api")

    with pytest.raises(UsageError, match="PREFECT_API_URL"):
        ensure_server(tmp_path, host="127.0.0.1")
