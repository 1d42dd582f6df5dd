"""Nothing that a run leaves holds a secret: not its page, its logs, its parameters, its work files."""

import os
import subprocess
import sys
import urllib.request

import pytest

from tests.uploads.drive import QUANTUM, Drive
from tests.uploads.faulty import PASS, Faulty, error

COMMAND = [sys.executable, "-m", "anabranch.command.cli", "upload-files"]
SECRET, TOKEN = "testing", "ya29.secret-token"


@pytest.mark.server
def test_secrets_and_addresses_of_sessions_are_nowhere_but_in_the_ledger(bucket, tmp_path, prefect_server):
    source = tmp_path / "source"
    source.write_bytes(os.urandom(4 * QUANTUM))
    work = tmp_path / "work"
    environment = {
        **os.environ, "ANABRANCH_WORK_DIR": str(work), "ANABRANCH_STATE_DIR": str(tmp_path / "state"),
        "OURS_ACCESS_KEY_ID": "test:tester", "OURS_SECRET_ACCESS_KEY": SECRET, "OURS_ACCESS_TOKEN": TOKEN,
    }  # fmt: skip
    denied = error("AccessDenied", "403 No")
    said = []
    with Faulty(bucket.server.port, lambda request: denied if request.kind == "put" else PASS) as proxy:
        said.append(_run(environment, source, f"{bucket.url}/", "--endpoint", proxy.endpoint, "--debug"))
    with Drive("storage-quota") as drive:
        said.append(_run(environment, source, "gdrive://folder", "--endpoint", drive.endpoint, "--part-size",
                         str(QUANTUM), "--debug"))  # fmt: skip
        (session,) = drive.sessions

    left = b"".join(path.read_bytes() for path in work.rglob("*") if path.is_file() and path.parent.name != "uploads")
    pages = b"".join(_filtered(prefect_server, kind) for kind in ("flow_runs", "task_runs", "logs", "artifacts"))
    assert b"gdrive://folder" in pages
    for secret in (b"signature=", TOKEN.encode(), session.encode(), b"secretaccesskey"):
        for text in (*said, left, pages):
            assert secret not in text.lower()


def _run(environment, source, *words):
    done = subprocess.run(
        [*COMMAND, str(source), *words, "--credentials", "env:OURS"], capture_output=True, env=environment, check=False
    )
    assert done.returncode in (1, 5), done.stderr
    return done.stdout + done.stderr


def _filtered(url, kind):
    request = urllib.request.Request(f"{url}/{kind}/filter", b"{}", {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return answer.read()
