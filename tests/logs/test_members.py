import os
import random
import re
import subprocess
import tarfile

import pytest

from anabranch.logs.members import listing
from anabranch.sources.spans import Span, SpanFile
from tests.logs.archives import entry, tar_of, tar_with


def listed(path, data):
    path.write_bytes(data)
    return listing([Span(str(path), 0, len(data))])


def names(path, data):
    return [member.name for member in listed(path, data).members]


def test_the_highest_rotation_is_the_oldest_and_the_log_without_number_the_newest(tmp_path):
    shuffled = ["messages.log.2.gz", "messages.log", "messages.log.10", "./messages.log.9.gz"]
    random.Random(1).shuffle(shuffled)

    assert names(tmp_path / "tar", tar_of(dict.fromkeys(shuffled, b"x"))) == [
        "messages.log.10",
        "messages.log.9.gz",
        "messages.log.2.gz",
        "messages.log",
    ]


def test_equal_numbers_come_in_the_order_of_names(tmp_path):
    files = dict.fromkeys(["messages.log.5.gz", "messages.log.05", "messages.log.5"], b"x")

    assert names(tmp_path / "tar", tar_of(files)) == ["messages.log.05", "messages.log.5", "messages.log.5.gz"]


def test_names_without_a_number_come_first_and_are_told(tmp_path):
    found = listed(
        tmp_path / "tar", tar_of(dict.fromkeys(["messages.log.1", "messages.log.old", "messages.log."], b"x"))
    )

    assert [member.name for member in found.members] == ["messages.log.", "messages.log.old", "messages.log.1"]
    assert [remark.split()[0] for remark in found.remarks] == ["messages.log.", "messages.log.old"]


def test_a_single_rotation_needs_no_number(tmp_path):
    found = listed(tmp_path / "tar", tar_of({"messages.log.gz": b"x", "messages.log": b"y"}))

    assert [member.name for member in found.members] == ["messages.log.gz", "messages.log"]
    assert not found.remarks


@pytest.mark.parametrize(("files", "remarks"), [
    ({"messages.log": b"x", "messages.log.1.bz2": b"x", "other.txt": b"x"}, []),
    ({"messages.log": b"x", "messages.log-20250926.gz": b"x"}, ["names are not messages.log .* messages.log-20250926"]),
    ({"messages.log": b"x", "var/log/messages.log": b"x"}, ["names are not messages.log .*: var/log/messages.log"]),
    ({"messages": b"x", "syslog": b"x"}, ["names are not messages.log or messages.log.N: messages"]),
    ({"a.txt": b"x", "b.txt": b"x"}, ["no member is named messages.log or messages.log.N; it has a.txt, b.txt"]),
    (dict.fromkeys("abcdefgh", b"x"), ["it has a, b, c, d, e and 3 more"]),
    ({}, ["it has no files"]),
    ({"messages.log": b"x", "../messages.log.1": b"x"}, [r"lead out of the archive are left out: \.\./messages.log.1"]),
])  # fmt: skip
def test_what_is_not_read_is_told_by_name(tmp_path, files, remarks):
    found = listed(tmp_path / "tar", tar_of(files)).remarks

    assert len(found) == len(remarks)
    assert all(re.search(expected, remark) for expected, remark in zip(remarks, found, strict=True)), found


@pytest.mark.parametrize(("change", "remark"), [
    (lambda data: data.rstrip(b"\0") + bytes(509), "no end mark"),
    (lambda data: data + bytes(100_000), ""),
    (lambda data: data + data, "what follows its end, from byte 10,240 on, is not read"),
])  # fmt: skip
def test_an_odd_end_of_an_archive_is_told(tmp_path, change, remark):
    found = listed(tmp_path / "tar", change(tar_of({"messages.log": b"log"})))

    assert [member.name for member in found.members] == ["messages.log"]
    assert [remark in each for each in found.remarks] == [True] * bool(remark), found.remarks


def test_of_two_equal_names_the_last_wins(tmp_path):
    data = tar_with([(entry("messages.log", 3), b"old"), (entry("./messages.log", 5), b"newer")])

    (member,) = listed(tmp_path / "tar", data).members
    assert data[member.start : member.start + member.size] == b"newer"


@pytest.mark.parametrize(
    "name",
    [
        "logs/messages.log",
        "../messages.log.1",
        "/etc/messages.log.1",
        "./a/../messages.log",
        "messages.log/..",
        "messages.logs",
        "xmessages.log",
        "syslog.1.gz",
    ],
)
def test_only_logs_at_the_top_are_used(name, tmp_path):
    assert not names(tmp_path / "tar", tar_of({name: b"x"}))


@pytest.mark.parametrize("name", ["/messages.log", "././messages.log", ".//messages.log", "//./messages.log"])
def test_a_log_is_at_the_top_where_gnu_tar_extracts_it_to(name, tmp_path):
    assert names(tmp_path / "tar", tar_of({name: b"x"})) == ["messages.log"]


def test_a_sparse_member_of_an_absurd_size_is_not_read(tmp_path):
    (tmp_path / "messages.log").touch()
    os.truncate(tmp_path / "messages.log", 1 << 40)
    subprocess.run(["tar", "-S", "-cf", "unit.tar", "messages.log"], cwd=tmp_path, check=True)

    found = listed(tmp_path / "unit.tar", (tmp_path / "unit.tar").read_bytes())

    assert [(member.name, member.size, member.regular) for member in found.members] == [("messages.log", 0, False)]
    assert not found.fault


HARD, SYMBOLIC = tarfile.LNKTYPE, tarfile.SYMTYPE
ONE, TWO = (entry("old/messages.log.1", 3), b"one"), (entry("messages.log", 3), b"two")


