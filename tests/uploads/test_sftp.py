"""SFTP: parts at their offsets in a hidden file, by a real OpenSSH server; the target is the former one or whole."""

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from anabranch.core.errors import SetupError, TemporaryError, UsageError
from anabranch.core.parts import Report
from anabranch.sftp import hosts
from anabranch.uploads import retrying
from anabranch.uploads.options import UploadOptions
from anabranch.uploads.preview import check
from anabranch.uploads.ranges import RangeFile, summed
from anabranch.uploads.stores.local import FolderStore
from anabranch.uploads.stores.opening import open_store
from anabranch.uploads.stores.sftp import SftpStore
from tests import sshd
from tests.uploads.conftest import Account
from tests.uploads.sending import Crash, failure, upload

PART = 64 << 10
SIZE = 20 * PART + 1000  # 21 parts


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(retrying, "LONGEST_WAIT", 0.01)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "a b+ü&%'.bin"
    path.write_bytes(random.Random(1).randbytes(SIZE))
    return path


@pytest.fixture
def there(tmp_path):
    folder = tmp_path / "there"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    """A server that renames to free names only."""
    with sshd.serving(tmp_path_factory.mktemp("older"), more="ForceCommand internal-sftp -P posix-rename\n") as server:
        yield Account(server)
        hosts.close_idle()


def send(source, account, folder, work_dir, **options):
    return upload(source, account.url(f"{folder}/"), work_dir, **account.options, **options)


def test_a_killed_run_is_resumed_and_sends_only_what_is_missing(sftp, source, there, tmp_path):
    (there / source.name).write_bytes(b"former")
    with pytest.raises(Crash):
        send(source, sftp, there, tmp_path / "work", crash_after=12)
    assert (there / source.name).read_bytes() == b"former"

    report = send(source, sftp, there, tmp_path / "another machine")

    assert (report.errors, report.items["parts_kept"]) == ([], 12)
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {source.name: source.read_bytes()}
    again = send(source, sftp, there, tmp_path / "another machine")
    assert again.items["unchanged"] == 1


def test_folders_are_made_and_paths_without_a_slash_are_the_file(sftp, source, there, tmp_path):
    report = upload(source, sftp.url(f"{there}/new/ü/copy.bin"), tmp_path / "work", **sftp.options)

    assert (there / "new" / "ü" / "copy.bin").read_bytes() == source.read_bytes()
    assert report.outputs == [sftp.url(f"{there}/new/ü/copy.bin")]


def test_a_server_without_replacing_renames_gets_the_former_file_moved_aside_first(older, source, there, tmp_path):
    (there / source.name).write_bytes(b"former")

    report = send(source, older, there, tmp_path / "work")

    assert report.errors == []
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {source.name: source.read_bytes()}


def test_the_former_file_gets_its_name_back_where_the_new_one_cannot_take_it(older, source, there, monkeypatch):
    """The second rename is refused, as it is where the file aside has been removed meanwhile."""
    store, seen = open_store(older.destination(there)), []
    (there / "key").write_bytes(b"former")
    real = hosts.Session.ask

    def ask(session, owner, kind, subject, tail=b""):
        if kind == 18:  # RENAME
            seen.append(subject)
            if len(seen) == 2:
                Path(os.fsdecode(subject)).unlink()
        real(session, owner, kind, subject, tail)

    monkeypatch.setattr(hosts.Session, "ask", ask)
    with RangeFile(str(source), 0, 1000) as body, pytest.raises(Exception, match="destination-refused"):
        store.put("key", body, summed(body), new=False)

    assert len(seen) == 3
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {"key": b"former"}


def test_what_was_damaged_at_the_server_is_found_by_verify_and_sent_again(sftp, source, there, tmp_path):
    with pytest.raises(Crash):
        send(source, sftp, there, tmp_path / "work", crash_after=12)
    (data,) = there.glob(".*.part")
    with data.open("r+b") as file:
        file.seek(3 * PART)
        file.write(bytes(10))

    report = send(source, sftp, there, tmp_path / "work", verify=True)
    assert (failure(report), (there / source.name).exists()) == ("upload-damaged", False)
    again = send(source, sftp, there, tmp_path / "work", verify=True)

    assert (again.errors, again.items["parts_kept"]) == ([], 20)
    assert (there / source.name).read_bytes() == source.read_bytes()


