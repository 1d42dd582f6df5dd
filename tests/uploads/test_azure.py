"""Azure: blocks whose ids tell what Azure does not, against Microsoft's own emulator."""

import base64
import random

import pytest

from anabranch.core.errors import SetupError
from anabranch.uploads import retrying
from anabranch.uploads.ranges import RangeFile, summed
from anabranch.uploads.stores.base import Destination, UploadGoneError
from anabranch.uploads.stores.opening import open_store
from anabranch.uploads.tags import file_tag
from tests.uploads import servers
from tests.uploads.faulty import CUT, LOSE, PASS, Faulty, error
from tests.uploads.sending import Crash, failure, upload

pytestmark = pytest.mark.soak

PART = 64 << 10
SIZE = 9 * PART + 1000  # ten parts


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(retrying, "LONGEST_WAIT", 0.01)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "a b+ü&%'.bin"
    path.write_bytes(random.Random(1).randbytes(SIZE))
    return path


def send(source, container, work_dir, **options):
    return upload(source, f"{container.url}/p/", work_dir, endpoint=container.endpoint, **options)


def make_of_blocks(blob):
    from azure.storage.blob import BlobBlock, ContentSettings

    blob.stage_block("b25l", b"former")
    settings = ContentSettings("text/plain", cache_control="no-cache")
    blob.commit_block_list([BlobBlock("b25l")], content_settings=settings, metadata={"kept": "yes"})


def test_a_killed_run_is_resumed_from_another_machine_and_sends_only_what_is_missing(container, source, tmp_path):
    container.blob(f"p/{source.name}").upload_blob(b"former")
    with pytest.raises(Crash):
        send(source, container, tmp_path / "work", crash_after=6)
    assert container.read(f"p/{source.name}") == b"former"

    report = send(source, container, tmp_path / "another machine")

    assert (report.errors, report.items["parts_kept"]) == ([], 6)
    assert container.read(f"p/{source.name}") == source.read_bytes()
    assert send(source, container, tmp_path / "a third").items["unchanged"] == 1
    source.write_bytes(random.Random(2).randbytes(SIZE))
    assert send(source, container, tmp_path / "a third").items["sent"] == 1
    assert container.read(f"p/{source.name}") == source.read_bytes()


def test_the_tag_of_the_parts_is_kept_beside_the_object(container, source, tmp_path):
    send(source, container, tmp_path / "work")

    found = container.blob(f"p/{source.name}").get_blob_properties().metadata
    assert found == {"anabranch_tag": file_tag(str(source), SIZE, PART, bool)}


@pytest.mark.parametrize("former", [None, "in blocks", "at once"])
def test_blocks_of_another_client_are_named_and_dropped_only_when_that_is_asked_for(
    container, source, tmp_path, former
):
    blob = container.blob(f"p/{source.name}")
    if former == "in blocks":
        make_of_blocks(blob)
    elif former:
        blob.upload_blob(b"former")
    blob.stage_block(base64.b64encode(b"foreign").decode(), b"x")

    assert failure(send(source, container, tmp_path / "work")) == "blocks-foreign"
    assert len(blob.get_block_list("uncommitted")[1]) == 1
    report = send(source, container, tmp_path / "work", discard_uncommitted=True)

    if former == "at once":  # it has no blocks of which it could be made again
        assert failure(report) == "blocks-foreign"
        assert blob.download_blob().readall() == b"former"
    else:
        assert (report.errors, container.read(f"p/{source.name}")) == ([], source.read_bytes())


def test_dropping_blocks_leaves_an_object_as_it_was(container):
    blob, store = container.blob("key"), open_store(container.destination)
    make_of_blocks(blob)
    blob.stage_block(base64.b64encode(b"foreign").decode(), b"x")

    store._discard("key")

    found = blob.get_blob_properties()
    assert blob.download_blob().readall() == b"former"
    assert (found.metadata, found.content_settings.content_type) == ({"kept": "yes"}, "text/plain")
    assert (found.content_settings.cache_control, blob.get_block_list("uncommitted")[1]) == ("no-cache", [])


def test_uploads_are_told_from_one_another_and_dropped(container, source):
    store = open_store(container.destination)
    first, second, other = store.create("key"), store.create("key"), store.create("key2")
    for one in (first, second, other):
        with RangeFile(str(source), 0, PART) as body:
            store.put_part(one, 1, 0, body, summed(body))

    assert {one.id for one, _ in store.list_uploads("key")} == {first.id, second.id, other.id}
    assert [part.number for part in store.list_parts(second)] == [1]
    store.abort(first)  # the second's blocks stay, and so do the first's
    assert len(store.list_parts(second)) == 1
    store.abort(other)
    store.abort(other)
    assert container.keys() == []
    with pytest.raises(UploadGoneError):
        store.list_parts(other)
    with pytest.raises(UploadGoneError):
        store.complete(other, [store.list_parts(second)[0]], new=False)


