"""A run of a deployment that fails is told to a webhook by the server's own automation; a command's run is not."""

import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from anabranch.command.notify import notify
from anabranch.core.errors import AnabranchError
from anabranch.run.api import call, page_of

pytestmark = pytest.mark.server


@pytest.fixture
def webhook():
    """A webhook's address, and a queue of what is posted to it."""
    posted = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            posted.put((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", posted
        server.shutdown()
        thread.join()


@pytest.fixture
def ends(prefect_server):
    """Let a run of these tags end in a state."""
    flow = call(f"{prefect_server}/flows/", {"name": "notified"})["id"]

    def end(name, kind, state, tags):
        wish = {"flow_id": flow, "name": name, "tags": tags, "state": {"type": "RUNNING"}}
        run = call(f"{prefect_server}/flow_runs/", wish)["id"]
        ended = {"type": kind, "name": state, "message": 'one of "two" parts'}
        call(f"{prefect_server}/flow_runs/{run}/set_state", {"state": ended, "force": True})
        return run

    return end


def test_a_failed_run_of_a_deployment_is_posted_and_no_other(prefect_server, webhook, ends, monkeypatch, capsys):
    address, posted = webhook
    monkeypatch.setenv("HOOK", f"{address}/first")
    notify("env:HOOK")
    notify(f"{address}/second")  # replaces the first

    ends("good", "COMPLETED", "Completed", ["anabranch"])
    ends("by hand", "FAILED", "Failed", ["ad-hoc"])
    run = ends("inbox", "FAILED", "PartlyFailed", ["anabranch", "tables"])

    path, body = posted.get(timeout=120)
    assert path == "/second"
    assert body == {"text": f'inbox ended as PartlyFailed: one of "two" parts {page_of(prefect_server, run)}'}

    notify(off=True)
    ends("later", "FAILED", "Failed", ["anabranch"])
    assert (
        call(f"{prefect_server}/automations/filter", {"automations": {"name": {"any_": ["anabranch-failures"]}}}) == []
    )
    assert address not in capsys.readouterr().out
    assert posted.empty()


@pytest.mark.parametrize(("webhook", "off", "code"), [
    (None, False, "bad-option"),
    ("https://host/x", True, "bad-option"),
    ("host/key-of-ours", False, "bad-option"),
    ("env:NOT_SET_ANYWHERE", False, "no-secret"),
])  # fmt: skip
def test_what_is_no_webhook_is_refused_without_repeating_it(prefect_server, webhook, off, code):
    with pytest.raises(AnabranchError) as caught:
        notify(webhook, off=off)

    assert caught.value.code == code
    assert "key-of-ours" not in str(caught.value)
