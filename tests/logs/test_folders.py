"""Logs that lie in a folder, or alone, in place of an archive."""

import bz2
import gzip
import random
from pathlib import Path

import pytest

from anabranch.core.errors import UsageError
from anabranch.core.parts import Job
from anabranch.logs.options import LogOptions
from anabranch.logs.targets import check
from anabranch.logs.way import way
from anabranch.logs.work import work
from tests.logs.archives import flow, write
from tests.logs.pipeline import mapped, parse_logs

LOGS = {
    "messages.log.10.gz": gzip.compress(b"".join(map(flow, range(3)))),
    "messages.log.2": b"".join(map(flow, range(3, 6))) + b"the last line has no end",
    "messages.log": b"".join(map(flow, range(6, 9))),
}
MODES = LogOptions(mode=["bw", "md"])


@pytest.fixture
def unpacked(tmp_path):
    folder = tmp_path / "unit"
    folder.mkdir()
    for name, data in random.Random(1).sample([*LOGS.items(), ("notes.txt", b"no log")], len(LOGS) + 1):
        (folder / name).write_bytes(data)
    return folder


def reports(folder):
    return {path.name.removeprefix("unit.").removeprefix("tar."): path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("named", [
    lambda folder: [folder], lambda folder: [f"{folder}/messages*"], lambda folder: sorted(folder.glob("messages*")),
], ids=["folder", "pattern", "files"])  # fmt: skip
def test_logs_in_a_folder_are_read_as_those_of_an_archive(tmp_path, unpacked, named):
    parse_logs([write(tmp_path / "unit.tar", LOGS)], tmp_path / "expected", MODES, tmp_path / "work")

    report = parse_logs(list(map(str, named(unpacked))), tmp_path / "out", MODES, tmp_path / "work")

    assert reports(tmp_path / "out") == reports(tmp_path / "expected")
    assert (report.errors, report.items["pieces"], report.bytes_in) == ([], 3, sum(map(len, LOGS.values())))


@pytest.fixture(autouse=True)
def folders(tmp_path):
    for name in ("out", "expected"):
        (tmp_path / name).mkdir()


@pytest.mark.parametrize("name", LOGS)
def test_a_single_log_is_a_source(tmp_path, unpacked, name):
    report = parse_logs([str(unpacked / name)], tmp_path / "out" / "r", LogOptions(mode="bw"), tmp_path / "work")

    assert (report.errors, report.items["bw"]) == ([], 3)


def test_an_archive_and_logs_beside_it_give_a_report_each(tmp_path, unpacked):
    write(unpacked / "other.tar.gz", {"messages.log": flow(1)})

    report = parse_logs([str(unpacked)], tmp_path / "out", LogOptions(mode="bw"), tmp_path / "work")

    assert sorted(Path(path).name for path in report.outputs) == ["other.tar.gz.bw.txt", "unit.bw.txt"]
    assert {label: figures["bw"] for label, figures in report.details.items()} == {"other.tar.gz": 1, "unit": 9}


def test_a_log_is_never_overwritten_by_a_report(unpacked):
    with pytest.raises(UsageError):
        check([str(unpacked)], str(unpacked / "messages.log"), LogOptions(mode="bw"))


def test_a_log_that_changes_after_the_plan_ends_the_part(tmp_path, unpacked):
    def changing(step, plan):
        if plan.parts and step is work:
            with (unpacked / "messages.log.2").open("ab") as file:
                file.write(flow(1))
        return mapped(None, step, plan)

    report = way(
        Job([str(unpacked)], str(tmp_path / "out" / "r"), LogOptions(mode="bw"), tmp_path / "work", 2), changing
    )

    assert [error.code for error in report.errors] == ["source-changed"]


NOTHING = "nothing was found in {folder}"
LOOSE = "x: not read, since their names are not messages.log or messages.log.N: "


@pytest.mark.parametrize(
    ("names", "warnings"),
    [
        (["messages.log", "messages"], [LOOSE + "messages"]),
        (["messages.log", "messages-20250926.gz", "messages.1"], [LOOSE + "messages-20250926.gz, messages.1"]),
        (["messages.log", "messages.log-20250926", "MESSAGES.LOG"], [LOOSE + "MESSAGES.LOG, messages.log-20250926"]),
        (["messages.log", "old/messages.log.1", "a/b/messages"], [LOOSE + "a/b/messages, old/messages.log.1"]),
        (
            ["messages.2.bz2"],
            [NOTHING + "; passed over as not named as an archive or a log: messages.2.bz2", LOOSE + "messages.2.bz2"],
        ),
        (["notes.txt"], [NOTHING + "; passed over as not named as an archive or a log: notes.txt"]),
        ([], [NOTHING + ": no file is there"]),
        (["messages.log", "messages-of-the-day.txt", "notes.txt"], []),
    ],
)
def test_files_of_a_folder_that_may_be_logs_but_are_not_read_are_named(tmp_path, names, warnings):
    folder = tmp_path / "x"
    folder.mkdir()
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(flow(1))

    report = parse_logs([str(folder)], tmp_path / "out", LogOptions(mode="bw"), tmp_path / "work")

    assert (report.warnings, report.errors) == ([warning.format(folder=folder) for warning in warnings], [])
    assert report.status == ("completed" if "messages.log" in names else "nothing_to_do")


def test_a_log_in_another_codec_is_named_in_a_folder_too(tmp_path, unpacked):
    (unpacked / "messages.log.3.bz2").write_bytes(bz2.compress(flow(1)))

    report = parse_logs([str(unpacked)], tmp_path / "out", MODES, tmp_path / "work")

    assert report.warnings == ["unit: messages.log.3.bz2 is bz2, which gzip does not undo; --codecs all reads it"]
