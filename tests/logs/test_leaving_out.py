"""What is unpacked of an archive and what is not, and what of it is left when the run is over."""

import fcntl
import gzip
import io
import random
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.core.sharing import sharing
from anabranch.logs import leaving_out
from anabranch.logs.leaving_out import leave_out
from anabranch.logs.members import listing
from anabranch.logs.options import LogOptions
from anabranch.logs.unpack import survey, unpack_logs
from anabranch.sources.spans import Span
from tests.files.packing import PACK
from tests.logs.archives import flow
from tests.logs.pipeline import outcomes, parse_logs

BW = LogOptions(mode="bw")
BIG = random.Random(1).randbytes(200_000)
NAMES = st.sampled_from(["messages.log", "./messages.log.1", "core", "var/log/wtmp", "messages", "x" * 150, "é", "lnk"])
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, b"?"])
FORMATS = st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


def archive(entries, form=tarfile.GNU_FORMAT, mtime=0.0):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, kind, data in entries:
            info = tarfile.TarInfo(name)
            info.type, info.mtime = kind, mtime
            info.linkname = data if isinstance(data, str) else "core"
            info.size = len(data) if info.isreg() or kind == b"?" else 0
            tar.addfile(info, io.BytesIO(data) if info.size else None)
    return out.getvalue()


def filled(pieces):
    return b"".join(piece if isinstance(piece, bytes) else bytes(piece) for piece in pieces)


@given(
    st.lists(st.tuples(NAMES, KINDS, st.binary(max_size=3000)), max_size=6),
    st.tuples(FORMATS, st.sampled_from([0.0, 1.5])),  # a time whose fraction takes an extended header
    st.integers(1, 2000),
    st.tuples(st.integers(0, 2000), st.binary(max_size=600)),
)
def test_the_logs_of_a_stream_are_listed_and_hold_what_they_held(tmp_path_factory, entries, style, step, ends):
    (form, mtime), (cut, more) = style, ends
    try:
        whole = archive(entries, form, mtime)
    except ValueError:  # a name that this format does not hold
        return
    whole = whole[: len(whole) - cut] + more
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaving_out, "_SMALLEST", 512)
        kept = filled(leave_out(piece for at in range(0, len(whole), step) for piece in (whole[at : at + step], b"")))
    folder = tmp_path_factory.mktemp("streams")
    (folder / "whole").write_bytes(whole)
    (folder / "kept").write_bytes(kept)
    expected, found = (listing([Span(str(folder / name), 0, len(whole))]) for name in ("whole", "kept"))

    assert len(kept) == len(whole)
    assert found == expected
    own = [(name.lstrip("./"), kind) for name, kind, _ in entries]
    for member in found.members:
        if (member.name, tarfile.LNKTYPE) not in own and (member.name, tarfile.SYMTYPE) not in own:
            place = slice(member.start, member.start + member.size)
            assert kept[place] == whole[place]


@pytest.mark.parametrize("codec", ["gz", "bz2", "zst"])
def test_big_entries_that_are_no_logs_take_no_room_in_the_work_folder(codec, tmp_path):
    whole = archive([("core", b"0", BIG), ("messages.log", b"0", flow(1)), ("wtmp", b"0", BIG * 4)])
    (tmp_path / "unit.tar").write_bytes(PACK[codec](whole))
    slices = survey([str(tmp_path / "unit.tar")], tmp_path / "work", 1)

    (outcome,) = outcomes(unpack_logs, slices.parts)

    (file,) = outcome.manifest.files
    assert file.size == len(whole)
    assert Path(file.path).stat().st_blocks * 512 < len(BIG) / 2
    assert sum(size for _, size in outcome.manifest.holes[Path(file.path).name]) > 5 * len(BIG)


@pytest.mark.parametrize("link", [tarfile.LNKTYPE, tarfile.SYMTYPE])
@pytest.mark.parametrize("codec", ["gz", "bz2"])
def test_a_log_that_is_a_link_to_what_was_left_out_is_read(codec, link, tmp_path):
    lines = b"".join(map(flow, range(2000)))
    whole = archive([("var/log/all", b"0", lines), ("core", b"0", BIG), ("messages.log", link, "var/log/all")])
    for name, data in (("plain", whole), ("unit", PACK[codec](whole))):
        (tmp_path / f"{name}.tar").write_bytes(data)
        report = parse_logs([str(tmp_path / f"{name}.tar")], tmp_path / name, BW, tmp_path / "work")
        assert (report.errors, report.items["bw"]) == ([], 2000)

    assert (tmp_path / "unit").read_bytes() == (tmp_path / "plain").read_bytes()


def texts(folder):
    return len(list(folder.rglob("*.text")))


@pytest.mark.parametrize(("codec", "left"), [("gz", 0), ("zst", 0), ("lz4", 0), ("bz2", 1), ("xz", 1)])
def test_text_that_is_quickly_unpacked_again_is_removed_at_the_end_of_a_good_run(codec, left, tmp_path):
    lines = b"".join(map(flow, range(2000)))
    (tmp_path / "unit.tar").write_bytes(PACK[codec](archive([("messages.log", b"0", lines)])))

    first, second = (parse_logs([str(tmp_path / "unit.tar")], tmp_path / "out", BW, tmp_path / "work") for _ in "12")

    assert (first.errors, second.errors, texts(tmp_path / "work")) == ([], [], left)


@pytest.mark.parametrize(("others", "left"), [(0, 1), (100, 0)])
def test_text_that_is_hardly_logs_is_removed_though_it_is_slowly_unpacked(others, left, tmp_path):
    lines = b"".join(map(flow, range(2000)))
    small = [(f"other{number}", b"0", BIG[:60_000]) for number in range(others)]  # too small to be left out
    (tmp_path / "unit.tar").write_bytes(PACK["bz2"](archive([("messages.log", b"0", lines), *small])))

    report = parse_logs([str(tmp_path / "unit.tar")], tmp_path / "out", BW, tmp_path / "work")

    assert (report.errors, texts(tmp_path / "work")) == ([], left)


def test_text_is_left_where_the_run_had_errors_or_another_run_uses_it(tmp_path):
    good, bad = tmp_path / "good.tar.gz", tmp_path / "bad.tar.gz"
    good.write_bytes(gzip.compress(archive([("messages.log", b"0", flow(1))])))
    bad.write_bytes(good.read_bytes()[:-9])
    parse_logs([str(bad)], tmp_path / "out", BW, tmp_path / "failed")
    with sharing(Path(survey([str(good)], tmp_path / "work", 1).folder)):
        parse_logs([str(good)], tmp_path / "out", BW, tmp_path / "work")
        assert (texts(tmp_path / "failed"), texts(tmp_path / "work")) == (1, 1)

    parse_logs([str(good)], tmp_path / "out", BW, tmp_path / "work")

    assert texts(tmp_path / "work") == 0


def test_a_folder_without_locks_counts_as_used_by_others(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError

    with sharing(tmp_path / "a") as alone, sharing(tmp_path / "a") as other:
        assert (alone(), other()) == (False, True)  # the first one no longer needs it
    with sharing(tmp_path / "a") as alone:
        assert alone()
    monkeypatch.setattr(fcntl, "flock", refuse)
    with sharing(tmp_path / "a") as alone:
        assert not alone()
