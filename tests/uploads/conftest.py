"""Real servers for the tests that ask for them, started when first used, and buckets of their own for each test."""

import uuid
from dataclasses import dataclass, replace
from typing import Any

import pytest

from anabranch.sftp import hosts
from anabranch.uploads.stores.base import Destination
from anabranch.uploads.stores.s3 import S3Store
from tests import sshd
from tests.uploads import servers


@dataclass
class Bucket:
    """A bucket of a server, seen through a client that is not ours."""

    name: str
    server: servers.Server
    client: Any

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    @property
    def destination(self) -> Destination:
        return Destination("s3", self.name, self.server.endpoint)

    def read(self, key: str) -> bytes:
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def tag(self, key: str) -> str:
        """What the server says of the bytes; Swift reads an object of many small parts at one part a second."""
        return self.client.head_object(Bucket=self.name, Key=key)["ETag"].strip('"')

    def keys(self) -> list[str]:
        return [one["Key"] for one in self.client.list_objects_v2(Bucket=self.name).get("Contents", [])]

    def unfinished(self) -> list[str]:
        return [one["Key"] for one in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])]


@pytest.fixture(scope="session")
def swift(tmp_path_factory):
    server = servers.start_swift(tmp_path_factory.mktemp("swift"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def juicefs(tmp_path_factory):
    server = servers.start_juicefs(tmp_path_factory.mktemp("juicefs"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def ministack(tmp_path_factory):
    """A server that lists composite checksums; a reason to skip where it is not installed."""
    program = servers.ministack_program()
    if program is None:
        pytest.skip("ministack is not installed: see .ci/run")
    server = servers.start_ministack(program, tmp_path_factory.mktemp("ministack"))
    yield server
    server.stop()


def new_bucket(server: servers.Server, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", servers.KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret)
    monkeypatch.setenv("AWS_DEFAULT_REGION", servers.REGION)
    monkeypatch.setattr(S3Store, "limits", replace(S3Store.limits, smallest_part=servers.SMALLEST))
    bucket = Bucket(f"test-{uuid.uuid4().hex[:12]}", server, server.client())
    bucket.client.create_bucket(Bucket=bucket.name)
    return bucket


@dataclass
class Container:
    """A container of Azurite, seen through Microsoft's client."""

    name: str
    endpoint: str

    @property
    def url(self) -> str:
        return f"az://{self.name}"

    @property
    def destination(self) -> Destination:
        return Destination("az", self.name, self.endpoint)

    @property
    def service(self) -> Any:
        from azure.storage.blob import BlobServiceClient

        return BlobServiceClient(self.endpoint, servers.AZURE_KEY)

    def blob(self, key: str) -> Any:
        return self.service.get_blob_client(self.name, key)

    def read(self, key: str) -> bytes:
        return self.blob(key).download_blob().readall()

    def keys(self) -> list[str]:
        return [one.name for one in self.service.get_container_client(self.name).list_blobs()]


@dataclass
class Account:
    """An account of an SFTP server, whose files are those of this machine."""

    server: sshd.Server

    def url(self, path: Any) -> str:
        return self.server.url(path)

    @property
    def options(self) -> dict[str, str]:
        return {"host_key": self.server.fingerprint, "key_file": str(self.server.key)}

    def destination(self, folder: Any, **more: Any) -> Destination:
        """Return a store whose keys are paths below a folder."""
        return Destination("sftp", f"{self.server.user}@127.0.0.1:{self.server.port}{folder}", **self.options, **more)


@pytest.fixture(scope="session")
def azurite(tmp_path_factory):
    """The address of a real Azurite, Microsoft's own emulator; a reason to skip where it is not installed."""
    program = servers.azurite_program()
    if program is None:
        pytest.skip("azurite is not installed: npm install --prefix .make/azurite azurite")
    address, process = servers.start_azurite(program, tmp_path_factory.mktemp("azurite"))
    yield address
    servers.stop(process)


@pytest.fixture
def container(azurite, monkeypatch):
    """A new container, and the account's key where a run finds it."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", servers.AZURE_ACCOUNT)
    monkeypatch.setenv("AZURE_STORAGE_KEY", servers.AZURE_KEY)
    made = Container(f"test-{uuid.uuid4().hex[:12]}", azurite)
    made.service.create_container(made.name)
    return made


@pytest.fixture
def door(swift):
    """Google's XML API with tokens, as far as our client needs it."""
    from tests.uploads.token_door import TokenDoor

    with TokenDoor(swift) as opened:
        yield opened


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    """The address of gcp-storage-emulator, with a bucket named test."""
    address, process = servers.start_gcs_emulator(tmp_path_factory.mktemp("gcs"))
    yield address
    servers.stop(process)


@pytest.fixture(scope="session")
def openssh(tmp_path_factory):
    with sshd.serving(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def sftp(openssh):
    yield Account(openssh)
    hosts.close_idle()


@pytest.fixture
def bucket(swift, monkeypatch):
    return new_bucket(swift, monkeypatch)
