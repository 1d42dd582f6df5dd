"""Nothing that a run leaves holds a secret: not its page, its logs, its parameters, its work files."""

import json
import os
import subprocess
import sys
import traceback
import uuid

import pytest

from anabranch.core.errors import SetupError, TemporaryError
from anabranch.uploads.stores.base import Destination
from anabranch.uploads.stores.opening import open_store
from tests.run.history import everything
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

    pages = _require_nowhere(prefect_server, work, said, (b"signature=", TOKEN, session, b"secretaccesskey"))
    assert b"gdrive://folder" in pages


@pytest.mark.server
def test_blocks_give_access_where_parts_run_and_their_secrets_are_nowhere(bucket, tmp_path, prefect_server, account):
    from anabranch.run.blocks import GoogleDriveCredentials, S3Credentials

    mark, folder, work = uuid.uuid4().hex, tmp_path / "in", tmp_path / "work"
    folder.mkdir()
    for number in range(3):
        (folder / str(number)).write_bytes(os.urandom(1000))
    keys = {"access_key_id": "test:tester", "secret_access_key": SECRET, "session_token": mark, "region": "us-east-1"}
    S3Credentials(**keys).save("s3-ours", overwrite=True)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "ANABRANCH_WORK_DIR": str(work), "ANABRANCH_STATE_DIR": str(tmp_path / "state"),
    }  # fmt: skip
    said = [_run(environment, folder, f"{bucket.url}/", "--endpoint", bucket.server.endpoint, named="s3-ours")]
    with Drive() as drive:
        key, info = account(drive.endpoint)
        GoogleDriveCredentials(service_account=info).save("drive-ours", overwrite=True)
        said.append(_run(environment, folder, "gdrive://folder", "--endpoint", drive.endpoint, named="drive-ours"))

    assert all(bucket.read(str(number)) == (folder / str(number)).read_bytes() for number in range(3))
    assert all(drive.objects[str(number)] == (folder / str(number)).read_bytes() for number in range(3))
    assert (drive.tokens, drive.seen["token"]) == ({"Bearer ya29.of-the-account"}, 1)
    secrets = (mark, key, "ya29.of-the-account", b"signature=", b"secretaccesskey")
    pages = _require_nowhere(prefect_server, work, said, secrets)
    assert b"drive-ours" in pages


@pytest.mark.server
@pytest.mark.parametrize(("value", "reason"), [
    ({}, "have neither an access token nor a service account"),
    ({"service_account": '{"private_key": "ab-secret"}'}, "do not hold the key file of a service account"),
])  # fmt: skip
def test_a_block_that_gives_no_access_is_named_without_its_secrets(prefect_server, value, reason):
    from anabranch.run.blocks import GoogleDriveCredentials
    from tasks.uploads import unlock

    GoogleDriveCredentials(**value).save(name := f"drive-{uuid.uuid4().hex}", overwrite=True)

    with pytest.raises(SetupError, match=f"the credentials {name} {reason}") as caught:
        open_store(Destination("gdrive", "folder", "http://127.0.0.1:9", name), unlock).head("key")

    assert "ab-secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.server
@pytest.mark.parametrize(("kind", "block", "values"), [
    ("az", "AzureCredentials", {"connection_string": "ab-secret-1", "account_key": "ab-secret-2", "sas_token": "ab-3"}),
    ("gs", "GoogleCloudCredentials", {"access_key_id": "ab-secret-1", "secret_access_key": "ab-secret-2",
                                      "access_token": "ab-secret-3", "service_account": "ab-secret-4"}),
    ("sftp", "SftpCredentials", {"password": "ab-secret-1", "private_key": "ab-secret-2", "passphrase": "ab-secret-3"}),
])  # fmt: skip
def test_a_block_of_each_kind_gives_what_it_holds_and_shows_none_of_it(prefect_server, kind, block, values):
    from anabranch.run import blocks
    from tasks.uploads import unlock

    getattr(blocks, block)(**values).save(name := f"{kind}-{uuid.uuid4().hex}", overwrite=True)

    found = unlock(kind, name)
    assert {field: getattr(found, field) for field in values} == values
    assert "ab-" not in repr(found)


def test_a_block_is_refused_outside_of_a_run():
    with pytest.raises(TemporaryError, match="credentials-unavailable"):
        open_store(Destination("s3", "bucket", None, "s3-ours")).head("key")


@pytest.fixture
def account():
    """The key file of a service account whose tokens a server gives: a line of its key, and its text."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = rsa.generate_private_key(65_537, 2048).private_bytes(*form).decode()

    def made(endpoint):
        about = {"type": "service_account", "client_email": "ours@example.org", "token_uri": f"{endpoint}/token"}
        return pem.splitlines()[5], json.dumps({**about, "private_key": pem})

    return made


def _require_nowhere(server, work, said, secrets):
    """Search all that a run leaves, but for the ledgers; return what its pages hold."""
    left = b"".join(path.read_bytes() for path in work.rglob("*") if path.is_file() and path.parent.name != "uploads")
    pages = b"".join(everything(server, kind) for kind in ("flow_runs", "task_runs", "logs", "artifacts"))
    assert left
    for secret in secrets:
        for text in (*said, left, pages):
            assert (secret if isinstance(secret, bytes) else secret.encode()).lower() not in text.lower()
    return pages


def _run(environment, source, *words, named="env:OURS"):
    done = subprocess.run(
        [*COMMAND, str(source), *words, "--credentials", named], capture_output=True, env=environment, check=False
    )
    assert done.returncode in ((1, 5) if named == "env:OURS" else (0,)), done.stderr
    return done.stdout + done.stderr