def test_a_part_whose_end_the_server_lost_is_sent_again(sftp, source, there, tmp_path):
    with pytest.raises(Crash):
        send(source, sftp, there, tmp_path / "work", crash_after=12)
    (data,) = there.glob(".*.part")
    os.truncate(data, data.stat().st_size - 1)

    report = send(source, sftp, there, tmp_path / "work")

    assert (report.errors, report.items["parts_kept"]) == ([], 11)
    assert (there / source.name).read_bytes() == source.read_bytes()


def test_connections_that_are_lost_cost_an_attempt_and_no_byte(sftp, source, there, tmp_path, monkeypatch):
    """The server's processes are killed twice, each time after some more parts."""
    real, seen, lock = SftpStore.put_part, [], threading.Lock()

    def put_part(*words):
        with lock:
            seen.append(words[2])
            if len(seen) in (6, 12):
                for session in sftp.server.sessions():
                    session.kill()
        return real(*words)

    monkeypatch.setattr(SftpStore, "put_part", put_part)
    report = send(source, sftp, there, tmp_path / "work")

    assert report.errors == []
    assert len(seen) > 21
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {source.name: source.read_bytes()}


def test_two_runs_of_one_file_from_two_machines_leave_the_right_file(sftp, source, there, tmp_path):
    reports = []
    runs = [
        threading.Thread(target=lambda one=one: reports.append(send(source, sftp, there, tmp_path / f"machine-{one}")))
        for one in range(2)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()

    assert [error.code for report in reports for error in report.errors] == []
    assert (there / source.name).read_bytes() == source.read_bytes()


@pytest.mark.parametrize("kind", ["file", "sftp"])
@pytest.mark.parametrize("other", [b"other", None], ids=["other bytes", "the same bytes"])
def test_a_file_that_another_program_makes_meanwhile_is_ours_only_if_its_bytes_are(request, source, there, kind, other):
    sftp, monkeypatch = (request.getfixturevalue(name) for name in ("sftp", "monkeypatch"))
    store, target = (SftpStore if kind == "sftp" else FolderStore), there / "key"
    real, made = store.complete, other and other * (SIZE // 5)
    source.write_bytes(source.read_bytes()[: SIZE // 5 * 5])

    def complete(self, upload, parts, *, new):
        target.write_bytes(made or source.read_bytes())
        return real(self, upload, parts, new=new)

    monkeypatch.setattr(store, "complete", complete)
    place, login = (sftp.url(target), sftp.options) if kind == "sftp" else (target, {})
    report = upload(source, place, there.parent / "work", if_exists="fail", **login)

    assert [error.code for error in report.errors] == (["destination-exists"] if other else [])
    assert target.read_bytes() == (made or source.read_bytes())


@pytest.mark.parametrize("part_size", [str(PART), None], ids=["in parts", "whole"])
def test_a_full_disk_ends_the_run_and_keeps_what_was_sent(sftp, source, there, tmp_path, part_size):
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", there], check=False).returncode:
        pytest.skip("this account may not mount a small file system")
    try:
        (there / source.name).write_bytes(b"former")
        with pytest.raises(TemporaryError, match="destination-full"):
            send(source, sftp, there, tmp_path / "work", part_size=part_size)
        assert (there / source.name).read_bytes() == b"former"
        subprocess.run(["mount", "-o", "remount,size=4m", there], check=True)

        report = send(source, sftp, there, tmp_path / "work", part_size=part_size)

        assert (report.items["parts_kept"] > 8) == (part_size is not None)
        assert (there / source.name).read_bytes() == source.read_bytes()
    finally:
        hosts.close_idle()
        subprocess.run(["umount", "-l", there], check=True)


def test_the_login_comes_from_variables_that_the_user_names(openssh, source, there, tmp_path, monkeypatch):
    monkeypatch.setenv("OURS_PRIVATE_KEY", openssh.key.read_text())
    report = upload(source, openssh.url(f"{there}/"), tmp_path / "work", credentials="env:OURS",
                    host_key=openssh.fingerprint)  # fmt: skip

    assert report.items["sent"] == 1


def test_a_server_whose_key_is_unknown_gets_nothing(openssh, source, there, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))

    with pytest.raises(SetupError, match="host-key-unknown"):
        upload(source, openssh.url(f"{there}/"), tmp_path / "work")
    assert list(there.iterdir()) == []


def test_a_folder_in_the_place_of_the_file_is_refused(sftp, source, there, tmp_path):
    report = upload(source, sftp.url(there), tmp_path / "work", **sftp.options)

    assert failure(report) == "output-not-a-file"


def test_unfinished_uploads_are_listed_below_a_folder_with_their_keys(sftp, source, there, tmp_path):
    store = open_store(sftp.destination(there))
    store.create("a/one.bin")
    store.create("a/b/two.bin")
    store.create("three.bin")

    assert sorted(upload.key for upload, _ in store.list_uploads("a/")) == ["a/b/two.bin", "a/one.bin"]
    assert [upload.key for upload, _ in store.list_uploads("three")] == ["three.bin"]
    for found, _ in list(store.list_uploads("")):
        store.abort(found)
    assert [path for path in there.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(("words", "code"), [
    ({"output": "sftp://u:secret@host/x/"}, "password-in-url"), ({"output": "sftp:///x/"}, "bad-url"),
    ({"output": "/folder/", "verify": True}, "bad-option"), ({"output": "s3://b/", "key_file": "k"}, "bad-option"),
    ({"output": "sftp://host/%ff/"}, "bad-url"),
])  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_sent(source, words, code):
    with pytest.raises(UsageError, match=code):
        check([str(source)], words.pop("output"), UploadOptions(**words))


def test_the_account_s_own_folder_is_named_by_a_tilde(source):
    from anabranch.uploads.select import select

    found = select([str(source)], "sftp://ann@host:2222/~/in/", UploadOptions())
    assert (str(found.destination), found.files[0].key) == ("sftp://ann@host:2222/~", f"in/{source.name}")
    found = select([str(source)], "sftp://ann@host/data/x.bin", UploadOptions())
    assert (str(found.destination), found.files[0].key) == ("sftp://ann@host", "data/x.bin")


@pytest.mark.soak
@pytest.mark.server
def test_a_command_that_is_killed_is_resumed_by_the_same_one(sftp, there, tmp_path, prefect_server):
    source = tmp_path / "big.bin"
    source.write_bytes(random.Random(1).randbytes(40 << 20))
    environment = {
        **os.environ,
        "ANABRANCH_WORK_DIR": str(tmp_path / "work"),
        "ANABRANCH_STATE_DIR": str(tmp_path / "state"),
    }
    login = ["--host-key", sftp.server.fingerprint, "--key-file", str(sftp.server.key)]
    words = [sys.executable, "-m", "anabranch.command.cli", "upload-files", str(source), sftp.url(f"{there}/"),
             *login, "--part-size", "1MiB", "--parts-in-flight", "2", "--verify", "--json"]  # fmt: skip
    first = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    while sum(len(_lines(text)) for text in there.glob(".*.list")) < 5:
        assert first.poll() is None
        time.sleep(0.01)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert not (there / source.name).exists()
    (held,) = (len(_lines(text)) for text in there.glob(".*.list"))

    done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, check=True)

    report = Report.model_validate_json(done.stdout)
    assert report.items["parts_kept"] >= held >= 5
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {source.name: source.read_bytes()}


def _lines(text):
    """The lines of a list that name a part."""
    return re.findall(rb"[0-9a-f]{32}\n", text.read_bytes()[512:])
