"""The outer compression of archives, by the slices that data files are unpacked in, too."""

import gzip
import random
import shutil
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import fsspec
import pytest

from anabranch.core.parts import Outcome
from anabranch.logs.options import LogOptions
from anabranch.logs.plan import plan
from anabranch.logs.unpack import survey
from anabranch.sources import bounds
from anabranch.sources.unpack import uncut, unpack
from tests.files.packing import PACK
from tests.logs.archives import flow, tar_of
from tests.logs.pipeline import outcomes, parse_logs

BW = LogOptions(mode="bw")
NOISE = random.Random(1).randbytes(60_000)
LOGS = tar_of(
    {
        "messages.log.2": b"".join(map(flow, range(400))),
        "core": NOISE,
        "messages.log.1.gz": gzip.compress(b"".join(map(flow, range(400, 500)))),
        "messages.log": b"".join(map(flow, range(500, 900))),
    }
)
CODECS = sorted(PACK)


@contextmanager
def many_slices():
    with patch("anabranch.logs.unpack._WHOLE", 0), patch("anabranch.core.batches.SMALLEST_PART", 1e-5):
        yield


def members(pack, size=9000):
    """Compress in streams, one after the other."""
    return b"".join(pack(LOGS[start : start + size]) for start in range(0, len(LOGS), size))


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    (folder / "unit.tar").write_bytes(LOGS)
    parse_logs([str(folder / "unit.tar")], folder / "out", BW, folder / "work")
    return (folder / "out").read_bytes()


def parsed(source, folder):
    with many_slices():
        report = parse_logs([str(source)], folder / "out", BW, folder / "work")
    return report, (folder / "out").read_bytes()


@pytest.mark.parametrize("ending", ["tar", "dat"])
@pytest.mark.parametrize("codec", CODECS)
def test_archives_of_every_codec_are_read(codec, ending, tmp_path, expected):
    (tmp_path / f"unit.{ending}").write_bytes(PACK[codec](LOGS))

    report, text = parsed(tmp_path / f"unit.{ending}", tmp_path)

    assert (report.errors, text) == ([], expected)


@pytest.mark.parametrize("codec", CODECS)
def test_archives_of_many_streams_are_unpacked_in_slices(codec, tmp_path, expected):
    (tmp_path / "unit.tar").write_bytes(members(PACK[codec]))

    with many_slices():
        slices = survey([str(tmp_path / "unit.tar")], tmp_path / "work", 4)
    report, text = parsed(tmp_path / "unit.tar", tmp_path)

    assert sum(len(part.slices) for part in slices.parts) > 2
    assert (report.errors, text) == ([], expected)


def test_an_archive_cut_within_a_member_is_unpacked_again_as_a_whole(tmp_path):
    inner = gzip.compress(b"".join(map(flow, range(400))))
    stored = tar_of({f"messages.log.{number}.gz": inner for number in range(40)})
    archive = tmp_path / "unit.tar.gz"
    archive.write_bytes(gzip.compress(stored, 0))
    with many_slices(), patch("anabranch.sources.cutting._PROOF", 1):
        slices = survey([str(archive)], tmp_path / "work", 4)

    first = outcomes(unpack, slices.parts)
    again = uncut(slices, first)
    logs = plan(slices, [*first, *outcomes(unpack, again.parts)], BW, 4)

    assert sum(len(part.slices) for part in slices.parts) > 1
    (whole,) = (one for part in again.parts for one in part.slices)
    assert (whole.bits, whole.keeps) == (range(archive.stat().st_size * 8), True)
    assert len({part.key for part in (*slices.parts, *again.parts)}) == len(slices.parts) + 1
    assert [source.error for source in logs.sources] == [None]
    assert text_of(logs) == stored


def text_of(logs):
    return b"".join(Path(span.path).read_bytes() for span in logs.catalogue.streams[0])


@pytest.mark.parametrize("codec", CODECS)
def test_what_precedes_the_damage_is_in_the_report_whatever_the_codec(codec, tmp_path, expected):
    (tmp_path / "unit.tar").write_bytes(PACK[codec](LOGS)[:-400])

    report, text = parsed(tmp_path / "unit.tar", tmp_path)

    lines = text.split(b"\n", 1)[1].splitlines()
    assert [error.code for error in report.errors] == ["archive-damaged"]
    assert lines[:100] == expected.splitlines()[:100]
    assert text.startswith(b"The untar failed")


@pytest.mark.parametrize("codec", ["", *CODECS])
def test_an_archive_behind_a_url_is_read(codec, tmp_path, expected):
    files = fsspec.filesystem("memory")
    (tmp_path / "folder").mkdir()
    files.pipe("/archives/unit.tar", PACK[codec](LOGS) if codec else LOGS)
    try:
        report = parse_logs(["memory://archives/unit.tar"], tmp_path / "out", BW, tmp_path / "work")
        folder = parse_logs(["memory://archives"], tmp_path / "folder", BW, tmp_path / "work")
    finally:
        files.rm("/archives", recursive=True)

    assert (report.errors, (tmp_path / "out").read_bytes()) == ([], expected)
    assert (tmp_path / "folder/unit.tar.bw.txt").read_bytes() == expected
    assert (report.bytes_in, folder.errors) == (len(PACK[codec](LOGS) if codec else LOGS), [])


def test_what_the_cache_has_in_the_folder_of_another_run_outlives_that_folder(tmp_path, expected):
    for name in ("a.tar.gz", "b.tar.gz"):
        (tmp_path / name).write_bytes(gzip.compress(LOGS))
    earlier, later = (survey([str(tmp_path / name)], tmp_path / "work", 1) for name in ("a.tar.gz", "b.tar.gz"))
    known = outcomes(unpack, earlier.parts)
    cached = [Outcome(part, one.manifest, cached=True) for part, one in zip(later.parts, known, strict=True)]

    logs = plan(later, cached, BW, 1)
    shutil.rmtree(earlier.folder)

    assert text_of(logs) == LOGS
    shutil.rmtree(later.folder)
    assert [source.error.code for source in plan(later, cached, BW, 1).sources] == ["file-changed"]


@pytest.mark.parametrize("codec", ["bz2", "xz", "zst"])
def test_an_archive_that_expands_like_an_attack_is_refused_and_leaves_its_old_report(codec, tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "MOST_BYTES", 1 << 20)
    source = tmp_path / f"unit.tar.{codec}"
    source.write_bytes(PACK[codec](tar_of({"messages.log": flow(1), "core": bytes(1 << 26)})))
    (tmp_path / "out").write_text("of an earlier run")

    report = parse_logs([str(source)], tmp_path / "out", BW, tmp_path / "work")

    assert [error.code for error in report.errors] == ["too-large"]
    assert (tmp_path / "out").read_text() == "of an earlier run"
    assert sum(file.stat().st_size for file in (tmp_path / "work").rglob("*")) < 1 << 20
