"""Who gets into our own server: the user, by the secret or by a link of theirs; no other user, page or host name."""

import http.cookiejar
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from anabranch.run import api
from anabranch.run.api import call
from anabranch.run.background import launch, patiently, running
from anabranch.run.secret import FILE, LINK_SECONDS, Links, authorization, cookie, link, make_secret, read_secret
from anabranch.run.server import (
    OPEN,
    _free_port,
    ensure_server,
    find_server,
    for_stock_prefect,
    link_to,
    prefect_environment,
    stop_server,
)

SECRET = "anabranch:a-secret-of-this-test"
API, PAGE, SETTINGS = "/api/flows/filter", "/runs", "/ui-settings"
SOCKETS = ("/api/events/in", "/api/events/out", "/api/logs/out")


@pytest.fixture(autouse=True)
def _no_other_server(monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv("PREFECT_API_AUTH_STRING", raising=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The state folder of a server of our own."""
    home = tmp_path_factory.mktemp("door") / "state"
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("PREFECT_API_URL", raising=False)
        ensure_server(home)
    yield home
    stop_server(home)


@pytest.fixture
def pages(home):
    """The address of the server's pages."""
    return find_server(home).ui_url


@pytest.fixture
def right(home):
    """The headers with which programs and browsers get in."""
    secret = read_secret(home)
    return {
        "program": {"Authorization": authorization(secret)},
        "browser": {"Cookie": "=".join(cookie(secret))},
    }


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def status_of(url, headers, method="GET"):
    """The status of the answer; a redirect is not followed."""
    body = b'{"name": "intruder"}' if method == "POST" else None
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers}, method=method)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({}), Stay).open(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def socket_says(url, headers, token):
    """What a web socket says to a login: its status if it is refused, otherwise its answer, or its code of closing."""
    origin = headers.get("Origin")
    rest = {name: value for name, value in headers.items() if name not in ("Origin", "Host")}
    address = url.replace("http://", "ws://")
    try:
        with connect(address, subprotocols=["prefect"], origin=origin, additional_headers=rest, proxy=None) as socket:
            socket.send(json.dumps({"type": "auth", "token": token}))
            return json.loads(socket.recv(timeout=30))["type"]
    except InvalidStatus as refused:
        return refused.response.status_code
    except ConnectionClosed as closed:
        return closed.rcvd.code


# what each of them shows besides: nothing, or what gets the user in
INTRUDERS = {
    "no secret": (None, {}),
    "a wrong secret": (None, {"Authorization": authorization("anabranch:guessed")}),
    "a wrong scheme": (None, {"Authorization": "Bearer anabranch"}),
    "a wrong cookie": (None, {"Cookie": "anabranch=1; anabranch-123456789012=guessed"}),
    "a foreign page": ("browser", {"Origin": "http://evil.example"}),
    "a foreign page with the secret": ("program", {"Origin": "http://evil.example"}),
    "a page without an origin": ("browser", {"Origin": "null"}),
    "a page on another port": ("browser", {"Origin": "http://127.0.0.1:1"}),
    "an image in a foreign page": ("browser", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}),
    "a frame in a page on another port": ("browser", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "iframe"}),
    "another host name": ("program", {"Host": "evil.example"}),
    "a host name that was made to lead here": (
        "browser",
        {"Host": "evil.example:80", "Origin": "http://evil.example:80"},
    ),
    "a host that is none": ("program", {"Host": "[127.0.0.1"}),
}


@pytest.mark.server
@pytest.mark.parametrize("intruder", INTRUDERS)
def test_who_is_not_the_user_gets_nothing_and_leaves_nothing(home, pages, right, intruder):
    kind, more = INTRUDERS[intruder]
    headers = {**right.get(kind, {}), **more}

    answers = {
        (method, path): status_of(pages + path, headers, method)
        for method, path in [
            ("GET", PAGE), ("GET", "/"), ("GET", SETTINGS), ("GET", "/docs"), ("GET", "/api/health"),
            ("GET", "/api/admin/settings"), ("POST", API), ("POST", "/api/flows/"), ("OPTIONS", API),
        ]
    }  # fmt: skip

    assert set(answers.values()) <= {401, 403}, answers
    assert [flow["name"] for flow in call(f"{find_server(home).url}/flows/filter", {})] == []


