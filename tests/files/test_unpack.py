import gzip
import io
import random
import struct
import zlib
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.core.errors import Stopped
from anabranch.core.parts import Outcome
from anabranch.sources import bounds
from anabranch.sources import unpack as unpacking
from anabranch.sources.codecs import decoded
from anabranch.sources.cutting import cut, decode
from anabranch.sources.decoding import DamageError
from anabranch.sources.finding import find
from anabranch.sources.spans import SpanFile
from anabranch.sources.unpack import slices, spans, unpack
from tests.examples import examples
from tests.files.converting import convert
from tests.files.packing import PACK, SKIPPABLE
from tests.files.small import small_scale

TEXT = b"".join(b"%d,%d\n" % (number, number * 7919 % 1_000_003) for number in range(60_000))


def streams(codec, count=20, seed=1):
    """Pack the text as streams of differing lengths."""
    draw = random.Random(seed)
    cuts = sorted(draw.randrange(len(TEXT)) for _ in range(count - 1))
    return b"".join(PACK[codec](TEXT[first:stop]) for first, stop in pairwise([0, *cuts, len(TEXT)]))


def bgzf(text, size=5000):
    """Pack as `bgzip` does: members that tell their own size."""
    members = []
    for start in range(0, len(text), size):
        piece = text[start : start + size]
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        data = packer.compress(piece) + packer.flush()
        extra = b"BC" + struct.pack("<HH", 2, len(data) + 25)
        header = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + struct.pack("<H", len(extra)) + extra
        members.append(header + data + struct.pack("<II", zlib.crc32(piece), len(piece)))
    return b"".join(members) + bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def stored(data):
    """Pack without compressing, so that what begins in the data begins in the result."""
    packer = zlib.compressobj(0, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


WHOLE = {codec: streams(codec) for codec in PACK} | {"bgzf": bgzf(TEXT)}
CODECS = {name: "gz" if name == "bgzf" else name for name in WHOLE}


@pytest.mark.parametrize("name", WHOLE)
@examples(20)
@given(count=st.integers(1, 12))
def test_ranges_cover_the_file_and_decode_each_on_its_own(name, count, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(WHOLE[name])

    ranges = cut(path, CODECS[name], count)

    assert len(ranges) <= count
    assert all(one.stop <= other.start for one, other in pairwise(ranges))
    assert b"".join(b"".join(decode(path, CODECS[name], bits)) for bits in ranges) == TEXT


@pytest.mark.parametrize("name", WHOLE)
def test_many_streams_are_cut(name, tmp_path):
    (tmp_path / "data").write_bytes(WHOLE[name])

    assert len(cut(tmp_path / "data", CODECS[name], 4)) == 4


@pytest.mark.parametrize("codec", ["gz", "xz", "zst", "lz4"])
def test_one_stream_is_not_cut(codec, tmp_path):
    (tmp_path / "data").write_bytes(PACK[codec](TEXT))

    assert cut(tmp_path / "data", codec, 9) == [range(8 * len(PACK[codec](TEXT)))]


def test_frames_without_data_belong_to_some_range(tmp_path):
    path = tmp_path / "data"
    path.write_bytes((SKIPPABLE + PACK["zst"](TEXT)) * 4 + SKIPPABLE)

    ranges = cut(path, "zst", 4)

    assert len(ranges) == 4
    assert b"".join(b"".join(decode(path, "zst", bits)) for bits in ranges) == TEXT * 4


def test_magic_numbers_in_the_data_are_no_begins(tmp_path):
    noise = random.Random(1).randbytes(1000)
    path = tmp_path / "data"
    path.write_bytes(stored(b"".join((b"\x1f\x8b\x08" + noise, gzip.compress(noise), b"\x1f\x8b\x08\0") * 50)))

    assert len(cut(path, "gz", 9)) == 1


def found(folder, data, name="a.csv"):
    (folder / name).write_bytes(data)
    return find([str(folder / name)]).sources[0]


def unpacked(source, codec, folder, threads=4, stop=lambda: False):
    """Unpack a source; give its spans, and the outcomes in another order than they were made."""
    with patch.object(unpacking, "BIG", 1), patch("anabranch.core.batches.SMALLEST_PART", 1e-4):
        plan = slices([source], folder, threads, "")
    of_source = [one for part in plan.parts for one in part.slices]
    assert {one.codec for one in of_source} == {codec}
    outcomes = [Outcome(part, unpack(part, stop)) for part in reversed(plan.parts)]
    return spans(of_source, outcomes), outcomes


@pytest.mark.parametrize("name", WHOLE)
def test_slices_join_to_the_decompressed_bytes(name, tmp_path):
    source = found(tmp_path, WHOLE[name])

    joined, outcomes = unpacked(source, CODECS[name], tmp_path / "work")

    assert len(joined) > 2
    assert len(outcomes) > 1
    assert sum(outcome.manifest.counts["bytes"] for outcome in outcomes) == len(TEXT)
    with SpanFile(joined) as file:
        assert io.BufferedReader(file).read() == TEXT


def test_a_single_stream_is_one_slice(tmp_path):
    source = found(tmp_path, gzip.compress(TEXT))

    joined, _ = unpacked(source, "gz", tmp_path / "work")

    assert [Path(span.path).read_bytes() for span in joined] == [TEXT]


def test_small_plain_and_remote_files_are_not_unpacked(tmp_path):
    small, plain = found(tmp_path, gzip.compress(TEXT)), found(tmp_path, TEXT, "plain.csv")
    remote = replace(small, path="http://localhost/a.csv.gz")

    assert slices([small], tmp_path, 4, "").parts == ()
    with patch.object(unpacking, "BIG", 1):
        assert slices([plain, remote], tmp_path, 4, "").parts == ()


@pytest.mark.parametrize("codec", PACK)
@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: data + b"rubbish"], ids=["cut", "rubbish"])
def test_a_damaged_file_has_no_spans_and_no_error_yet(codec, spoil, tmp_path):
    source = found(tmp_path, spoil(WHOLE[codec]))

    joined, outcomes = unpacked(source, codec, tmp_path / "work")

    assert joined is None
    assert not any(outcome.errors for outcome in outcomes)