def test_a_completion_whose_answer_was_lost_can_be_sent_again(container, source):
    store = open_store(container.destination)
    upload = store.create("key")
    with RangeFile(str(source), 0, PART) as body:
        part = store.put_part(upload, 1, 0, body, summed(body))

    assert store.complete(upload, [part], new=False) == store.complete(upload, [part], new=False)
    assert container.read("key") == source.read_bytes()[:PART]


def test_access_by_connection_string_and_by_signature(container, source, tmp_path, monkeypatch):
    from datetime import UTC, datetime, timedelta

    from azure.storage.blob import ContainerSasPermissions, generate_container_sas

    for name in ("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(SetupError, match="credentials-missing"):
        upload(source, f"{container.url}/", tmp_path / "work", endpoint=container.endpoint)
    monkeypatch.setenv(
        "OURS_CONNECTION_STRING",
        f"DefaultEndpointsProtocol=http;AccountName={servers.AZURE_ACCOUNT};AccountKey={servers.AZURE_KEY};"
        f"BlobEndpoint={container.endpoint};",
    )
    assert upload(source, f"{container.url}/1", tmp_path / "work", credentials="env:OURS").items["sent"] == 1
    sas = generate_container_sas(
        servers.AZURE_ACCOUNT,
        container.name,
        servers.AZURE_KEY,
        permission=ContainerSasPermissions.from_string("rwdlc"),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", sas)
    report = upload(source, f"{container.url}/2", tmp_path / "work", endpoint=container.endpoint)

    assert report.items["sent"] == 1
    assert container.read("1") == container.read("2") == source.read_bytes()


@pytest.mark.parametrize(("key", "code"), [
    (base64.b64encode(b"wrong").decode(), "destination-refused"), ("no base64!", "credentials-missing"),
    (servers.AZURE_KEY, "destination-missing"),
])  # fmt: skip
def test_what_cannot_be_ends_the_run_at_once(azurite, source, monkeypatch, key, code):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", servers.AZURE_ACCOUNT)
    monkeypatch.setenv("AZURE_STORAGE_KEY", key)

    with pytest.raises(SetupError, match=code):
        upload(source, "az://no-such-container/", source.parent / "work", endpoint=azurite)


def flipped(data):
    return bytes([data[0] ^ 1]) + data[1:]


BUSY = error("ServerBusy", "503 Busy", "x-ms-error-code: ServerBusy", "Retry-After: 0")


@pytest.mark.parametrize(("fault", "sent"), [
    (lambda request: BUSY if request.count % 3 == 0 else PASS, None),
    (lambda request: CUT if request.count % 3 == 0 else PASS, None),
    (lambda request: LOSE if request.count % 3 == 0 else PASS, None),
    (lambda request: ("body", flipped) if request.count == 3 else PASS, 12),
    (lambda request: LOSE if request.body.startswith(b"<?xml") and request.count == 11 else PASS, 12),
    (lambda _: PASS, 11),
])  # fmt: skip
def test_what_passes_ends_in_the_right_object(container, source, tmp_path, fault, sent):
    port = int(container.endpoint.split(":")[2].partition("/")[0])
    with Faulty(port, lambda request: fault(request) if request.kind == "put" else PASS) as proxy:
        report = upload(source, f"{container.url}/p/", tmp_path / "work",
                        endpoint=f"{proxy.endpoint}/{servers.AZURE_ACCOUNT}")  # fmt: skip

    assert report.errors == []
    assert container.read(f"p/{source.name}") == source.read_bytes()
    assert sent in (None, proxy.seen["put"])


def test_parts_that_always_arrive_damaged_leave_the_former_object(container, source, tmp_path):
    container.blob(f"p/{source.name}").upload_blob(b"former")
    port = int(container.endpoint.split(":")[2].partition("/")[0])
    with Faulty(port, lambda request: ("body", flipped) if request.kind == "put" else PASS) as proxy:
        report = upload(source, f"{container.url}/p/", tmp_path / "work",
                        endpoint=f"{proxy.endpoint}/{servers.AZURE_ACCOUNT}")  # fmt: skip

    assert failure(report) == "upload-damaged"
    assert container.read(f"p/{source.name}") == b"former"


def test_a_server_that_is_not_there_is_away(monkeypatch, source, tmp_path):
    monkeypatch.setattr(retrying, "PATIENCE", 0.2)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "a")
    monkeypatch.setenv("AZURE_STORAGE_KEY", "YQ==")
    with pytest.raises(Exception, match="destination-away"):
        upload(source, "az://b/", tmp_path / "work", endpoint="http://127.0.0.1:9/a")


def test_an_account_s_address_is_made_of_its_name(monkeypatch):
    from anabranch.uploads.stores.azure import _Access
    from anabranch.uploads.stores.secrets import Secrets

    told = "DefaultEndpointsProtocol=https;AccountName=ours;AccountKey=YQ==;EndpointSuffix=core.chinacloudapi.cn"
    assert _Access(Destination("az", "c"), Secrets(connection_string=told)).endpoint == (
        "https://ours.blob.core.chinacloudapi.cn"
    )
    named = Secrets(account_name="ours", account_key="YQ==")
    assert _Access(Destination("az", "c"), named).endpoint == "https://ours.blob.core.windows.net"
