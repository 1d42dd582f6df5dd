import bz2
import gzip
import os
import random
from dataclasses import replace
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.core.errors import AnabranchError, TemporaryError
from anabranch.core.parts import Outcome, Report
from anabranch.logs.join import UNTAR_FAILED, join
from anabranch.logs.options import LogOptions
from anabranch.logs.plan import plan
from anabranch.logs.unpack import survey
from anabranch.logs.work import work
from anabranch.sources import bzip2
from anabranch.sources.unpack import unpack
from tests.logs.archives import START, entry, flow, line, tar_of, tar_with, write
from tests.logs.pipeline import outcome, outcomes, parse_logs

BW = LogOptions(mode="bw")
HEADER = "datetime,total bitrate,video bitrate,notes\n"


END = "the gzip data end too early"


def row(total):
    return f"2025-09-26 10:00:00,{total},5,\n"


def test_a_damaged_member_leaves_one_line_in_its_place_in_every_report(tmp_path):
    whole = b"".join(flow(number) for number in range(20_000))
    source = write(
        tmp_path / "unit.tar",
        {"messages.log.2": flow(2), "messages.log.1.gz": gzip.compress(whole)[:-1], "messages.log": flow(3)},
    )

    report = parse_logs([source], tmp_path / "out", LogOptions(mode="bw,known"), tmp_path / "work")

    failed = "Failed to read file: unit.tar/messages.log.1.gz\n"
    assert (tmp_path / "out/unit.tar.bw.txt").read_text() == HEADER + row(2) + failed + row(3)
    assert (tmp_path / "out/unit.tar.known.txt").read_text() == failed
    assert (report.status, report.items["pieces"], report.items["damaged"], report.items["lines"]) == (
        "completed",
        2,
        1,
        2,
    )
    assert report.warnings == [f"unit.tar/messages.log.1.gz was left out: {END} (after 20000 lines)"]


def test_a_folder_named_like_a_log_cannot_be_read(tmp_path):
    (tmp_path / "unit.tar").write_bytes(
        tar_with([(entry("messages.log.5/", 0, b"5"), b""), (entry("messages.log", 0), b"")])
    )

    parse_logs([str(tmp_path / "unit.tar")], tmp_path / "out", BW, tmp_path / "work")

    assert (tmp_path / "out").read_text() == HEADER + "Failed to read file: unit.tar/messages.log.5\n"


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(("unit.tar.gz", lambda tar: gzip.compress(tar)[:-9]), id="gzip cut short"),
        pytest.param(("unit.tar.gz", lambda tar: gzip.compress(tar[:3000])), id="tar cut short"),
        pytest.param(("unit.tar", lambda tar: tar[:3000]), id="plain tar cut short"),
    ],
)
def test_what_precedes_the_damage_of_an_archive_is_in_the_report(spoil, tmp_path):
    name, spoiled = spoil
    tar = tar_of({"messages.log.1": flow(1), "messages.log": b"".join(flow(number) for number in range(2, 50))})
    (tmp_path / name).write_bytes(spoiled(tar))

    report = parse_logs([str(tmp_path / name)], tmp_path / "out", BW, tmp_path / "work")

    assert (tmp_path / "out").read_text().startswith(UNTAR_FAILED + HEADER + row(1) + row(2) + row(3))
    assert (len(report.errors), report.parts.failed) == (1, 1)
    assert [(error.code, error.part) for error in report.errors] == [("archive-damaged", name)]


@pytest.mark.parametrize(("behind", "slices"), [(7, 1), (2000, 5)], ids=["in the CRC of a block", "within a block"])
def test_what_precedes_a_damaged_bzip2_block_is_in_the_report(behind, slices, tmp_path):
    filler = random.Random(1).randbytes(400_000)  # four blocks and more
    whole = bz2.compress(tar_of({"messages.log.1": flow(1), "core": filler, "messages.log": flow(2)}), 1)
    third = [mark.bit for mark in bzip2.marks([whole])][2] // 8
    damaged = bytearray(whole)
    damaged[third + behind] ^= 0xFF
    (tmp_path / "unit.tar.bz2").write_bytes(damaged)

    with patch("anabranch.logs.unpack._WHOLE", 0), patch("anabranch.core.batches.SMALLEST_PART", 1e-5):
        report = parse_logs([str(tmp_path / "unit.tar.bz2")], tmp_path / "out", BW, tmp_path / "work")

    assert (tmp_path / "out").read_text() == UNTAR_FAILED + HEADER + row(1)
    assert [error.code for error in report.errors] == ["archive-damaged"]
    assert (report.parts.total, report.parts.failed) == (slices + 1, 1)


