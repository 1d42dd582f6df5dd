"""An archive that changes during a run must not be taken for the one that was planned."""

import bz2
import gzip
import os
from pathlib import Path

import pytest

from anabranch.core.errors import SourceError
from anabranch.logs.options import LogOptions
from anabranch.logs.plan import plan
from anabranch.logs.unpack import survey
from anabranch.logs.work import work
from anabranch.sources.unpack import unpack
from tests.logs.archives import flow, tar_of


def change(path, pack):
    """Put another archive in its place, of the same size and time."""
    before = path.stat()
    path.write_bytes(pack(tar_of({"messages.log": flow(2)})))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert after.st_mtime_ns == before.st_mtime_ns
    assert after.st_size == before.st_size or pack is bz2.compress


@pytest.mark.parametrize(("name", "pack"), [("unit.tar.gz", gzip.compress), ("unit.tar.bz2", bz2.compress)])
def test_a_slice_of_another_archive_is_not_kept(tmp_path, name, pack):
    source = tmp_path / name
    source.write_bytes(pack(tar_of({"messages.log": flow(1)})))
    slices = survey([str(source)], tmp_path / "work", threads=1)
    change(source, pack)

    manifest = unpack(slices.parts[0])

    assert [error.code for error in manifest.errors] == ["source-changed"]
    assert manifest.files == ()
    assert not Path(slices.parts[0].slices[0].target).exists()


def test_a_part_of_another_plain_archive_is_not_kept(tmp_path):
    source = tmp_path / "unit.tar"
    source.write_bytes(tar_of({"messages.log": flow(1)}))
    logs = plan(survey([str(source)], tmp_path / "work", threads=1), [], LogOptions(), threads=1)
    logs.save()
    change(source, lambda tar: tar)

    with pytest.raises(SourceError, match="it changed during the run"):
        work(logs.parts[0])
    assert [path.suffix for path in (tmp_path / "work").rglob("*") if path.is_file()] == [".catalogue"]
