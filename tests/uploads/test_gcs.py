"""Google Cloud Storage: in order by sessions, as Google Drive, and in parts by the XML API."""

import random
import urllib.parse
import urllib.request

import pytest

from anabranch.core.errors import AnabranchError, SetupError
from anabranch.uploads import retrying
from anabranch.uploads.options import UploadOptions
from anabranch.uploads.ranges import RangeFile, summed
from anabranch.uploads.select import select
from anabranch.uploads.stores.base import Destination, Head
from anabranch.uploads.stores.opening import open_store
from tests.uploads.conftest import new_bucket
from tests.uploads.drive import QUANTUM, Drive
from tests.uploads.sending import Crash, upload
from tests.uploads.token_door import TOKEN

CHUNK = 2 * QUANTUM
SIZE = 3 * (1 << 20) + 1000  # seven chunks


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(retrying, "LONGEST_WAIT", 0.01)
    monkeypatch.setenv("TEST_ACCESS_TOKEN", TOKEN)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "a b+ü&%'.bin"
    path.write_bytes(random.Random(1).randbytes(SIZE))
    return path


def send(source, endpoint, work_dir, **options):
    return upload(source, "gs://test/p/q/", work_dir, endpoint=endpoint, credentials="env:TEST",
                  **{"part_size": f"{CHUNK}", "mode": "sequential", **options})  # fmt: skip


def body(source, offset, length=CHUNK):
    return RangeFile(str(source), offset, length)


@pytest.mark.parametrize("behaviour", ["plain", "short-range", "gone-410", "rate-403", "lost-final"])
def test_what_passes_ends_in_the_right_object(source, tmp_path, behaviour):
    key = f"p/q/{source.name}"
    with Drive(behaviour) as server:
        report = send(source, server.endpoint, tmp_path / "work")
        again = send(source, server.endpoint, tmp_path / "another machine")

    assert (report.errors, again.items["unchanged"]) == ([], 1)
    assert server.objects == {key: source.read_bytes()}
    assert server.seen["start"] == (2 if behaviour == "gone-410" else 1)


@pytest.mark.soak
def test_the_contract_of_a_store_that_takes_bytes_in_order(emulator, source):
    store = open_store(Destination("gs", "test", emulator, "env:TEST", in_order=True))
    key = f"contract/{source.name}"
    session = store.start(key, SIZE)
    # before the first chunk the emulator says that it has one byte; the strict server says none, and so does Google
    assert store.append(session, 0, body(source, 0), SIZE) == CHUNK
    with pytest.raises(AnabranchError, match="400"):
        store.append(session, 3 * CHUNK, body(source, 3 * CHUNK), SIZE)
    assert store.query_offset(session, SIZE) == CHUNK
    assert store.head(key) is None
    made = store.append(session, CHUNK, body(source, CHUNK, SIZE - CHUNK), SIZE)
    with body(source, 0, SIZE) as whole:
        assert made == store.head(key) == Head(SIZE, summed(whole).md5)
    assert store.same(key, made, str(source), CHUNK, bool)


@pytest.mark.soak
@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1])
def test_an_emulator_that_is_not_ours_gets_the_right_bytes(emulator, tmp_path, size):
    source = tmp_path / f"source {size}"
    source.write_bytes(random.Random(2).randbytes(size))
    report = send(source, emulator, tmp_path / "work")

    assert report.errors == []
    key = urllib.parse.quote(f"p/q/{source.name}", safe="")
    with urllib.request.urlopen(f"{emulator}/download/storage/v1/b/test/o/{key}?alt=media") as answer:
        assert answer.read() == source.read_bytes()


@pytest.mark.soak
def test_a_missing_bucket_ends_the_run(emulator, source, tmp_path):
    with pytest.raises(SetupError, match="destination-missing"):
        upload(source, "gs://no-such-bucket/", tmp_path / "work", endpoint=emulator, credentials="env:TEST",
               mode="sequential", part_size=str(CHUNK))  # fmt: skip


@pytest.mark.soak
def test_parts_with_a_token_are_resumed_and_known_by_their_crc32c(swift, door, source, tmp_path, monkeypatch):
    bucket = new_bucket(swift, monkeypatch)
    words = {"endpoint": door.endpoint, "credentials": "env:TEST", "part_size": str(QUANTUM)}
    with pytest.raises(Crash):
        upload(source, f"gs://{bucket.name}/", tmp_path / "work", crash_after=6, **words)

    report = upload(source, f"gs://{bucket.name}/", tmp_path / "another machine", **words)
    again = upload(source, f"gs://{bucket.name}/", tmp_path / "a third", **words)

    assert (report.errors, report.items["parts_kept"], again.items["unchanged"]) == ([], 6, 1)
    assert bucket.read(source.name) == source.read_bytes()
    assert door.kinds == {"Bearer"}
    source.write_bytes(random.Random(3).randbytes(SIZE))
    assert upload(source, f"gs://{bucket.name}/", tmp_path / "a third", **words).items["sent"] == 1


def test_the_mode_decides_which_protocol_is_spoken(source):
    for mode, in_order in (("parallel", False), ("sequential", True)):
        found = select([str(source)], "gs://bucket/p/", UploadOptions(mode=mode))
        assert (str(found.destination), open_store(found.destination).in_order) == ("gs://bucket", in_order)
        assert found.files[0].key == f"p/{source.name}"