def test_a_file_cut_within_another_compressed_file_in_it_is_to_be_read_whole(tmp_path):
    inner = gzip.compress(bytes(2 << 20)) * 100  # each so short that it lies whole in one stored block
    path = tmp_path / "a.csv"
    source = found(tmp_path, stored(inner))
    assert len(cut(path, "gz", 4)) > 1

    joined, _ = unpacked(source, "gz", tmp_path / "work")

    assert joined is None
    assert decoded(io.BytesIO(path.read_bytes()), "gz").read() == inner


@pytest.mark.parametrize("small", [False, True])
def test_what_is_compressed_twice_is_refused_unpacked_or_not(small, tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(gzip.compress(TEXT)))

    with small_scale() if small else nullcontext():
        report = convert(tmp_path / "a.csv.gz", tmp_path / "out", work_dir=tmp_path / "work")

    assert [(error.code, error.reason) for error in report.errors] == [
        ("format-unknown", "it is compressed twice: gz within gz")
    ]


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "MOST_BYTES", 1 << 20)
    for codec in ("bz2", "zst"):
        joined, _ = unpacked(found(tmp_path, PACK[codec](bytes(1 << 26))), codec, tmp_path / "work")

        assert joined is None


def test_a_source_that_changed_is_an_error_and_leaves_nothing(tmp_path):
    source = found(tmp_path, WHOLE["gz"])
    found(tmp_path, WHOLE["gz"] + WHOLE["gz"])

    joined, outcomes = unpacked(source, "gz", tmp_path / "work")

    assert joined is None
    assert {error.code for outcome in outcomes for error in outcome.errors} == {"source-changed"}
    assert not list((tmp_path / "work").iterdir())


def test_it_stops_when_asked_and_leaves_nothing(tmp_path):
    with pytest.raises(Stopped):
        unpacked(found(tmp_path, WHOLE["gz"]), "gz", tmp_path / "work", stop=lambda: True)
    assert not list((tmp_path / "work").iterdir())


def test_a_range_that_holds_no_whole_streams_is_damage(tmp_path):
    (tmp_path / "data").write_bytes(WHOLE["gz"])

    for bits in (range(80, 8 * len(WHOLE["gz"])), range(8 * 1000)):
        with pytest.raises(DamageError):
            list(decode(tmp_path / "data", "gz", bits))
