"""Checksums that a server lists of parts and tells of objects, as Amazon's does, and those of other programs."""

import hashlib
import random
from base64 import b64encode

import pytest

from anabranch.uploads.ranges import RangeFile, summed
from anabranch.uploads.stores.opening import open_store
from tests.uploads.conftest import new_bucket
from tests.uploads.sending import PART, Crash, upload

pytestmark = pytest.mark.soak

SIZE = int(PART)


@pytest.fixture
def goal(ministack, monkeypatch):
    return new_bucket(ministack, monkeypatch)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(random.Random(1).randbytes(5 * SIZE + 1000))
    return path


def test_the_checksums_that_a_server_lists_are_those_of_the_file(goal, source, tmp_path):
    with pytest.raises(Crash):
        upload(source, f"{goal.url}/", tmp_path / "work", endpoint=goal.server.endpoint, crash_after=3)
    store = open_store(goal.destination)
    ((unfinished, _),) = store.list_uploads("source")

    listed = store.list_parts(unfinished)

    assert len(listed) == 3
    for part in listed:
        with RangeFile(str(source), (part.number - 1) * SIZE, part.size) as body:
            total = summed(body)
        assert (part.md5, part.crc64) == (total.md5, total.crc64)

    report = upload(source, f"{goal.url}/", tmp_path / "elsewhere", endpoint=goal.server.endpoint)
    assert report.items["parts_kept"] == 3
    assert goal.read("source") == source.read_bytes()


def test_an_object_with_composite_checksums_of_another_program_is_known_as_the_same(goal, source, tmp_path):
    parts = foreign(goal, source, count=6)
    goal.client.complete_multipart_upload(
        Bucket=goal.name, Key="source", UploadId=parts["upload"], MultipartUpload={"Parts": parts["parts"]}
    )
    head = goal.client.head_object(Bucket=goal.name, Key="source", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"].endswith("-6")

    report = upload(source, f"{goal.url}/", tmp_path / "work", endpoint=goal.server.endpoint)

    assert report.items["unchanged"] == 1


def test_an_unfinished_upload_with_composite_checksums_of_another_program_is_left_alone(goal, source, tmp_path):
    parts = foreign(goal, source, count=2)

    report = upload(source, f"{goal.url}/", tmp_path / "work", endpoint=goal.server.endpoint)

    assert (report.items["sent"], report.items["parts_kept"]) == (1, 0)
    assert goal.read("source") == source.read_bytes()
    assert [one["UploadId"] for one in goal.client.list_multipart_uploads(Bucket=goal.name)["Uploads"]] == [
        parts["upload"]
    ]


def foreign(goal, source, count):
    """Begin an upload whose parts have SHA-256, and send some; return its id, and what completes it."""
    named = {"Bucket": goal.name, "Key": "source"}
    begun = goal.client.create_multipart_upload(**named, ChecksumAlgorithm="SHA256")["UploadId"]
    sent = []
    for number in range(1, count + 1):
        data = source.read_bytes()[(number - 1) * SIZE : number * SIZE]
        total = b64encode(hashlib.sha256(data).digest()).decode()
        answer = goal.client.upload_part(**named, UploadId=begun, PartNumber=number, Body=data, ChecksumSHA256=total)
        sent.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": total})
    return {"upload": begun, "parts": sent}