@pytest.mark.server
@pytest.mark.parametrize("intruder", [name for name, (_, headers) in INTRUDERS.items() if "Host" not in headers])
@pytest.mark.parametrize("path", SOCKETS)
def test_web_sockets_refuse_who_is_not_the_user(pages, right, intruder, path):
    kind, more = INTRUDERS[intruder]
    headers = {**right.get(kind, {}), **more}

    says = socket_says(pages + path, headers, None if kind else "anabranch:guessed")

    # a program may show its secret in its first message only; Prefect closes the socket if that is wrong
    silent = intruder in ("no secret", "a wrong cookie")
    assert says == (1008 if silent else 403)


@pytest.mark.server
def test_a_link_opens_the_page_once_and_the_browser_stays_in(home, pages):
    page = f"{pages}/runs/flow-run/1?tab=Logs"
    opened = link_to(page)
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(jar))
    browser.addheaders = [("Accept", "text/html")]

    with browser.open(opened, timeout=30) as answer:
        assert answer.url == page  # without the token, which would stay in the browser's history
        assert b"<div id=" in answer.read()
        assert answer.headers["X-Frame-Options"] == "DENY"
    (crumb,) = jar
    assert crumb.has_nonstandard_attr("HttpOnly")
    assert read_secret(home).partition(":")[2] not in opened + crumb.value
    with browser.open(f"{pages}/ui-settings", timeout=30) as answer:
        assert json.load(answer)["auth"] is None
    question = urllib.request.Request(
        pages + API, b"{}", {"Origin": pages, "Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
    )
    with browser.open(question, timeout=30) as answer:
        assert json.load(answer) == []
    assert status_of(opened, {}) == 401
    with browser.open(opened, timeout=30) as answer:  # for the browser that is in, a used link is a link
        assert answer.url == page


@pytest.mark.server
def test_live_updates_reach_a_browser_with_the_cookie(pages, right):
    event = {
        "id": "00000000-0000-4000-8000-000000000001",
        "occurred": datetime.now(UTC).isoformat(),
        "event": "test.happened",
        "resource": {"prefect.resource.id": "a.test"},
    }
    address = pages.replace("http://", "ws://")
    asked = {"additional_headers": right["browser"], "subprotocols": ["prefect"], "origin": pages, "proxy": None}
    with connect(f"{address}/api/events/out", **asked) as live, connect(f"{address}/api/events/in", **asked) as sent:
        for socket in (live, sent):
            socket.send('{"type": "auth", "token": null}')
            assert json.loads(socket.recv(timeout=30)) == {"type": "auth_success"}
        live.send(json.dumps({"type": "filter", "filter": {"event": {"name": ["test.happened"]}}}))
        sent.send(json.dumps(event))

        assert json.loads(live.recv(timeout=60))["event"]["id"] == event["id"]


@pytest.mark.server
@pytest.mark.parametrize("kind", ["program", "browser"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_user_gets_in_by_each_name_of_this_machine_and_through_a_tunnel(pages, right, kind, host):
    tunnel = {"Accept": "text/html", "Host": f"{host}:9999", "Origin": f"http://{host}:9999"}

    assert status_of(pages + PAGE, right[kind] | tunnel) == 200
    assert status_of(pages + API, right[kind] | tunnel, "POST") == 200


@pytest.mark.server
def test_a_page_that_a_link_names_cannot_lead_to_another_server(pages, home):
    answers = []

    class Look(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, _request, _file, _code, _message, headers, _url):
            answers.append(headers["Location"])

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), Look)
    for path in ("//evil.example/", "/%0d%0aX-Evil: 1"):
        with suppress(urllib.error.HTTPError):
            opener.open(link(pages + path.replace(" ", "%20"), read_secret(home)), timeout=30)

    assert answers == ["/evil.example/", "/%0D%0AX-Evil%3A%201"]


@pytest.mark.server
def test_stock_prefect_works_with_what_status_prints(home, pages):
    shell = f'{for_stock_prefect(find_server(home).url, home)}; exec "$0" -m prefect flow ls'
    environment = {**os.environ, "PREFECT_HOME": str(home / "elsewhere")}

    done = subprocess.run(
        ["sh", "-c", shell, sys.executable], env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert read_secret(home) not in shell


@pytest.mark.server
def test_the_secret_is_in_its_file_alone(home):
    secret, server = read_secret(home), find_server(home)
    environment = {**os.environ, **prefect_environment(server.url, home), "ANABRANCH_STATE_DIR": str(home)}
    del environment["PREFECT_API_URL"]
    sample = Path(__file__).parents[1] / "data" / "logs" / "s01_basic.tar.bz2"
    command = [sys.executable, "-m", "anabranch.command.cli", "parse-logs", sample, "--json"]

    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    word = secret.partition(":")[2].encode()
    assert json.loads(done.stdout)["run_url"].startswith(server.ui_url)
    assert word.decode() not in done.stdout + done.stderr
    assert "token=" not in done.stdout + done.stderr  # neither is a link, where there is no terminal
    files = [path for path in home.rglob("*") if path.is_file() and word in path.read_bytes()]
    assert files == [home / FILE]
    assert files[0].stat().st_mode & 0o777 == 0o600
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.parent.exists()]
    assert not [words for words in commands if word in words]
    shown = json.dumps(call(f"{server.url}/admin/settings")) + json.dumps(call(f"{server.url}/flow_runs/filter", {}))
    assert word.decode() not in shown


@pytest.mark.soak
@pytest.mark.server
@pytest.mark.faults
def test_a_server_whose_secret_is_lost_is_replaced(home):
    before = find_server(home)
    (home / FILE).unlink()

    url = ensure_server(home)

    after = find_server(home)
    assert (after.url, after.healthy, after.open) == (url, True, False)
    assert after.pid != before.pid


@pytest.mark.soak
@pytest.mark.server
def test_a_server_of_an_older_version_is_used_and_the_user_told(tmp_path):
    port, note = _free_port(0), tmp_path / "server.json"
    url, said = f"http://127.0.0.1:{port}/api", []
    (tmp_path / "prefect").mkdir()
    environment = {**os.environ, "PREFECT_HOME": str(tmp_path / "prefect")}
    command = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    launch(command, note, tmp_path / "server.log", url, environment)
    try:
        assert ensure_server(tmp_path, waiting=said.append) == url
        assert find_server(tmp_path).open
    finally:
        stop_server(tmp_path)

    assert OPEN in said
    assert link_to(f"{url}/runs") == f"{url}/runs"


@pytest.mark.soak
@pytest.mark.server
def test_the_secret_lasts_as_long_as_its_server_is_wanted(home):
    before = find_server(home), read_secret(home)
    os.kill(before[0].pid, 9)
    assert any(running(home / "server.json") is None for _ in patiently(30))
    ensure_server(home)
    assert (find_server(home).url, read_secret(home)) == (before[0].url, before[1])

    stop_server(home)

    assert not (home / FILE).exists()
    ensure_server(home)
    assert read_secret(home) not in ("", before[1])


def test_a_secret_that_others_may_know_counts_as_none(tmp_path):
    assert read_secret(tmp_path) == ""
    secret = make_secret(tmp_path)
    assert read_secret(tmp_path) == secret
    assert re.fullmatch(r"anabranch:[\w-]{43}", secret)

    (tmp_path / FILE).chmod(0o640)

    assert read_secret(tmp_path) == ""
    assert make_secret(tmp_path) == read_secret(tmp_path) != secret


def test_a_link_is_valid_once_for_a_day_and_only_for_the_server_that_knows_what_was_used():
    now = 1_000_000_000.0

    def token(made):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("time.time", lambda: made)
            return link("http://127.0.0.1:1/runs", SECRET).partition("token=")[2]

    links = Links(SECRET, lambda: now)
    fresh, other, old = token(now), token(now + 1), token(now - 1)

    assert links.use(fresh)
    assert not links.use(fresh)
    assert links.use(other)
    assert not links.use(old)  # of the server before
    late = token(now + 2)
    now += LINK_SECONDS + 3
    assert not links.use(late)
    assert not Links("anabranch:another", lambda: now).use(token(now))
    for forged in ("", "-", "--", "1-2-3", fresh[:-1], f"9{fresh}", "é-é-é", f"x-{fresh}"):
        assert not links.use(forged)


def test_a_login_goes_to_its_own_server_only(monkeypatch):
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "me:theirs")
    monkeypatch.setenv("PREFECT_API_KEY", "theirs")
    monkeypatch.setattr(api, "_logins", {})
    api.log_in("http://127.0.0.1:1/api", SECRET)

    assert api._headers("http://127.0.0.1:1/api/flows/")["Authorization"] == authorization(SECRET)
    assert api._headers("http://127.0.0.1:11/api")["Authorization"] == "Bearer theirs"
    assert "Authorization" in api._headers("http://[")
    api.log_in("http://127.0.0.1:1/api", "")
    assert "Authorization" not in api._headers("http://127.0.0.1:1/api")