@pytest.mark.parametrize("name", ["unit.tar", "unit.tar.gz", "unit.tar.bz2", "unit.tgz", "unit.dat"])
def test_what_is_no_archive_is_an_error_beside_the_others(name, tmp_path):
    (tmp_path / name).write_bytes(b"no archive at all\n" * 100)
    good = write(tmp_path / "good.tar", {"messages.log": flow(1)})

    report = parse_logs([str(tmp_path / name), good], tmp_path / "out", BW, tmp_path / "work")

    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.tar.bw.txt"]
    assert (tmp_path / "out/good.tar.bw.txt").read_text() == HEADER + row(1)
    assert [error.part for error in report.errors] == [name]


@pytest.fixture
def two_parts(tmp_path):
    """Plan two archives whose slices are unpacked, and do their parts."""
    sources = [write(tmp_path / f"{name}.tar.gz", {"messages.log": flow(n)}) for n, name in enumerate("ab")]
    slices = survey(sources, tmp_path / "work", 1)
    logs = plan(slices, outcomes(unpack, slices.parts), BW, 1)
    logs.save()
    return logs, outcomes(work, logs.parts)


def test_an_archive_with_a_failed_part_keeps_its_old_report(tmp_path):
    sources = [write(tmp_path / f"{name}.tar", {"messages.log": flow(n)}) for n, name in enumerate("abc")]
    logs = plan(survey(sources, tmp_path / "work", 1), [], BW, 1)
    logs.save()
    (part,) = logs.parts
    parts = [replace(part, index=n, first=n, stop=n + 1, key=str(n)) for n in range(3)]
    lost = Outcome(parts[1], error=TemporaryError("toy", "the worker died", "Run it again.", parts[1].label))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/b.tar.bw.txt").write_text("the old one")

    report = join(logs, [outcome(work, parts[2]), lost, outcome(work, parts[0])], str(tmp_path / "out"))

    texts = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert texts == {"a.tar.bw.txt": HEADER + row(0), "b.tar.bw.txt": "the old one", "c.tar.bw.txt": HEADER + row(2)}
    assert report.outputs == [f"{tmp_path}/out/{name}.tar.bw.txt" for name in "ac"]
    assert (report.parts.total, report.parts.done, report.parts.failed) == (3, 2, 1)
    assert [error.code for error in report.errors] == ["toy"]


def test_a_piece_that_is_neither_read_nor_failed_stops_the_publication(two_parts, tmp_path):
    logs, _ = two_parts

    with pytest.raises(AnabranchError, match="2 pieces were planned, 0 read, 0 failed"):
        join(logs, [], str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_slice_that_failed_for_another_reason_gives_its_archive_no_report(tmp_path):
    source = write(tmp_path / "unit.tar.gz", {"messages.log": flow(1)})
    slices = survey([source], tmp_path / "work", 1)
    outcome(unpack, slices.parts[0])
    lost = Outcome(slices.parts[0], error=TemporaryError("toy", "no answer", "Run it again."))

    report = join(plan(slices, [lost], BW, 1), [], str(tmp_path / "out"))

    assert not (tmp_path / "out").exists()
    assert [error.code for error in report.errors] == ["toy"]


def test_an_archive_that_cannot_be_opened_does_not_stop_the_others(tmp_path):
    good = write(tmp_path / "good.tar", {"messages.log": flow(1)})
    (tmp_path / "memory.tar").symlink_to("/proc/self/mem")  # a regular file that not even root can read

    report = parse_logs([good, str(tmp_path / "memory.tar")], tmp_path / "out", BW, tmp_path / "work")

    assert (tmp_path / "out").read_text() == HEADER + row(1)
    assert [(error.code, error.part) for error in report.errors] == [("source-unreadable", "memory.tar")]
    assert (report.parts.total, report.parts.failed) == (2, 1)


@pytest.mark.parametrize("source", ["in", "in/*.tar"])
def test_what_is_no_file_in_a_folder_is_told_and_stops_no_other(tmp_path, source):
    (tmp_path / "in/folder.tar").mkdir(parents=True)
    write(tmp_path / "in/good.tar", {"messages.log": flow(1)})
    (tmp_path / "in/link.tar").symlink_to("nowhere")
    os.mkfifo(tmp_path / "in/pipe.tar")

    report = parse_logs([str(tmp_path / source)], tmp_path / "out", BW, tmp_path / "work")

    assert (tmp_path / "out").read_text() == HEADER + row(1)
    assert [(error.code, error.part) for error in report.errors] == [
        ("source-unreadable", "link.tar"), ("source-not-a-file", "pipe.tar"),
    ]  # fmt: skip


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), max_size=20)


