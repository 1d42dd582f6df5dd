"""A source that cannot be read replaces no output: every flow and function, with every kind of such a source."""

import gzip
import io
import os
import zipfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

import anabranch
from anabranch.core.errors import AnabranchError
from anabranch.files.pipeline.options import PipelineOptions
from anabranch.library.local import run_here
from anabranch.logs.options import LogOptions
from tests.files.converting import Job, convert
from tests.logs.archives import flow, tar_of
from tests.logs.pipeline import parse_logs

ROWS = b"id,name\n1,a\n2,b\n"
LOGS = tar_of({"messages.log.1": flow(1), "messages.log": flow(2)})
LATER = tar_of({"messages.log.1": flow(2), "messages.log": flow(3)})


def same(record):
    return record


def zipped(text):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inside", text)
    return file.getvalue()


def link(target, path):
    path.unlink()
    path.symlink_to(target)


SPOILT = {  # what becomes of the source, which is compressed by gzip
    "emptied": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_bytes(b"Moved to another server.\n" * 40),
    "zip": lambda path: path.write_bytes(zipped(b"a,b\n1,2\n" * 40)),
    "cut within its header": lambda path: path.write_bytes(path.read_bytes()[:9]),
    "compressed nothing": lambda path: path.write_bytes(gzip.compress(b"")),
    "noise within": lambda path: path.write_bytes(gzip.compress(os.urandom(2000))[:-8]),
    "refused by the system": partial(link, "/proc/self/mem"),  # a regular file that not even root can read
    "gone": partial(link, "nowhere"),
}


def pipeline_by_parts(source, out, work):
    options = PipelineOptions(function=f"{__name__}:same", to="csv")
    return run_here(Job([str(source)], str(out), options, work, 1))[1]


def written_in_parallel(source, out, _work):
    with anabranch.parallel_write(out / "day.csv") as writer, anabranch.parallel_read(source) as reader:
        for record in reader:
            writer.write(record)


FLOWS = {
    "parse_logs": lambda source, out, work: parse_logs([str(source)], out / "report", LogOptions(mode="bw"), work),
    "convert_files": lambda source, out, work: convert(source, out, work_dir=work, to="jsonl"),
    "convert_files combined": lambda source, out, work: convert(
        source, out / "day.parquet", work_dir=work, to="parquet", combine=True
    ),
    "run_pipeline": pipeline_by_parts,
    "bulk_convert": lambda source, out, _work: anabranch.bulk_convert(source, out, to_ext="csv"),
    "pipeline": lambda source, out, _work: anabranch.pipeline(str(source), out / "day.csv", same),
    "pipeline, quarantine": lambda source, out, _work: anabranch.pipeline(
        str(source), out / "day.jsonl", same, on_error="quarantine"
    ),
    "parallel_write": written_in_parallel,
}
# A destination to which nothing is written becomes empty, since a program may well have had nothing to say.
WITHOUT_A_ROW = {("parallel_write", kind) for kind in ("emptied", "compressed nothing")}
TABLES = {(flow, "text") for flow in FLOWS if flow != "parse_logs"}  # any text is a table
CASES = [(flow, kind) for flow in FLOWS for kind in SPOILT if (flow, kind) not in WITHOUT_A_ROW | TABLES]


def outputs(folder: Path):
    """The outputs as they are, without the record of what the last run did."""
    found = (path for path in folder.iterdir() if path.name != "manifest.json" and path.suffix != ".json")
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in found}


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_an_output_stays_as_it_is_when_its_source_cannot_be_read(name, kind, tmp_path, monkeypatch):
    monkeypatch.setenv("ANABRANCH_WORK_DIR", str(tmp_path / "work"))
    source, out = tmp_path / ("day.tar.gz" if name == "parse_logs" else "day.csv.gz"), tmp_path / "out"
    out.mkdir()
    source.write_bytes(gzip.compress(LOGS if name == "parse_logs" else ROWS))
    FLOWS[name](source, out, tmp_path / "work")
    before = outputs(out)
    SPOILT[kind](source)

    with suppress(AnabranchError):  # which names the source, or the report does
        assert not getattr(FLOWS[name](source, out, tmp_path / "work"), "outputs", ())

    assert len(before) == 1
    assert outputs(out) == before


@pytest.mark.parametrize("kind", SPOILT)
def test_an_archive_that_cannot_be_read_replaces_no_report_of_its_own_beside_others(kind, tmp_path):
    for name in ("bad", "good"):
        (tmp_path / f"{name}.tar.gz").write_bytes(gzip.compress(LOGS))
    sources = [str(tmp_path / f"{name}.tar.gz") for name in ("bad", "good")]
    parse_logs(sources, tmp_path / "out", LogOptions(mode="bw,md"), tmp_path / "work")
    before = outputs(tmp_path / "out")
    SPOILT[kind](tmp_path / "bad.tar.gz")
    (tmp_path / "good.tar.gz").write_bytes(gzip.compress(LATER))
    sources = [str(tmp_path)]  # named one by one, a link to nowhere is refused

    report = parse_logs(sources, tmp_path / "out/", LogOptions(mode="bw,md"), tmp_path / "work")

    after = outputs(tmp_path / "out")
    assert [error.part for error in report.errors] == ["bad.tar.gz"]
    assert {name for name in before if after[name] != before[name]} == {"good.tar.gz.bw.txt"}  # no modem is in either
