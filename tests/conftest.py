"""Real servers for the tests that ask for them, one of each per session; importing this starts nothing."""

import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

from tests.attached import attached, watching
from tests.examples import SOAK_EXAMPLES

# The suite says the same of the same code each time; the soak draws new examples, and more. No test asserts a time, and
# on a busy machine a deadline would; folders of fixtures are shared by the examples of a test.
HABITS: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}
settings.register_profile("suite", derandomize=True, **HABITS)
settings.register_profile("soak", max_examples=SOAK_EXAMPLES, **HABITS)
settings.load_profile("suite")

START_SECONDS = 180
ATTEMPTS = 3  # a port that was free may be taken before the server binds it


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the test in a browser take the pictures of the guides."""
    parser.addoption("--pictures", metavar="FOLDER", help="folder for pictures that the test in a browser takes")


def pytest_configure(config: pytest.Config) -> None:
    """Keep every test, and what it starts, away from the user's own settings, folders, servers and clusters."""
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "ANABRANCH_"))]:
        if name != "ANABRANCH_CASES":
            del os.environ[name]
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each of some hundred programs would compile all modules again
    # a suite in the background of a script ignores Ctrl-C, and so would each program that a test interrupts
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup ignores
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what the tests have started ends with them
    home = tempfile.TemporaryDirectory(prefix="anabranch-tests-", ignore_cleanup_errors=True)
    config.add_cleanup(home.cleanup)
    os.environ.update(
        PREFECT_HOME=f"{home.name}/prefect",
        ANABRANCH_STATE_DIR=f"{home.name}/state",
        ANABRANCH_WORK_DIR=f"{home.name}/work",
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        DO_NOT_TRACK="1",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the properties, which the soak tries on new examples; put files whose tests start servers first.

    These files take longest. Were one of them the last, a core would stand idle until it ends.
    """
    for item in items:
        if is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker("properties")
    long = {item.path for item in items if any(map(item.get_closest_marker, ("server", "cluster")))}
    items.sort(key=lambda item: item.path not in long)


def pytest_collection_finish() -> None:
    """Take what was imported and collected out of sight of the collector, which some tests call to see what is left."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what needs a program that this machine has not: `make test` needs only Python, git and make."""
    for marker, program in (("faults", "strace"), ("tls", "openssl")):
        if item.get_closest_marker(marker) and not shutil.which(program):
            pytest.skip(f"{program} is not installed; .ci/run installs it")


@pytest.fixture(scope="session", autouse=True)
def _watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Leave no server of ours behind, however the run of the tests ends."""
    with watching(tmp_path_factory.getbasetemp(), Path(os.environ["ANABRANCH_STATE_DIR"])):
        yield


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API url of a real Prefect server with a home of its own; this process and its children use it."""
    home = tmp_path_factory.mktemp("prefect")
    server, url = _start_server(home)
    try:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("PREFECT_HOME", str(home))
            environment.setenv("PREFECT_API_URL", url)
            _refresh_settings()
            yield url
            _send_what_is_queued()
    finally:
        _stop(server)
    _refresh_settings()


@pytest.fixture(scope="session")
def standing_cluster(prefect_server: str) -> Iterator[Any]:
    """A two-process Dask cluster, set up like the clusters that we start."""
    import dask
    import distributed

    from anabranch.run.runner import CLUSTER_SETTINGS

    with (
        dask.config.set(CLUSTER_SETTINGS),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as running,
    ):
        yield running


@pytest.fixture
def cluster(standing_cluster: Any) -> str:
    """The address of the standing cluster, once both workers are there: tests kill them, which some nannies survive."""
    import distributed

    with distributed.Client(standing_cluster.scheduler_address, set_as_default=False) as client:
        try:
            client.wait_for_workers(2, timeout=15)
        except TimeoutError:
            for count in (0, 2):
                standing_cluster.scale(count)
            client.wait_for_workers(2, timeout=60)
    return str(standing_cluster.scheduler_address)


def _start_server(home: Path) -> tuple[subprocess.Popen[bytes], str]:
    log = home / "server.log"
    for _ in range(ATTEMPTS):
        port = _free_port()
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        environment = {**os.environ, "PREFECT_HOME": str(home), "PREFECT_SERVER_DATABASE_TIMEOUT": "60"}
        with log.open("wb") as output:
            server = subprocess.Popen(
                attached(command),  # so that a run that is killed leaves no server behind
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )
        url = f"http://127.0.0.1:{port}/api"
        if _becomes_healthy(server, url):
            return server, url
        _stop(server)
    pytest.fail(f"the Prefect server did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _becomes_healthy(server: subprocess.Popen[bytes], url: str) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
            return json.load(answer) is True
        time.sleep(0.2)
    return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)  # its own session: no other process is in that group
    server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _send_what_is_queued() -> None:
    """Let Prefect send its logs and events while the server lives; later, at exit, it would try for a minute."""
    if "prefect" in sys.modules:
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogWorker

        for worker in (APILogWorker, EventsWorker):
            worker.drain_all(timeout=10)


def _refresh_settings() -> None:
    """Let Prefect read the environment again where a test module has imported it already."""
    if "prefect" in sys.modules:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()
