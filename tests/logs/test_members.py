import random
import tarfile

import pytest

from anabranch.logs.members import listing
from anabranch.sources.spans import Span
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
    assert found.odd == ("messages.log.", "messages.log.old")


def test_a_single_rotation_needs_no_number(tmp_path):
    found = listed(tmp_path / "tar", tar_of({"messages.log.gz": b"x", "messages.log": b"y"}))

    assert [member.name for member in found.members] == ["messages.log.gz", "messages.log"]
    assert not found.odd


def test_of_two_equal_names_the_last_wins(tmp_path):
    data = tar_with([(entry("messages.log", 3), b"old"), (entry("./messages.log", 5), b"newer")])

    (member,) = listed(tmp_path / "tar", data).members
    assert data[member.start : member.start + member.size] == b"newer"


@pytest.mark.parametrize(
    "name",
    [
        "logs/messages.log",
        "../messages.log.1",
        "/messages.log",
        "/etc/messages.log.1",
        "./a/../messages.log",
        "messages.logs",
        "xmessages.log",
        "syslog.1.gz",
    ],
)
def test_only_logs_at_the_top_are_used(name, tmp_path):
    assert not names(tmp_path / "tar", tar_of({name: b"x"}))


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
