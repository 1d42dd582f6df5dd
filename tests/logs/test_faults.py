"""Whatever system call of the engine fails or kills it, each report is the old one, the new one or not there."""

import re
from pathlib import Path
from signal import SIGKILL

import pytest

from tests.faults import BROKEN, FULL, KILL
from tests.forks import LASTING, forking, injected_forks
from tests.logs.small import parse, write_archive

pytestmark = pytest.mark.faults

ENGINE = "tests.logs.small:parse"
OLD = b"the report of yesterday\n"
LIE = "retval=3"  # the call says that it wrote three bytes, and wrote none
WRITING = ("write", "fsync", "rename")
READING = ("openat", "read", "preadv2")
# Python makes one exception of every error of a call, so that one error of each is enough but for the soak.
ONCE = [("write", KILL), ("fsync", KILL), ("rename", FULL), ("write", LIE)]
DENSE = [
    *((call, FULL) for call in ("write", "fsync")),
    ("rename", KILL),
    ("preadv2", BROKEN),
    *((call, fault) for call in WRITING for fault in (BROKEN, FULL + LASTING, BROKEN + LASTING)),
    *((call, fault) for call in ("openat", "read") for fault in (KILL, BROKEN)),
    *((call, BROKEN + LASTING) for call in READING),
    ("write", LIE + LASTING),
]
REMARKS = {FULL: "No space left", BROKEN: "Input/output error", LIE: "fewer bytes than were written|invalid length"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("archive") / "unit.tar.bz2"
    write_archive(path)
    return path


@pytest.fixture(scope="module")
def undisturbed(archive):
    output = archive.parent / "reports"
    parse(str(archive), f"{output}/", str(archive.parent / "work"))
    return _files(output)


@pytest.mark.parametrize(
    ("call", "fault"),
    [*ONCE, *(pytest.param(*each, marks=pytest.mark.soak) for each in DENSE)],
    ids=lambda value: value.partition("=")[2] or value,
)
def test_a_fault_at_any_call_leaves_old_or_new_reports_and_the_next_run_succeeds(
    archive, undisturbed, tmp_path, call, fault
):
    output = tmp_path / "reports"
    arguments, warm_up = (
        _arguments(archive, tmp_path, output),
        _arguments(archive, tmp_path / "warm", tmp_path / "warm"),
    )
    before = dict[str, bytes]()
    count = 0

    for run in injected_forks(ENGINE, arguments, warm_up, call, fault=fault, log=tmp_path / "trace"):
        count += 1
        reports = _files(output)
        assert run.returncode or reports == undisturbed
        assert run.returncode or call in READING
        assert run.returncode in (-SIGKILL, 0) or re.search(REMARKS[fault.rstrip(LASTING)], run.stderr)
        assert all(reports.get(name) in (text, before.get(name)) for name, text in undisturbed.items())
        parse(*arguments)
        assert _files(output) == undisturbed
        before = dict.fromkeys(undisturbed, OLD) if count % 2 else {}
        _lay(output, before)

    assert count >= len(undisturbed)


def test_a_reports_bytes_reach_the_disk_before_its_name_and_its_name_before_the_next_step(
    archive, undisturbed, tmp_path
):
    output, log = tmp_path / "reports", tmp_path / "trace"
    warm_up = _arguments(archive, tmp_path / "warm", tmp_path / "warm")

    with forking(ENGINE, warm_up, log, "trace=fsync,rename") as run:
        assert run(_arguments(archive, tmp_path, output)).returncode == 0

    calls = re.findall(r'fsync\(\d+<(.+)>\) += 0|rename\("(.+)", "(.+)"\) += 0', log.read_text())
    for report in undisturbed:
        (place,) = [place for place, (_, _, new) in enumerate(calls) if new == f"{output}/{report}"]
        aside = calls[place][1]
        assert [calls[place - 1][0], calls[place + 1][0]] == [aside, str(output)]


def _arguments(archive: Path, work_dir: Path, output: Path) -> list[str]:
    return [str(archive), f"{output}/", str(work_dir / "work")]


def _files(folder: Path) -> dict[str, bytes]:
    """Read the reports; what a killed run has left beside them begins with a dot."""
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}


def _lay(folder: Path, files: dict[str, bytes]) -> None:
    for path in folder.iterdir():
        path.unlink()
    for name, text in files.items():
        (folder / name).write_bytes(text)
