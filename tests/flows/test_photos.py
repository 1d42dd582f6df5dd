"""extract_gps as Prefect runs it, as a command, and from its deployment's form."""

import json
import os
import re
import subprocess
import sys

import pytest

from anabranch.core.config import RunOptions
from anabranch.photos.options import PhotoOptions
from tests.photos.conftest import album, own_home, sshd  # noqa: F401  fixtures
from tests.photos.extracting import access, rows
from tests.run.history import everything

pytestmark = pytest.mark.timeout(600)  # two whole commands, beside a server that may only just start

COMMAND = [sys.executable, "-m", "anabranch.command.cli", "extract-gps"]


@pytest.fixture
def command(prefect_server, tmp_path):
    def run(*words, **environment):
        known = {**os.environ, "ANABRANCH_WORK_DIR": str(tmp_path / "work"), **environment}
        return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, env=known, check=False)

    return run


@pytest.mark.server
def test_the_command_reads_600_photos_and_the_second_time_none(command, sshd, album, tmp_path):  # noqa: F811
    source, key = sshd.url(f"{album[0]}/homes"), ("--host-key", sshd.fingerprint, "--key-file", sshd.key)
    first = command(source, *key, "--output", tmp_path / "p.csv", "--json")
    table = (tmp_path / "p.csv").read_bytes()
    second = command(source, *key)

    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    report = json.loads(first.stdout)
    assert [report["items"][name] for name in ("photos", "ok", "no_gps")] == [600, 590, 10]
    assert second.stdout.encode() == table
    assert "600 known" in second.stderr
    assert "590 ok" in second.stderr


@pytest.mark.server
def test_a_changed_host_key_ends_the_command_with_1(command, sshd, album, tmp_path):  # noqa: F811
    done = command(sshd.url(album[0]), "--host-key", "SHA256:" + "A" * 43, "--output", tmp_path / "p.csv")

    assert (done.returncode, (tmp_path / "p.csv").exists()) == (1, False)
    assert f"--host-key {sshd.fingerprint}" in done.stderr


def test_a_dry_run_lists_the_photos_and_reads_none(sshd, album, tmp_path):  # noqa: F811
    words = [sshd.url(f"{album[0]}/homes"), "--host-key", sshd.fingerprint, "--key-file", str(sshd.key), "--dry-run"]
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=True)

    assert "600 in 31 folders of sftp://" in done.stdout
    assert re.search("Planned so far: (1 part|2 parts),", done.stdout)  # by the server's round trip


@pytest.fixture
def block(prefect_server, sshd):  # noqa: F811
    from pydantic import SecretStr

    from anabranch.run.blocks import SftpCredentials

    SftpCredentials(private_key=SecretStr(sshd.key.read_text())).save("photos-server", overwrite=True)
    return "photos-server"


@pytest.mark.server
def test_a_block_logs_in_and_its_secret_stands_nowhere(prefect_server, block, sshd, album, tmp_path):  # noqa: F811
    from flows.photos import extract_gps

    options = PhotoOptions(host_key=sshd.fingerprint, credentials=block)
    run = RunOptions(work_dir=str(tmp_path / "work"))
    report = extract_gps([sshd.url(f"{album[0]}/homes/AnnaBerg")], str(tmp_path / "p.csv"), options, run)

    secret = sshd.key.read_text().splitlines()[1]
    stored = [everything(prefect_server, kind) for kind in ("flow_runs", "task_runs", "logs", "artifacts")]
    files = [path.read_bytes() for path in (tmp_path / "work").rglob("*") if path.is_file()]
    assert report.items["ok"] == 200
    assert str(report.run_id).encode() in stored[0]
    assert not any(secret.encode() in text for text in stored)
    assert files
    assert not any(secret.encode() in data for data in files)


@pytest.mark.server
def test_a_block_that_is_not_there_is_named(prefect_server, sshd, album, tmp_path):  # noqa: F811
    from anabranch.core.errors import SetupError
    from tasks.photos import unlock

    with pytest.raises(SetupError, match="no-such-block") as error:
        unlock("no-such-block")

    assert error.value.code == "credentials-unknown"


@pytest.mark.cluster
def test_a_cluster_gives_the_same_table(cluster, sshd, album, tmp_path):  # noqa: F811
    from flows.photos import extract_gps

    options, tables = PhotoOptions(**access(sshd)), []
    for number, address in enumerate((None, cluster)):
        run = RunOptions(work_dir=str(tmp_path / f"work{number}"), cluster=address)
        report = extract_gps([sshd.url(f"{album[0]}/homes")], str(tmp_path / f"{number}.csv"), options, run)
        assert (report.items["ok"], report.items["read"]) == (590, 600)
        tables.append((tmp_path / f"{number}.csv").read_bytes())

    assert tables[0] == tables[1]


@pytest.mark.server
def test_a_run_that_its_form_started_writes_the_table(prefect_server, tmp_path):
    """As the UI sends it: plain values, which the server holds against the deployment's form."""
    from prefect.client.orchestration import get_client
    from prefect.flows import load_flow_from_entrypoint

    from anabranch.photos import sample

    sample.write_photos(tmp_path / "inbox", 20, without=1)
    flow = load_flow_from_entrypoint("flows.photos.extract_gps")
    form = {
        "source": [str(tmp_path / "inbox")],
        "output": str(tmp_path / "p.csv"),
        "options": {"thin": True},
        "run": {"work_dir": str(tmp_path / "work")},
    }
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(
            client.create_flow(flow),
            "form",
            parameter_openapi_schema=flow.parameters.model_dump(),
            enforce_parameter_schema=True,
        )
        run = client.create_flow_run_from_deployment(deployment, parameters=form)
        report = flow(**flow.validate_parameters(client.read_flow_run(run.id).parameters))

    assert report.items["ok"] == len([row for row in rows(tmp_path / "p.csv") if row["status"] == "ok"]) == 19
