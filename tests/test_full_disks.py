"""A full disk ends every column alike, whichever folder is on it: resumable, and told with folder, bytes and remedy."""

import errno
import os
import pickle
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from anabranch.core.errors import AnabranchError, TemporaryError, as_ours
from anabranch.core.here import map_here, on_threads
from anabranch.core.parts import Job
from anabranch.core.sizes import size_in_bytes, size_shown
from anabranch.core.storage import published
from anabranch.files.join import join
from anabranch.files.options import ConvertOptions
from anabranch.files.pipeline.join import join as join_results
from anabranch.files.pipeline.options import PipelineOptions
from anabranch.files.pipeline.way import way as run_pipeline
from anabranch.files.way import way as convert
from anabranch.logs.options import LogOptions
from anabranch.logs.way import way as parse
from anabranch.photos.options import PhotoOptions
from anabranch.photos.sample import Shot, jpeg, tiff
from anabranch.photos.way import way as extract
from anabranch.run.server import ensure_server
from anabranch.tables.options import ImportOptions
from anabranch.tables.stores.sqlite import Sqlite
from anabranch.tables.way import way as import_rows
from anabranch.uploads.options import UploadOptions
from anabranch.uploads.way import way as upload
from tests.logs.archives import line, write

ROWS = "".join(f"{number},{number}\n" for number in range(1000))
MOVES = {"work": "--work-dir (or ANABRANCH_WORK_DIR)", "output": "another output", "database": "--into another file"}


def logs(source, output, work, database):
    archive = write(source / "unit.tar.gz", {"messages.log": line() * 100})
    job = Job([archive], f"{output}/out.txt", LogOptions(), work / "anabranch", 1)
    return parse(job, on_threads(1))


def files(source, output, work, database):
    (source / "in.csv").write_text("a,b\n" + ROWS)
    job = Job([f"{source}/in.csv"], f"{output}/out", ConvertOptions(), work / "anabranch", 1)
    return join(convert(job, on_threads(1)))


def pipeline(source, output, work, database):
    (source / "in.csv").write_text("a,b\n" + ROWS)
    job = Job([f"{source}/in.csv"], f"{output}/out", PipelineOptions(function="json:dumps"), work / "anabranch", 1)
    return join_results(run_pipeline(job, on_threads(1)))


def tables(source, output, work, database):
    """Some rows are rejected, so that there is a report."""
    (source / "in.csv").write_text("a,b\n" + ROWS.replace("9,", "x,"))
    into = f"{database}/t.db"
    options = ImportOptions(into=f"sqlite:///{into}", table="t", on_reject="quarantine")
    job = Job([f"{source}/in.csv"], str(output), options, work / "anabranch", 1)
    return import_rows(job, on_threads(1), lambda: Sqlite(into))


def photos(source, output, work, database):
    (source / "a.jpg").write_bytes(jpeg(tiff(Shot(47.5, 8.5))))
    job = Job([str(source)], f"{output}/out.csv", PhotoOptions(), work / "anabranch", 1)
    return extract(job, on_threads(1))


def uploads(source, output, work, database):
    (source / "a.bin").write_bytes(bytes(300_000))
    return upload(
        Job([f"{source}/a.bin"], str(output), UploadOptions(part_size="64KiB"), work / "anabranch", 1), on_threads(1)
    )


SIZE, LEFT = 1 << 20, 64 << 10  # bytes of the small disk, and those that are left where some are


class SmallDisk:
    def __init__(self, place):
        self.place = place

    def fill(self, left=0):
        (self.place / "taken").write_bytes(bytes(shutil.disk_usage(self.place).free - left))

    @property
    def written(self):
        return [path for path in self.place.rglob("*") if path.is_file() and path.name not in {"taken", "t.db"}]


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this user may not mount a disk: {done.stderr.strip()}")
    yield SmallDisk(place)
    subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
def places(tmp_path):
    """Make the folders of a job, one of them on the disk."""

    def make(disk, full):
        found = {
            name: disk.place if name == full else tmp_path / name for name in ("source", "output", "work", "database")
        }
        for place in found.values():
            place.mkdir(exist_ok=True)
        with closing(sqlite3.connect(found["database"] / "t.db")) as database:
            database.execute("CREATE TABLE t (a BIGINT, b BIGINT)")
        return found

    return make


@pytest.mark.parametrize(
    ("column", "full"),
    [(column, full) for column in (logs, files, pipeline, tables, photos, uploads) for full in ("work", "output")]
    + [(tables, "database")],
)
def test_a_full_disk_ends_every_column_alike_and_says_what_to_do(column, full, small_disk, places):
    where = places(small_disk, full)
    small_disk.fill()

    with pytest.raises((AnabranchError, OSError)) as raised:
        column(**where)

    error = as_ours(raised.value)
    assert (error.exit_code, error.code) == (5, "disk-full")
    assert f"the disk of {small_disk.place}" in error.reason
    assert "0 bytes are free" in error.reason
    assert MOVES[full] in error.remedy
    assert not [path for path in small_disk.written if path.stat().st_size]


def big_logs(source, output, work, database):
    """A report of 400 KB, of an archive that cannot be compressed well."""
    noise = b"".join(line(f"{os.urandom(60).hex()} Stop streaming") for _ in range(3000))
    job = Job(
        [write(source / "unit.tar.gz", {"messages.log": noise})],
        f"{output}/out.txt",
        LogOptions(mode="md"),
        work / "anabranch",
        1,
    )
    return parse(job, on_threads(1))


