"""What an upload sent, compared with what is at each kind of destination later."""

import random

import pytest

from anabranch.uploads.options import UploadOptions
from anabranch.uploads.verifying import verify
from tests.uploads.sending import KIB, upload


class Folder:
    """A folder of this machine."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder, self.url, self.options = folder, f"{folder}/", {}

    def put(self, key, data):
        (self.folder / key).write_bytes(data)

    def remove(self, key):
        (self.folder / key).unlink()


class Server(Folder):
    """The same folder behind an SFTP server."""

    def __init__(self, folder, account):
        super().__init__(folder)
        self.url, self.options = f"{account.url(folder)}/", account.options


class Objects:
    """A bucket, or a container of Azure."""

    def __init__(self, bucket, endpoint):
        self.bucket, self.url, self.options = bucket, f"{bucket.url}/", {"endpoint": endpoint}

    def put(self, key, data):
        self.bucket.client.put_object(Bucket=self.bucket.name, Key=key, Body=data)

    def remove(self, key):
        self.bucket.client.delete_object(Bucket=self.bucket.name, Key=key)


class Blobs(Objects):
    """A container of Azure."""

    def put(self, key, data):
        self.bucket.blob(key).upload_blob(data, overwrite=True)

    def remove(self, key):
        self.bucket.blob(key).delete_blob()


@pytest.fixture(params=["folder", "sftp", "s3", pytest.param("az", marks=pytest.mark.soak)])
def goal(request, tmp_path):
    """A destination, and how another program changes what is there."""
    asked = request.getfixturevalue
    if request.param == "s3":
        return Objects(asked("bucket"), asked("bucket").server.endpoint)
    if request.param == "az":
        return Blobs(asked("container"), asked("container").endpoint)
    return Server(tmp_path / "goal", asked("sftp")) if request.param == "sftp" else Folder(tmp_path / "goal")


@pytest.mark.parametrize("size", [200 * KIB + 5, *(pytest.param(size, marks=pytest.mark.soak) for size in (0, 1000))])
def test_what_was_sent_is_held_against_what_is_there(goal, tmp_path, size):
    data = random.Random(1).randbytes(size)
    names = ["left alone", "changed", "longer", "removed"]
    (tmp_path / "in").mkdir()
    for name in names:
        (tmp_path / "in" / name).write_bytes(data)
    report = upload(tmp_path / "in", goal.url, tmp_path / "work", **goal.options)

    other = bytes([data[0] ^ 1]) + data[1:] if data else data
    goal.put("changed", other)
    goal.put("longer", data + b"x")
    goal.remove("removed")
    options = UploadOptions(**goal.options).model_dump(mode="json")
    found = {
        one.output.rpartition("/")[2]: one for one in verify(report.written, {"output": goal.url, "options": options})
    }

    tells = not isinstance(goal, Server)  # an SFTP server tells the size only
    assert {name: found[name].state for name in names} == {
        "left alone": "as_recorded",
        "changed": "changed" if tells and data else "as_recorded",
        "longer": "changed",
        "removed": "missing",
    }
    assert bool(found["left alone"].reason) == (not tells)


def test_a_run_whose_form_left_all_options_alone_is_verified(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"a")
    goal = Folder(tmp_path / "goal")
    report = upload(tmp_path / "a.bin", goal.url, tmp_path / "work")

    (found,) = verify(report.written, {"output": goal.url})

    assert found.state == "as_recorded"
