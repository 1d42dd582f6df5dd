import bz2
import errno
import io
import os
import random
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.core.errors import SourceError, TemporaryError
from anabranch.sources import bounds
from anabranch.sources.codecs import decoded, named_codec, open_source, open_text, sniff, sniff_encoding
from anabranch.sources.finding import find
from tests.files.packing import PACK, SKIPPABLE

TEXT = "".join(f"{number},\u00e4\u20ac\U0001f600,{number * 7919 % 10007}\n" for number in range(150_000)).encode()
PACKED = {codec: pack(TEXT) for codec, pack in PACK.items()}


def read(data, codec="", encoding="utf-8", size=-1):
    with decoded(io.BytesIO(data), codec, encoding, "a.csv") as file:
        return b"".join(iter(lambda: file.read(size), b""))


def failure(data, codec="", encoding="utf-8"):
    with pytest.raises(SourceError) as error:
        read(data, codec, encoding)
    assert error.value.part == "a.csv"
    return error.value


@pytest.mark.parametrize("codec", PACK)
def test_the_first_bytes_tell_the_codec(codec):
    assert sniff(PACKED[codec][:16]) == sniff(PACK[codec](b"")) == codec


@pytest.mark.parametrize(
    "head",
    [b"", b"a,b\n1,2\n", b"BZh9 is text here", b"\x1f", b"PK\x03\x04", b"\x50\x2a\x4d\x18", b"PAR1", b"\x28\xb5"],
)
def test_other_data_have_no_codec(head):
    assert sniff(head) == ""


@pytest.mark.parametrize("codec", ["zst", "lz4"])
def test_a_frame_without_data_may_precede_the_others(codec):
    data = SKIPPABLE + PACKED[codec] + SKIPPABLE + PACK[codec](b"end")

    assert sniff(data[:64]) == codec
    assert read(data, codec) == TEXT + b"end"


def test_many_frames_without_data_are_passed_over():
    assert sniff(SKIPPABLE[:4] + bytes(4)) == ""
    assert sniff((SKIPPABLE[:4] + bytes(4)) * 100_000 + PACKED["zst"][:16]) == "zst"


def test_a_name_promises_a_codec():
    names = {
        "a.csv.gz": "gz",
        "s3://b/A.CSV.GZ": "gz",
        "a.json.zst": "zst",
        "http://h/a.bz2?k=a.b": "bz2",
        "a.csv": "",
        "gz": "",
    }

    assert {name: named_codec(name) for name in names} == names


@pytest.mark.parametrize("codec", PACK)
@pytest.mark.parametrize("size", [-1, 1000, 3_000_000])
def test_one_stream_or_several_are_decompressed(codec, size):
    assert read(PACKED[codec], codec, size=size) == TEXT
    assert read(PACKED[codec] + PACK[codec](b"") + PACK[codec](b"x") + PACKED[codec], codec, size=size) == (
        TEXT + b"x" + TEXT
    )


@pytest.mark.parametrize("codec", PACK)
def test_data_cut_short_are_damaged(codec):
    for size in (len(PACKED[codec]) - 1, len(PACKED[codec]) // 2):
        error = failure(PACKED[codec][:size], codec)

        assert error.code == "source-damaged"
        assert f"at byte {size} of the file" in error.reason


@pytest.mark.parametrize("codec", ["gz", "bz2", "xz"])
def test_what_follows_the_streams_is_damage_with_its_offset(codec):
    error = failure(PACKED[codec] + b"rubbish", codec)

    assert error.reason == (
        f"something that is not {codec} follows at byte {len(PACKED[codec])} of the file, "
        f"after {len(TEXT)} decompressed bytes"
    )


@pytest.mark.parametrize("codec", ["zst", "lz4"])
def test_what_follows_the_frames_is_damage(codec):
    assert failure(PACKED[codec] + b"rubbish", codec).code == "source-damaged"


@pytest.mark.parametrize("codec", ["gz", "bz2", "xz"])
@given(data=st.data())
def test_a_changed_byte_never_gives_other_text(codec, data):
    whole = PACK[codec](TEXT[:20_000])
    damaged = bytearray(whole)
    damaged[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))

    try:
        assert read(bytes(damaged), codec) == TEXT[:20_000]  # where the byte meant nothing
    except SourceError as error:
        assert error.code == "source-damaged"  # noqa: PT017  both are right


@pytest.mark.parametrize("codec", PACK)
def test_what_was_read_before_the_damage_is_counted_to_a_megabyte(codec):
    reason = failure(PACKED[codec][:-1], codec).reason

    size = int(re.search(r"after at least (\d+) decompressed bytes", reason)[1])
    assert len(TEXT) - (1 << 20) <= size <= len(TEXT)


