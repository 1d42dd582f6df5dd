import bz2
import gzip
import io
import lzma
import random
import tracemalloc
import zipfile
import zlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.logs.reading import LONGEST_LINE, TOO_LONG, blocks, codec_of
from anabranch.sources.decoding import DamageError
from anabranch.sources.spans import Span


def spans(path, data):
    path.write_bytes(data)
    return [Span(str(path), 0, len(data))]


def text_of(path, data):
    return b"".join(blocks(spans(path, data)))


def zipped(text, method=zipfile.ZIP_DEFLATED):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr("messages.log", text)
    return packed.getvalue()


def packed_by_arrow(text, codec):
    packed = pa.BufferOutputStream()
    with pa.CompressedOutputStream(packed, codec) as out:
        out.write(text)
    return packed.getvalue().to_pybytes()


TEXT = b"".join(b"line %d\n" % number for number in range(100_000))
GZIPPED = gzip.compress(TEXT)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"", b"", id="empty"),
        pytest.param(b"plain\n", b"plain\n", id="plain"),
        pytest.param(b"\x1f", b"\x1f", id="half a magic number"),
        pytest.param(b"BZh9 is text here", b"BZh9 is text here", id="bzip2 passes as text"),
        pytest.param(GZIPPED, TEXT, id="gzip"),
        pytest.param(gzip.compress(b""), b"", id="empty gzip"),
        pytest.param(
            GZIPPED + gzip.compress(b"a\n") + gzip.compress(b"") + GZIPPED, TEXT + b"a\n" + TEXT, id="streams"
        ),
        pytest.param(gzip.compress(b"a\n") + b"GARBAGE", b"a\nGARBAGE", id="text after gzip"),
        pytest.param(GZIPPED + b"G" * 300_000, TEXT + b"G" * 300_000, id="much text after gzip"),
        pytest.param(zipped(TEXT), TEXT, id="deflated zip"),
        pytest.param(zipped(TEXT, zipfile.ZIP_STORED), TEXT, id="stored zip"),
    ],
)
def test_reads_as_gzip_would(data, expected, tmp_path):
    assert text_of(tmp_path / "log", data) == expected


@pytest.mark.parametrize("pack", [
    bz2.compress, lzma.compress, lambda text: packed_by_arrow(text, "zstd"), lambda text: packed_by_arrow(text, "lz4"),
], ids=["bz2", "xz", "zst", "lz4"])  # fmt: skip
def test_codecs_that_gzip_does_not_know_are_decoded_up_to_their_damage(pack, tmp_path):
    packed = spans(tmp_path / "log", pack(TEXT))
    codec = codec_of(packed)

    assert b"".join(blocks(packed, codec)) == TEXT
    assert b"line 1\n" not in b"".join(blocks(packed))
    with pytest.raises(DamageError):
        list(blocks(spans(tmp_path / "cut", pack(TEXT)[:-20]), codec))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(GZIPPED[:-1], id="no length"),
        pytest.param(GZIPPED[:-9], id="no check sum"),
        pytest.param(GZIPPED[:100], id="cut"),
        pytest.param(GZIPPED[:2], id="magic number only"),
        pytest.param(GZIPPED[:-8] + bytes(4) + GZIPPED[-4:], id="wrong check sum"),
        pytest.param(GZIPPED[:-4] + bytes(4), id="wrong length"),
        pytest.param(GZIPPED[:2] + b"\x09" + GZIPPED[3:], id="unknown method"),
        pytest.param(GZIPPED[:3] + b"\x20" + GZIPPED[4:], id="unknown flag"),
        pytest.param(GZIPPED + GZIPPED[:-1], id="second stream cut"),
        pytest.param(zipped(TEXT)[:-30], id="zip cut"),
        pytest.param(
            zipped(TEXT).replace(zlib.crc32(TEXT).to_bytes(4, "little"), b"abcd"), id="zip with wrong check sum"
        ),
    ],
)
def test_damage_is_an_error(data, tmp_path):
    with pytest.raises(DamageError):
        text_of(tmp_path / "log", data)


@given(st.data())
def test_a_changed_byte_of_the_data_is_noticed(tmp_path_factory, data):
    place = data.draw(st.integers(10, len(GZIPPED) - 1))
    damaged = bytearray(GZIPPED)
    damaged[place] ^= data.draw(st.integers(1, 255))

    with pytest.raises(DamageError):
        text_of(tmp_path_factory.getbasetemp() / "damaged", bytes(damaged))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("separator", [b"\n", b"\r", b"\r\n"])
def test_blocks_end_at_line_breaks(seed, separator, tmp_path):
    draw = random.Random(seed)
    text = separator.join(b"x" * draw.randrange(300) for _ in range(20_000))
    given_blocks = list(blocks(spans(tmp_path / "log", text)))

    assert b"".join(given_blocks) == text
    assert len(given_blocks) > 2
    assert [line for block in given_blocks for line in block.splitlines()] == text.splitlines()


LONG = b"x" * (LONGEST_LINE + 1)


@pytest.mark.parametrize("pack", [lambda text: text, gzip.compress], ids=["plain", "gz"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a\n" + LONG + b"\nb\n", b"a\n" + TOO_LONG + b"\nb\n"),
        (LONG + LONG + b"\r\nb", TOO_LONG + b"\r\nb"),
        (LONG + b"\n" + LONG + b"\n", TOO_LONG + b"\n" + TOO_LONG + b"\n"),
        (b"a\n" + LONG, b"a\n" + TOO_LONG),
        (bytes(LONGEST_LINE + 1) + b"a\nb\n", b"a\nb\n"),
        (b"a\n\0\0b\0c\r\0d\n", b"a\nb\0c\rd\n"),
        (bytes(LONGEST_LINE + 1) + LONG + b"\n\0b", TOO_LONG + b"\nb"),
        (b"a" + bytes(2 << 20) + b"\nb", b"a" + bytes(2 << 20) + b"\nb"),
        (bytes(3 << 20), b""),
    ],
    ids=["one", "two at once", "two", "the last", "NULs", "NULs of lines", "NULs and more", "NULs within", "only NULs"],
)
def test_a_line_that_is_too_long_and_nuls_before_a_line_leave_the_others(text, expected, pack, tmp_path):
    assert text_of(tmp_path / "log", pack(text)) == expected


def test_a_line_without_end_is_never_held_whole(tmp_path):
    one_line = spans(tmp_path / "log", gzip.compress(b"x" * 100_000_000, 1))
    tracemalloc.start()
    try:
        assert list(blocks(one_line)) == [TOO_LONG]
        assert tracemalloc.get_traced_memory()[1] < 3 * LONGEST_LINE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("data", "codec"), [(GZIPPED, "gz"), (zipped(b"x"), "zip"), (bz2.compress(b"x"), "bz2"), (b"text\n", ""), (b"", "")]
)
def test_the_codec_is_known_by_the_first_bytes(data, codec, tmp_path):
    whole = spans(tmp_path / "log", data)
    bytewise = [Span(whole[0].path, place, 1) for place in range(len(data))]  # as where slices meet within a header

    assert codec_of(whole) == codec_of(bytewise) == codec
