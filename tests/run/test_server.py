import json
import os
import pickle
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from anabranch.core.errors import SetupError, UsageError
from anabranch.run import api
from anabranch.run.api import call, ui_url
from anabranch.run.background import patiently
from anabranch.run.secret import authorization, make_secret, read_secret
from anabranch.run.server import _free_port, ensure_server, find_server, prefect_environment, stop_server

ENSURE = "import sys, pathlib; from anabranch.run.server import *; print(ensure_server(pathlib.Path(sys.argv[1])))"


def processes_of(home: Path) -> list[int]:
    """List the processes whose Prefect folder is in `home`."""
    mark, found = f"PREFECT_HOME={home}/prefect\0".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


class Stranger(BaseHTTPRequestHandler):
    """Answers every request with `text`, the first `times` of them with `status`; `seen` holds their headers."""

    def do_GET(self):
        self.seen.append(self.headers)
        self.send_response(self.status if len(self.seen) <= self.times else 200)
        self.end_headers()
        self.wfile.write(self.text)

    def log_message(self, *_):
        pass


@contextmanager
def answering(text, port=0, *, status=200, times=0, seen=None, host="127.0.0.1", certificate=None):
    """Run such a stranger and give its address; https with a certificate."""
    handler = type(
        "Handler",
        (Stranger,),
        {"text": text, "status": status, "times": times, "seen": seen if seen is not None else []},
    )
    family = type("Server", (HTTPServer,), {"address_family": socket.AF_INET6 if ":" in host else socket.AF_INET})
    server = family((host, port), handler)
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        address = f"[{host}]" if ":" in host else host
        yield f"http{'s' if certificate else ''}://{address}:{server.server_port}/api"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def _no_other_server(monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


@pytest.fixture(scope="module")
def race(tmp_path_factory):
    """A state folder, and what two commands got that started at the same time while it was empty."""
    home = tmp_path_factory.mktemp("race") / "state"
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = f"sqlite+aiosqlite:///{home.parent}/other.db"
    commands = [
        subprocess.Popen([sys.executable, "-c", ENSURE, str(home)], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    urls = [command.communicate(timeout=170)[0].strip() for command in commands]
    yield home, urls
    stop_server(home)


@pytest.fixture
def home(race):
    """A state folder whose server runs."""
    ensure_server(race[0])
    return race[0]


@pytest.mark.server
def test_two_commands_that_race_start_one_server_and_both_get_it(race):
    home, (first, second) = race

    assert first == second == find_server(home).url
    assert processes_of(home) == [find_server(home).pid]


@pytest.mark.server
def test_a_server_that_runs_is_used_again(home):
    before = find_server(home)

    assert ensure_server(home) == before.url
    assert find_server(home) == before
    assert before.healthy


MANY = """
from prefect import flow, task
from prefect.runtime import flow_run

@task
def same(number):
    return number

@flow
def many():
    print(flow_run.id, flush=True)
    same.map(range(150)).result()

many()
"""


@pytest.mark.server
def test_every_task_run_is_recorded_though_they_are_written_by_the_hundred(home):
    url = ensure_server(home)
    environment = {**os.environ, **prefect_environment(url, home)}
    command = [sys.executable, "-c", MANY]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    wish = {
        "flow_runs": {"id": {"any_": [done.stdout.strip()]}},
        "task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
    }

    assert any(call(f"{url}/task_runs/count", wish) == 150 for _ in patiently(60))


@pytest.mark.server
def test_the_server_outlives_its_starter_and_its_terminal(home):
    pid = find_server(home).pid

    assert os.getsid(pid) == pid


@pytest.mark.server
def test_the_servers_folder_is_the_users_alone(home):
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "prefect").stat().st_mode & 0o777 == 0o700


@pytest.mark.server
def test_the_server_sends_no_telemetry_and_ignores_settings_for_another(home):
    settings = call(f"{find_server(home).url}/admin/settings")

    assert settings["server"]["analytics_enabled"] is False
    assert settings["home"] == str(home / "prefect")
    assert not (home.parent / "other.db").exists()


@pytest.mark.server
def test_the_pages_ask_the_server_that_they_come_from_and_nobody_else(home):
    settings = call(f"{find_server(home).ui_url}/ui-settings")

    assert settings["api_url"] == "/api"
    assert settings["default_ui"] == "v1"  # the other calls a stranger from the browser


@pytest.mark.server
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_only_the_servers_own_pages_may_read_its_answers(home, method):
    server = find_server(home)
    own, secret = server.ui_url, {"Authorization": authorization(read_secret(home))}

    def allowed(origin):
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST", **secret}
        request = urllib.request.Request(f"{server.url}/admin/version", headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.headers["Access-Control-Allow-Origin"]
        except urllib.error.HTTPError as refused:
            return refused.headers["Access-Control-Allow-Origin"]

    foreign = ["http://evil.example", "null", "https://127.0.0.1", own.replace("127.0.0.1", "localhost")]
    assert [allowed(origin) for origin in (own, *foreign)] == [own, *[None] * len(foreign)]


@pytest.mark.server
@pytest.mark.faults
def test_after_kill_9_the_next_call_starts_a_new_server_at_the_same_port(home):
    before = find_server(home)
    os.kill(before.pid, signal.SIGKILL)

    url = ensure_server(home)

    assert url == before.url
    assert find_server(home).pid != before.pid


@pytest.mark.server
@pytest.mark.faults
def test_a_stranger_on_the_remembered_port_is_left_alone_and_another_port_taken(home):
    port = int((home / "server.port").read_text())
    os.kill(find_server(home).pid, signal.SIGKILL)
    assert any(_free_port(port) for _ in patiently(30))  # the system takes a moment to close what it held

    with answering(b"true", port) as stranger:  # it even looks healthy
        assert find_server(home) is None
        url = ensure_server(home)

        assert url != stranger
    assert url == f"http://127.0.0.1:{(home / 'server.port').read_text()}/api"


@pytest.mark.server
def test_stop_leaves_no_process_and_no_note(home):
    assert stop_server(home) is True

    assert processes_of(home) == []
    assert find_server(home) is None
    assert stop_server(home) is False


@pytest.mark.server
@pytest.mark.soak
def test_runs_that_ended_before_the_days_of_the_history_are_removed(tmp_path, monkeypatch):
    url = ensure_server(tmp_path)
    flow = call(f"{url}/flows/", {"name": "toy"})["id"]
    old, young = (call(f"{url}/flow_runs/", {"flow_id": flow, "state": {"type": "COMPLETED"}})["id"] for _ in "ab")
    stop_server(tmp_path)
    with closing(sqlite3.connect(tmp_path / "prefect/prefect.db")) as database, database:
        for run, days in ((old, 3), (young, 1)):
            ended = datetime.now(UTC) - timedelta(days=days)
            set_end = "UPDATE flow_run SET end_time = ? WHERE id = ?"
            assert database.execute(set_end, (f"{ended:%Y-%m-%d %H:%M:%S.%f}", run)).rowcount == 1
    monkeypatch.setenv("ANABRANCH_HISTORY_DAYS", "2")

    url = ensure_server(tmp_path)

    try:
        while old in (known := {run["id"] for run in call(f"{url}/flow_runs/filter", {})}):
            time.sleep(0.2)  # the server looks for them once it has started, and then every hour
        assert known == {young}
    finally:
        stop_server(tmp_path)


@pytest.mark.parametrize("days", ["0", "-1", "a week", "1.5"])
def test_days_of_the_history_that_are_no_number_are_refused(tmp_path, monkeypatch, days):
    monkeypatch.setenv("ANABRANCH_HISTORY_DAYS", days)

    with pytest.raises(UsageError, match="ANABRANCH_HISTORY_DAYS: it is"):
        ensure_server(tmp_path)
    assert processes_of(tmp_path) == []


def test_a_named_server_is_used_and_never_stopped(prefect_server, tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", f"{prefect_server}/")

    assert ensure_server(tmp_path) == prefect_server
    assert find_server(tmp_path).pid is None
    assert stop_server(tmp_path) is False
    assert find_server(tmp_path).healthy


@pytest.mark.server
@pytest.mark.faults
def test_a_server_that_cannot_start_says_why_and_where_its_log_is(tmp_path):
    (tmp_path / "prefect" / "prefect.db").mkdir(parents=True)

    with pytest.raises(SetupError) as caught:
        ensure_server(tmp_path)

    assert caught.value.code == "server-not-started"
    assert str(tmp_path / "server.log") in caught.value.remedy
    assert caught.value.reason.rpartition(": ")[2] in (tmp_path / "server.log").read_text()
    assert processes_of(tmp_path) == []


def test_a_named_server_that_does_not_answer_is_unreachable(tmp_path, monkeypatch):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # bound, and never listening
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/api")

        with pytest.raises(SetupError) as caught:
            ensure_server(tmp_path)

    assert caught.value.code == "server-unreachable"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "localhost:4200", "http://"])
def test_an_address_that_is_none_is_unreachable(url, tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", url)

    with pytest.raises(SetupError, match="server-unreachable"):
        ensure_server(tmp_path)


def test_a_page_of_something_else_is_no_server(tmp_path, monkeypatch):
    with answering(b"<html>welcome</html>") as url:
        monkeypatch.setenv("PREFECT_API_URL", url)

        with pytest.raises(SetupError, match="server-unreachable"):
            ensure_server(tmp_path)


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(SetupError, match="ANABRANCH_STATE_DIR") as caught:
        ensure_server(tmp_path / "file" / "state")

    assert caught.value.code == "state-folder"


def test_our_processes_use_our_folder_with_our_server_and_the_users_with_theirs(tmp_path, monkeypatch):
    secret = make_secret(tmp_path)
    ours = prefect_environment("http://127.0.0.1:1/api", tmp_path)
    monkeypatch.setenv("PREFECT_API_URL", "http://theirs/api")
    theirs = prefect_environment("http://theirs/api", tmp_path)

    assert ours["PREFECT_HOME"] == str(tmp_path / "prefect")
    assert "PREFECT_HOME" not in theirs
    assert ours["PREFECT_API_AUTH_STRING"] == secret
    assert "PREFECT_API_AUTH_STRING" not in theirs
    assert ours["PREFECT_API_URL"] != theirs["PREFECT_API_URL"]
    assert ours["DO_NOT_TRACK"] == theirs["DO_NOT_TRACK"] == "1"
    assert len(ssl.create_default_context(cafile=ours["PREFECT_API_SSL_CERT_FILE"]).get_ca_certs()) == 1
    assert "PREFECT_API_SSL_CERT_FILE" not in theirs


def test_a_busy_server_is_asked_again_and_a_refusal_is_told_with_its_reason(monkeypatch):
    monkeypatch.setattr(api, "PAUSES", (0, 0))
    with answering(b"1", status=503, times=2) as url:
        assert call(url) == 1
    with answering(b"1", status=503, times=3) as url, pytest.raises(api.BusyError) as busy:
        call(url)
    with answering(b'{"detail": "no such thing"}', status=404, times=1) as url, pytest.raises(api.RefusedError) as gone:
        call(url)

    assert busy.value.status == 503
    assert gone.value.detail == "no such thing"
    assert pickle.loads(pickle.dumps(gone.value)).status == 404


def test_the_login_of_the_users_server_goes_with_every_request(monkeypatch):
    seen = []
    with answering(b"1", seen=seen) as url:
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", "me:secret")
        call(url)
        monkeypatch.setenv("PREFECT_API_KEY", "key")
        call(url)

    assert [headers["Authorization"] for headers in seen] == ["Basic bWU6c2VjcmV0", "Bearer key"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_no_proxy_stands_before_this_machine(monkeypatch, host):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    with answering(b"1", host=host) as url:
        assert call(url) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Sign a certificate for 127.0.0.1 by itself; the file holds its key, too."""
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    name = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(["openssl", "req", "-x509", *curve, "-keyout", file, "-out", file.with_suffix(".crt"), *name],
                   check=True, capture_output=True)  # fmt: skip
    with file.open("a") as both:
        both.write(file.with_suffix(".crt").read_text())
    return file


@pytest.mark.tls
@pytest.mark.parametrize(("trust", "trusted"), [
    ({}, False),
    ({"PREFECT_API_SSL_CERT_FILE": "{certificate}"}, True),
    ({"PREFECT_API_TLS_INSECURE_SKIP_VERIFY": "true"}, True),
    ({"PREFECT_API_TLS_INSECURE_SKIP_VERIFY": "false"}, False),
    ({"PREFECT_API_SSL_CERT_FILE": "missing.crt"}, False),
])  # fmt: skip
def test_a_server_of_a_private_authority_is_trusted_as_prefect_is_told_to(
    tmp_path, monkeypatch, certificate, trust, trusted
):
    for name, value in trust.items():
        monkeypatch.setenv(name, value.format(certificate=certificate))
    with answering(b"true", certificate=certificate) as url:
        monkeypatch.setenv("PREFECT_API_URL", url)

        assert find_server(tmp_path).healthy is trusted


def test_none_of_the_modules_that_a_detached_command_needs_imports_prefect():
    code = """
import json, sys
import anabranch.run.server, anabranch.run.deploying, anabranch.run.handover
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert {"prefect", "prefect_dask", "dask", "distributed", "httpx"}.isdisjoint(json.loads(output))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:4200/api",
        "https://prefect.example/api",
        "https://api.prefect.cloud/api/accounts/a/workspaces/w",
    ],
)
def test_the_address_of_the_pages_is_the_one_that_prefect_gives(url):
    from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: url}, restore_defaults={PREFECT_UI_URL}):
        assert ui_url(url) == PREFECT_UI_URL.value()