def big_files(source, output, work, database):
    (source / "in.csv").write_text("a\n" + "0123456789\n" * 30_000)
    job = Job([f"{source}/in.csv"], f"{output}/out", ConvertOptions(to="csv"), work / "anabranch", 1)
    return join(convert(job, on_threads(1)))


def big_upload(source, output, work, database):
    (source / "a.bin").write_bytes(bytes(300_000))
    return upload(Job([f"{source}/a.bin"], str(output), UploadOptions(), work / "anabranch", 1), pytest.fail)


@pytest.mark.parametrize(
    ("column", "full", "least"),
    [(big_logs, "work", 650_000), (big_files, "output", 330_000), (big_upload, "output", 300_000)],
)
def test_what_certainly_does_not_fit_is_refused_before_it_is_written(column, full, least, small_disk, places):
    where = places(small_disk, full)
    small_disk.fill(LEFT)

    with pytest.raises(TemporaryError, match=r"\[disk-full\]") as raised:
        column(**where)

    needed, free = re.search("at least (.*) are needed, and (.*) are free", raised.value.reason).groups()
    assert size_in_bytes(needed) == pytest.approx(least, rel=0.5)
    assert free == size_shown(LEFT)
    assert small_disk.written == []


def test_a_file_that_did_not_fit_says_how_much_it_was_to_have_and_leaves_the_old_one(small_disk):
    target = small_disk.place / "report.txt"
    target.write_text("old")
    small_disk.fill(LEFT)

    with pytest.raises(OSError, match="No space left") as raised, published(target) as file:
        file.writelines([bytes(10_000)] * 100)

    error = as_ours(pickle.loads(pickle.dumps(raised.value)))  # as it comes from a worker
    needed = re.search("at least (.*) are needed", error.reason)
    assert LEFT < size_in_bytes(needed[1]) <= LEFT + 20_000
    assert f"{size_shown(LEFT)} are free" in error.reason
    assert (error.item, target.read_text()) == (str(target), "old")


def test_an_upload_that_was_begun_is_not_refused_for_the_room_that_it_takes_already(small_disk, places):
    where = places(small_disk, "output")
    with pytest.raises(AnabranchError, match="was killed"):
        upload_in_parts(**where, dies=True)
    small_disk.fill(250_000)

    assert upload_in_parts(**where, dies=False).items["sent"] == 1


def upload_in_parts(source, output, work, database, dies):
    """Send a file of 300 KB, for which room is kept when its upload begins; it dies after the first part."""
    (source / "a.bin").write_bytes(bytes(300_000))
    ended = []

    def seen(outcome):
        ended.append(outcome)
        if dies and len(ended) == 1:
            raise AnabranchError("killed", "it was killed", "")

    options = UploadOptions(part_size="64KiB", parts_in_flight=1)
    return upload(
        Job([f"{source}/a.bin"], str(output), options, work / "anabranch", 1),
        lambda w, plan: map_here(w, plan, 1, seen),
    )


def test_the_state_folder_needs_room_for_a_server(small_disk, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("ANABRANCH_STATE_DIR", str(small_disk.place / "state"))

    with pytest.raises(TemporaryError, match=r"at least 19.07 MiB are needed.*ANABRANCH_STATE_DIR.*\[disk-full\]"):
        ensure_server()


@pytest.mark.server
@pytest.mark.parametrize("full", ["work", pytest.param("output", marks=pytest.mark.soak)])
def test_a_command_ends_with_5(full, small_disk, places, prefect_server):
    where = places(small_disk, full)
    archive = write(where["source"] / "unit.tar.gz", {"messages.log": line() * 100})
    small_disk.fill()

    command = [
        sys.executable,
        "-m",
        "anabranch.command.cli",
        "parse-logs",
        archive,
        "--output",
        f"{where['output']}/out.txt",
    ]
    done = subprocess.run([*command, "--work-dir", where["work"]], capture_output=True, text=True, check=False)

    assert done.returncode == 5
    assert f"the disk of {small_disk.place}" in done.stderr
    assert MOVES[full] in done.stderr


LIMITED = """
import resource, sys
from pathlib import Path
from anabranch.core.errors import as_ours
from anabranch.core.sizes import size_in_bytes, size_shown
from anabranch.core.storage import published
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    with published(Path("out.txt")) as file:
        file.write(bytes(20_000))
except OSError as error:
    print(as_ours(error))
"""


def test_a_limit_of_the_size_of_files_is_told_like_a_full_disk(tmp_path):
    done = subprocess.run([sys.executable, "-c", LIMITED], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert f"a file in {tmp_path} may not get any bigger" in done.stdout
    assert "at least 19.53 KiB are needed" in done.stdout
    assert "[disk-full]" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize(
    ("below", "moved"),
    [
        ("state/prefect/x.db", "ANABRANCH_STATE_DIR"),
        ("work/anabranch/x", "--work-dir"),
        ("elsewhere/anabranch/logs/0123456789abcdef0123456789abcdef/x.text", "--work-dir"),
        ("out/report.txt", "another output"),
        (None, "--work-dir"),
    ],
)
def test_every_way_in_which_a_disk_is_full_names_the_option_that_moves_the_folder(
    number, below, moved, tmp_path, monkeypatch
):
    monkeypatch.setenv("ANABRANCH_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("ANABRANCH_WORK_DIR", str(tmp_path / "work"))

    error = as_ours(OSError(number, os.strerror(number), *([str(tmp_path / below)] if below else [])))

    assert (error.code, error.exit_code) == ("disk-full", 5)
    assert str(tmp_path) in error.reason or below is None
    assert moved in error.remedy or below is None
