"""A part in flight stops at the next MiB, with every store, and nothing of it counts as sent."""

import random

import pytest

from anabranch.core.errors import Stopped
from anabranch.core.here import map_here
from anabranch.core.moving import listening
from anabranch.core.parts import Job
from anabranch.uploads.options import UploadOptions
from anabranch.uploads.way import way
from tests.uploads.drive import Drive

MIB = 1 << 20


def send_until(size, source, output, work_dir, **options):
    """Ask every part to stop once so many bytes of it were read for sending; return what was read of each."""
    read = {}

    def stopping(work):
        def worked(part, _):
            read[part.label] = 0

            def say(place):
                read[part.label] = max(read[part.label], place)

            with listening(say):
                return work(part, lambda: read[part.label] >= size)

        return worked

    job = Job([str(source)], str(output), UploadOptions(part_size="8MiB", **options), work_dir, 1)
    with pytest.raises(Stopped):
        way(job, lambda work, plan: map_here(stopping(work), plan, 1))
    return read


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(random.Random(1).randbytes(17 * MIB))
    return path


def test_a_part_for_a_bucket_stops(source, bucket, tmp_path):
    read = send_until(2 * MIB, source, f"{bucket.url}/", tmp_path / "work", endpoint=bucket.server.endpoint)

    assert read == {f"part 1 of {source}": 2 * MIB}
    (upload,) = bucket.client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]
    listed = bucket.client.list_parts(Bucket=bucket.name, Key="source", UploadId=upload["UploadId"])
    assert listed.get("Parts", []) == []


def test_a_part_for_a_folder_stops(source, tmp_path):
    read = send_until(2 * MIB, source, f"{tmp_path}/out/", tmp_path / "work")

    assert read == {f"part 1 of {source}": 2 * MIB}
    assert not (tmp_path / "out" / "source").exists()


def test_a_file_that_is_sent_in_order_stops(source, tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_ACCESS_TOKEN", "secret-token")
    with Drive() as drive:
        options = {"endpoint": drive.endpoint, "credentials": "env:TEST"}
        read = send_until(10 * MIB, source, "gdrive://folder", tmp_path / "work", **options)

        assert read == {str(source): 10 * MIB}
        assert drive.objects == {}
