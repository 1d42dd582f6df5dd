"""A conversion holds nothing when it is over, however it ends: files and threads are as many as before it."""

import shutil
from pathlib import Path

import pytest

import anabranch
from anabranch.core.errors import Stopped, TemporaryError
from anabranch.core.here import map_here
from anabranch.core.parts import Job
from anabranch.files.join import join
from anabranch.files.options import ConvertOptions
from anabranch.files.way import way
from anabranch.files.work import work
from tests.files.small import small_scale, write_sources
from tests.held import held, more_than

TO = ["parquet", "csv.gz", "json", "arrow", "orc.zst"]


@pytest.fixture
def sources(tmp_path):
    write_sources(tmp_path / "sources")
    return tmp_path / "sources"


def job_of(sources: Path, **options) -> Job[ConvertOptions]:
    folder = sources.parent
    return Job([str(sources)], str(folder / "out"), ConvertOptions(**options), folder / "work", 3, refresh=True)


def convert(job, step=work):
    """Convert on three threads; `step` does the parts of the last map."""
    return join(way(job, lambda one, plan: map_here(step if one is work else one, plan, 3)))


@pytest.mark.parametrize("to", TO)
def test_a_conversion_leaves_nothing_open(sources, to):
    job = job_of(sources, to=to, on_bad_row="quarantine")
    with small_scale():
        convert(job)
        before = held()
        assert convert(job).items["converted"] == 3

        assert not more_than(before)


@pytest.mark.parametrize("to", TO)
def test_a_conversion_that_is_stopped_or_fails_leaves_nothing_open(sources, to):
    def stopped(part, _stop):
        return work(part, lambda: True)

    def lost(part, _stop):
        manifest = work(part)
        for file in manifest.files:
            Path(file.path).unlink()
        return manifest

    (sources / "cut.csv.gz").write_bytes((sources / "members.csv.gz").read_bytes()[:-9])
    (sources / "cut.json").write_bytes(b'[{"a": 1}, {"a"')
    job = job_of(sources, to=to)
    with small_scale():
        convert(job)
        before = held()
        assert convert(job).items["failed"] == 3
        with pytest.raises(Stopped):
            convert(job, stopped)
        with pytest.raises(TemporaryError):
            convert(job, lost)

        assert not more_than(before)


def test_a_bulk_conversion_leaves_nothing_open(sources):
    def run():
        shutil.rmtree(sources.parent / "out", ignore_errors=True)
        return anabranch.bulk_convert(str(sources), str(sources.parent / "out"), to_ext="csv", workers=3)

    run()
    before = held()
    assert run().failed_files == 1

    assert not more_than(before)