def link(kind, target, name="messages.log.5"):
    return entry(name, 0, kind, link=target), b""


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ([TWO, link(HARD, "messages.log")], b"two"),
        ([ONE, link(HARD, "/old//messages.log.1")], b"one"),
        ([TWO, link(HARD, "messages.log"), (entry("messages.log", 4), b"more")], b"two"),  # as it was then
        ([link(HARD, "messages.log"), TWO], None),
        ([link(SYMBOLIC, "messages.log"), TWO], b"two"),
        ([link(SYMBOLIC, "./old/messages.log.1"), ONE], b"one"),
        ([TWO, link(SYMBOLIC, "messages.log"), (entry("messages.log", 4), b"more")], b"more"),  # as it is in the end
        ([link(SYMBOLIC, "b"), link(SYMBOLIC, "messages.log", "b"), TWO], b"two"),
        ([link(SYMBOLIC, "b"), link(SYMBOLIC, "messages.log.5", "b"), TWO], None),  # in a circle
        ([link(SYMBOLIC, "/messages.log"), TWO], None),
        ([link(SYMBOLIC, "../messages.log"), TWO], None),
        ([link(SYMBOLIC, "old"), (entry("old/", 0, tarfile.DIRTYPE), b"")], None),
        ([link(HARD, "/etc/passwd")], None),
    ],
)
def test_links_to_members_are_followed_and_others_are_not(entries, text, tmp_path):
    data = tar_with(entries)

    found = listed(tmp_path / "tar", data)

    (member,) = (member for member in found.members if member.name == "messages.log.5")
    assert member.regular == (text is not None)
    assert data[member.start : member.start + member.size] == (text or b"")
    assert not found.fault


@pytest.mark.parametrize("form", ["gnu", "posix --sparse-version=0.0", "posix --sparse-version=0.1", "posix"])
def test_a_sparse_member_is_read_through_its_map_and_ends_no_listing(form, tmp_path):
    text = bytes(70_000) + b"first\n" + bytes(200_000) + b"second\n" + bytes(5_000)
    with (tmp_path / "messages.log.2").open("wb") as file:
        for place, run in ((70_000, b"first\n"), (270_006, b"second\n")):
            file.seek(place)
            file.write(run)
        file.truncate(len(text))
    (tmp_path / "messages.log.1").write_bytes(b"plain\n")
    command = ["tar", "-S", *f"--format={form}".split(), "-cf", "unit.tar", "messages.log.2", "messages.log.1"]
    subprocess.run(command, cwd=tmp_path, check=True)
    stream = [Span(str(tmp_path / "unit.tar"), 0, (tmp_path / "unit.tar").stat().st_size)]

    found = listing(stream)

    sparse, plain = found.members
    assert ([member.name for member in found.members], found.fault) == (["messages.log.2", "messages.log.1"], "")
    assert sparse.size < len(text)
    with SpanFile(sparse.spans(stream)) as file:
        assert file.read() == text
    with SpanFile(plain.spans(stream)) as file:
        assert file.read() == b"plain\n"


@pytest.mark.parametrize(
    "kind", [tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_what_is_no_regular_file_has_no_bytes(kind, tmp_path):
    data = tar_with([(entry("messages.log.5", 0, kind, link="/etc/passwd"), b""), (entry("messages.log", 1), b"x")])

    found = listed(tmp_path / "tar", data)

    assert [(member.name, member.regular) for member in found.members] == [
        ("messages.log.5", False),
        ("messages.log", True),
    ]
    assert found.members[0].size == 0
    assert not found.fault


@pytest.mark.parametrize("size", [10_000, 2**33, 2**62])
def test_a_size_that_the_archive_does_not_hold_is_cut_and_told(size, tmp_path):
    data = tar_with([(entry("messages.log.1", 3), b"abc"), (entry("messages.log", size), b"abcd")])

    found = listed(tmp_path / "tar", data[: 4 * 512])

    assert [member.size for member in found.members] == [3, 512]
    assert "ends within messages.log" in found.fault


@pytest.mark.parametrize("cut", [1, 100, 511])
def test_an_archive_that_ends_within_a_header_is_told(cut, tmp_path):
    data = tar_of({"messages.log": b"abc"})

    assert listed(tmp_path / "tar", data[:1024] + b"x" * cut).fault
    assert not listed(tmp_path / "tar", data[:1024]).fault


def test_a_damaged_header_ends_the_listing(tmp_path):
    data = bytearray(tar_of({"messages.log.1": b"abc", "messages.log": b"d"}))
    data[1024 + 148] ^= 1

    found = listed(tmp_path / "tar", bytes(data))

    assert [member.name for member in found.members] == ["messages.log.1"]
    assert found.fault == "a header is damaged"


@pytest.mark.parametrize("data", [b"", b"hello\n", b"PK\x03\x04" + bytes(2000), random.Random(1).randbytes(5000)])
def test_what_is_no_tar_archive_is_told(data, tmp_path):
    assert listed(tmp_path / "tar", data).fault


def test_a_header_that_declares_gigabytes_of_itself_is_refused(tmp_path):
    data = tar_with([(entry("././@PaxHeader", 2**34, tarfile.XHDTYPE), b"x")])

    assert "header" in listed(tmp_path / "tar", data).fault


def test_headers_that_lead_backwards_end(tmp_path):
    info = entry("messages.log")
    header = bytearray(info.tobuf())
    header[124:136] = (2**96 - 512 * 4).to_bytes(12, "big")  # a negative size in base 256
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)

    assert listed(tmp_path / "tar", bytes(header) + bytes(2048)).fault