@pytest.mark.parametrize("codec", ["", *PACK])
@given(places=st.lists(st.tuples(st.sampled_from([os.SEEK_SET, os.SEEK_END]), st.integers(0, len(TEXT))), max_size=3))
def test_any_place_can_be_sought(codec, places):
    data = TEXT[-50_000:]
    with decoded(io.BytesIO(PACK[codec](data) if codec else data), codec, "utf-8") as file:
        for whence, offset in places:
            place = offset % len(data)
            assert file.seek(place - (len(data) if whence else 0), whence) == place == file.tell()
            assert file.read(10) == data[place : place + 10]


def test_a_place_before_the_begin_is_an_error():
    with decoded(io.BytesIO(PACKED["gz"]), "gz") as file, pytest.raises(ValueError, match="before the start"):
        file.seek(-len(TEXT) - 1, os.SEEK_END)


def test_a_bomb_is_refused_in_bounded_memory(monkeypatch):
    monkeypatch.setattr(bounds, "MOST_BYTES", 1 << 24)
    harmless = bz2.compress(bytes(1 << 23))
    assert len(read(harmless, "bz2")) == 1 << 23  # much for its size, but little
    bomb = io.BytesIO(bz2.compress(bytes(1 << 26)))
    tracemalloc.start()
    try:
        with decoded(bomb, "bz2") as file, pytest.raises(SourceError) as error:
            file.seek(0, os.SEEK_END)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()
    assert error.value.code == "too-large"


@pytest.mark.parametrize("codec", ["gz", "xz"])
@pytest.mark.parametrize("zeros", [4, 3_000_000])
def test_zeros_between_and_behind_streams_are_padding(codec, zeros):
    pack, padding = PACK[codec], bytes(zeros)

    assert read(pack(TEXT) + padding + pack(b"more") + padding, codec) == TEXT + b"more"
    assert "follows" in failure(pack(TEXT) + padding + b"x", codec).reason


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(encoding):
    assert sniff_encoding("text".encode(encoding)) == encoding
    assert sniff_encoding("text".encode("utf-8-sig")) == sniff_encoding(b"text") == sniff_encoding(b"") == "utf-8"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le", "utf-8-sig", "gb18030", "utf-7"])
@pytest.mark.parametrize("codec", ["", "gz"])
def test_other_encodings_are_read_as_utf8(encoding, codec):
    data = TEXT.decode().encode(encoding)

    assert read(PACK[codec](data) if codec else data, codec, encoding, size=100_001) == TEXT


@pytest.mark.parametrize(
    ("encoding", "good", "bad"),
    [
        ("cp1252", "ä€x", b"\x81"),
        ("ascii", "abc", "ä".encode()),
        ("utf-16-le", "aä€", b"\x00\xdc"),
        ("euc-jp", "日本", b"\xff\xff"),
        ("utf-16-le", "aä€", b"a"),
    ],
)
@pytest.mark.parametrize("repeats", [1, 400_001])
def test_bytes_that_are_no_text_are_an_error_with_their_offset(encoding, good, bad, repeats):
    before = (good * repeats).encode(encoding)

    error = failure(before + bad, encoding=encoding)

    assert error.code == "undecodable"
    assert f"at offset {len(before)} of" in error.reason


@pytest.mark.parametrize(("encoding", "data"), [("utf-16", b"a\0b\0"), ("utf-32", b"a\0\0\0"), ("utf-7", b"+2AA-")])
def test_text_without_its_byte_order_mark_or_with_half_a_character_is_no_text(encoding, data):
    error = failure(data, encoding=encoding)

    assert error.code == "undecodable"
    assert f"are not {encoding}" in error.reason


def test_utf8_is_passed_on_as_it_is_even_where_it_is_none():
    data = random.Random(1).randbytes(3_000_000)

    assert read(PACK["zst"](data), "zst") == data


def test_a_source_is_opened_raw_or_decompressed(tmp_path):
    (tmp_path / "a.csv").write_bytes(PACKED["lz4"])
    (source,) = find([str(tmp_path)]).sources

    with open_source(source) as raw, open_text(source, "lz4") as text:
        assert raw.read() == PACKED["lz4"]
        assert text.read() == TEXT


def test_a_source_that_is_gone_is_an_error_of_its_own(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"")
    (source,) = find([str(tmp_path)]).sources
    (tmp_path / "a.csv").unlink()

    with pytest.raises(SourceError, match=r"a\.csv: No such file or directory.*source-unreadable"):
        open_text(source, "gz")


@pytest.mark.parametrize("codec", ["gz", "zst"])
def test_an_error_of_the_disk_or_the_network_is_no_damage(codec):
    class Failing(io.BytesIO):
        def read(self, size=-1):
            if self.tell():
                raise error
            return super().read(size)

    for error in (OSError(errno.EIO, "Input/output error"), TemporaryError("source-unreachable", "away", "Wait.")):
        with decoded(Failing(PACKED[codec]), codec) as file, pytest.raises(type(error)) as raised:
            file.read()
        assert raised.value is error


def test_closing_closes_the_file_below():
    raw = io.BytesIO(PACKED["zst"])
    with decoded(raw, "zst") as file:
        file.read(10)

    assert raw.closed