@given(NAMES, NAMES, st.binary(max_size=5).map(os.fsdecode).filter(lambda name: "/" not in name and "\0" not in name))
def test_members_and_archives_may_bear_any_name(tmp_path_factory, stem, rotation, odd):
    folder = tmp_path_factory.mktemp("names")
    members = [("messages.log", flow(1)), (f"messages.log.{rotation}{odd}", gzip.compress(flow(2))[:-1])]
    archive = folder / f"{stem}{odd}.tar"
    archive.write_bytes(tar_with([(entry(name, len(data)), data) for name, data in members]))

    report = parse_logs([str(archive)], folder / "out/", BW, folder / "work")

    (output,) = (folder / "out").iterdir() if (folder / "out").is_dir() else [folder / "out"]
    assert (HEADER + row(1)).encode().splitlines()[-1] in output.read_bytes()
    assert report.items["damaged"] == 1
    assert Report.model_validate_json(report.model_dump_json()).model_dump() == report.model_dump()
    assert all(text.isprintable() for text in [*report.warnings, *report.outputs, *report.details])


@pytest.mark.parametrize(("codecs", "rows", "told"), [("gzip", [], True), ("all", [row(7)], False)])
def test_a_log_that_gzip_does_not_know_is_told_or_read(tmp_path, codecs, rows, told):
    source = write(tmp_path / "unit.tar", {"messages.log.1.bz2": bz2.compress(flow(7)), "messages.log": b""})

    report = parse_logs([source], tmp_path / "out", LogOptions(mode="bw", codecs=codecs), tmp_path / "work")

    assert (tmp_path / "out").read_text() == "".join([HEADER, *rows])
    assert ["messages.log.1.bz2 is bz2" in warning for warning in report.warnings] == [True] * told


@pytest.mark.parametrize(("times", "told"), [
    (("2025-09-25", "2025-09-26", "2025-09-27"), []),
    (("2025-09-26", "2025-09-26", "2025-09-26"), []),
    (("2025-09-26", "2025-09-27", "2025-09-25"), [("messages.log", "messages.log.1.gz")]),
    (("2025-09-27", "2025-09-25", "2025-09-26"), [("messages.log.1.gz", "messages.log.2")]),
])  # fmt: skip
def test_times_that_run_backwards_between_logs_are_told(tmp_path, times, told):
    names = ("messages.log.2", "messages.log.1.gz", "messages.log")
    texts = [2 * flow(1, f"{day}T10:00:00Z") for day in times]
    files = dict(zip(names, (texts[0], gzip.compress(texts[1]), texts[2]), strict=True))
    source = write(tmp_path / "unit.tar", files)

    report = parse_logs([source], tmp_path / "out", BW, tmp_path / "work")

    found = [warning for warning in report.warnings if "is read after" in warning]
    assert len(found) == len(told)
    assert all(f"{after} is read after {before} but" in found[0] for after, before in told)


def test_the_report_counts_lines_by_what_became_of_them(tmp_path):
    text = (
        flow(1)
        + b"\n \n\xff\n"
        + b'Entering state "StopStreamer"\n'
        + line(START)
        + line("quiet")
        + line(time="2024-01-01T00:00:00Z")
    )
    source = write(tmp_path / "unit.tar", {"messages.log": text})

    report = parse_logs([source], tmp_path / "out", LogOptions(mode="bw", begin="2025-01-01"), tmp_path / "work")

    expected = {"lines": 8, "blank": 2, "undecodable": 1, "candidates": 4, "untimed": 1, "out_of_range": 1, "bw": 2}
    assert report.items == {**expected, "unmatched": 1, "pieces": 1, "damaged": 0}
    assert report.details == {"unit.tar": report.items}
    assert report.bytes_out == (tmp_path / "out").stat().st_size
    assert report.bytes_in == (tmp_path / "unit.tar").stat().st_size


def test_a_manifest_counts_what_its_part_read(two_parts):
    _, (done,) = two_parts

    assert {kind: done.manifest.counts[kind] for kind in ("pieces", "damaged", "lines", "candidates", "bw")} == {
        "pieces": 2,
        "damaged": 0,
        "lines": 2,
        "candidates": 2,
        "bw": 2,
    }
