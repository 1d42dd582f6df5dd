"""Copies for readers that go back lie in the work folder, and leave nothing there."""

import gzip
import io
import os
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import anabranch
from anabranch.core.parts import Job
from anabranch.files.listing import listed
from anabranch.files.options import ConvertOptions
from anabranch.formats.reading import chunks, look_at
from anabranch.sources.remote import copied
from tests.files.converting import convert


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """A format whose readers go back, compressed, on a system whose folder for temporary files is of no use."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "full"))
    monkeypatch.setenv("ANABRANCH_WORK_DIR", str(tmp_path / "work"))
    out = io.BytesIO()
    pq.write_table(pa.table({"a": range(5)}), out)
    path = tmp_path / "in" / "some.parquet.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(out.getvalue()))
    return path


def opened() -> list[Path]:
    """Return the files that this process has open."""
    names = Path("/proc/self/fd").iterdir()
    return [Path(os.readlink(name)) for name in names if name.is_symlink()]  # noqa: PTH115  of files without a name


def test_a_job_unpacks_into_its_own_folder_and_leaves_nothing(packed, tmp_path):
    job = Job([str(packed)], str(tmp_path / "out"), ConvertOptions(), tmp_path / "jobs", 1)
    listing = listed(job)
    (source,) = listing.sources
    reading = chunks(source, look_at(source, job.options), job.options, range(1))
    next(reading)

    assert [path for path in opened() if Path(listing.folder) in path.parents]
    reading.close()
    assert [path for path in Path(listing.folder).rglob("*") if path.is_file()] == []


def test_a_conversion_and_the_functions_need_no_folder_for_temporary_files(packed, tmp_path):
    report = convert(packed, tmp_path / "out", work_dir=tmp_path / "jobs", to="csv")
    with anabranch.parallel_read(packed) as reader:
        rows = list(reader)
    result = anabranch.pipeline(packed, tmp_path / "made.jsonl", lambda record: record)

    assert (report.items["rows"], len(rows), result.rec_count) == (5, 5, 5)
    assert not (tmp_path / "full").exists()
    assert [path for path in (tmp_path / "work").rglob("*") if path.is_file()] == []


def test_what_cannot_be_copied_leaves_no_file_open(tmp_path):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise OSError("it fails")

    with pytest.raises(OSError, match="it fails"):
        copied(Broken(), str(tmp_path))

    assert not [path for path in opened() if tmp_path in path.parents]
