"""Google Drive: bytes in order, from where the server says that it stands, whatever happens to an answer."""

import random
import time

import pytest

from anabranch.core.errors import AnabranchError, UsageError
from anabranch.core.here import map_here
from anabranch.core.parts import Job
from anabranch.uploads import retrying
from anabranch.uploads.ledger import FOLDER
from anabranch.uploads.options import UploadOptions
from anabranch.uploads.preview import check, preview
from anabranch.uploads.ranges import RangeFile, summed
from anabranch.uploads.stores.base import Destination, Head, UploadGoneError
from anabranch.uploads.stores.opening import open_store
from anabranch.uploads.way import way
from tests.uploads.drive import QUANTUM, Drive
from tests.uploads.sending import upload

CHUNK = 2 * QUANTUM
SIZE = 3 * (1 << 20) + 1000  # seven chunks


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(retrying, "LONGEST_WAIT", 0.01)
    monkeypatch.setattr(retrying, "PATIENCE", 0.5)
    monkeypatch.setenv("TEST_ACCESS_TOKEN", "secret-token")


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "a b+ü&%'.bin"
    path.write_bytes(random.Random(1).randbytes(SIZE))
    return path


def send(source, drive, work_dir, **options):
    return upload(source, "gdrive://folder-id", work_dir, endpoint=drive.endpoint, credentials="env:TEST",
                  **{"part_size": f"{CHUNK}", **options})  # fmt: skip


@pytest.fixture
def store():
    with Drive() as drive:
        yield open_store(Destination("gdrive", "folder-id", drive.endpoint, "env:TEST")), drive


def body(source, offset, length=CHUNK):
    return RangeFile(str(source), offset, length)


def test_the_contract_of_a_store_that_takes_bytes_in_order(store, source):
    store, drive = store
    session = store.start(source.name, SIZE)
    assert store.query_offset(session, SIZE) == 0
    assert store.append(session, 0, body(source, 0), SIZE) == CHUNK
    assert store.append(session, 0, body(source, 0), SIZE) == CHUNK  # again: nothing is doubled
    with pytest.raises(AnabranchError, match="400 gap"):
        store.append(session, 3 * CHUNK, body(source, 3 * CHUNK), SIZE)
    assert store.query_offset(session, SIZE) == CHUNK
    made = store.append(session, CHUNK, body(source, CHUNK, SIZE - CHUNK), SIZE)
    with body(source, 0, SIZE) as whole:
        assert made == store.query_offset(session, SIZE) == Head(SIZE, summed(whole).md5)
    assert drive.objects == {source.name: source.read_bytes()}
    assert store.same(source.name, store.head(source.name), str(source), CHUNK, bool)

    other = store.start("other", SIZE)
    store.cancel(other)
    store.cancel(other)
    with pytest.raises(UploadGoneError):
        store.query_offset(other, SIZE)


@pytest.mark.parametrize("behaviour", ["plain", "no-range", "short-range", "gone-410", "rate-403", "500", "lost-final"])
def test_what_passes_ends_in_the_right_object(source, tmp_path, behaviour):
    with Drive(behaviour) as drive:
        report = send(source, drive, tmp_path / "work")

    assert report.errors == []
    assert drive.objects == {source.name: source.read_bytes()}
    assert drive.seen["start"] == (2 if behaviour == "gone-410" else 1)
    assert (drive.seen["query"] > 0) == (behaviour not in ("plain", "no-range", "short-range", "gone-410"))


@pytest.mark.parametrize(("behaviour", "code", "exit_code"), [
    ("storage-quota", "destination-full", 5), ("daily-quota", "destination-away", 5), ("gone-always", "upload-gone", 1),
])  # fmt: skip
def test_what_does_not_pass_leaves_the_former_object(source, tmp_path, behaviour, code, exit_code):
    with Drive(behaviour) as drive:
        drive.objects[source.name] = b"former"
        try:
            found = send(source, drive, tmp_path / "work").errors[0].code, 1
        except AnabranchError as error:
            found = error.code, error.exit_code

        assert found == (code, exit_code)
        assert drive.objects == {source.name: b"former"}
        if code == "destination-full":
            assert drive.seen["chunk"] == 3  # no storm of retries
        chunks, drive.behaviour = drive.seen["chunk"], "plain"
        send(source, drive, tmp_path / "work")
        assert drive.objects == {source.name: source.read_bytes()}
        assert code == "upload-gone" or drive.seen["chunk"] - chunks == 5  # two of seven were there


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1])
def test_sizes_at_the_edges_of_chunks(tmp_path, size):
    source = tmp_path / "source"
    source.write_bytes(random.Random(2).randbytes(size))
    with Drive() as drive:
        send(source, drive, tmp_path / "work")
        again = send(source, drive, tmp_path / "work")

    assert drive.objects == {"source": source.read_bytes()}
    assert again.items["unchanged"] == 1


def test_a_file_that_changes_while_it_is_sent_fails(source, tmp_path):
    def changing(work, plan):
        with source.open("ab") as file:
            file.write(b"more")
        return map_here(work, plan)

    with Drive() as drive:
        options = UploadOptions(endpoint=drive.endpoint, credentials="env:TEST", part_size=str(CHUNK))
        report = way(Job([str(source)], "gdrive://folder-id", options, tmp_path / "work", 1), changing)

    assert [error.code for error in report.errors] == ["source-changed"]
    assert drive.objects == {}


def test_the_plan_says_why_there_are_no_parts(source, tmp_path):
    options = UploadOptions(part_size=str(CHUNK), parts_in_flight=8)
    plan = preview(Job([str(source)], "gdrive://folder-id", options, tmp_path, 1))

    assert len(plan.parts) == 1
    assert ("gdrive://folder-id", "takes the bytes of a file in order: files go in parallel, not parts") in plan.notes()


def test_chunks_that_google_would_refuse_are_refused_before_anything_is_sent(source, tmp_path):
    with Drive() as drive, pytest.raises(UsageError, match="not a multiple of 262,144 bytes"):
        send(source, drive, tmp_path / "work", part_size="300000")

    assert drive.seen == {}


def test_the_address_of_a_session_is_in_the_ledger_alone_and_for_its_owner_only(source, tmp_path):
    with Drive("storage-quota") as drive, pytest.raises(AnabranchError) as caught:
        send(source, drive, tmp_path / "work")

    (session,) = drive.sessions
    assert session not in str(caught.value)
    holders = [path for path in tmp_path.rglob("*") if path.is_file() and session.encode() in path.read_bytes()]
    assert [path.parent for path in holders] == [tmp_path / "work" / FOLDER]
    assert holders[0].stat().st_mode & 0o777 == 0o600
    assert not any(b"secret-token" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_requests_come_no_faster_than_asked_for(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(4):
        (tmp_path / "in" / str(number)).write_bytes(bytes(1000))
    began = time.monotonic()
    with Drive() as drive:
        report = send(tmp_path / "in", drive, tmp_path / "work", requests_per_minute=1200)

    assert (report.items["sent"], sum(drive.seen.values())) == (4, 4 * 4)  # looked for twice, started, sent
    assert time.monotonic() - began >= (4 * 4 - 1) * 60 / 1200


def test_a_bucket_is_refused_requests_per_minute(tmp_path):
    with pytest.raises(UsageError, match="s3://bucket has no limit of requests per minute"):
        check([str(tmp_path)], "s3://bucket/", UploadOptions(requests_per_minute=10))
