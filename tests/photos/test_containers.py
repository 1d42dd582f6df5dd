"""Where the Exif block and the XMP stand in each kind of file, and what is read to find them."""

import json
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.photos import sample
from anabranch.photos.reading import FIRST, MOST_BYTES, MOST_READS, Reader
from anabranch.photos.sample import CONTAINERS, Shot
from tests.photos.extracting import facts, read

SHOT = Shot(lat=47.5, lon=-7.25, alt=-12.5, rel_alt=33.3)
XMP = sample.drone_xmp(SHOT)
PLAIN = Shot(lat=47.5, lon=-7.25, make="Some")
EXIF = sample.tiff(PLAIN)


@pytest.mark.parametrize("kind", CONTAINERS)
def test_every_container_gives_position_and_height(kind):
    found = facts(CONTAINERS[kind].make(SHOT))

    assert (found.status, found.reason) == ("ok", "")
    assert (found.lat, found.lon, found.alt_msl_m) == (pytest.approx(47.5), pytest.approx(-7.25), -12.5)
    assert (found.rel_alt_m, found.gimbal_pitch) == ((None, None) if kind == "dng" else (33.3, -89.9))
    assert (found.make, found.model, found.taken) == ("DJI", "FC6310", "2025-06-14T10:30:00")


@pytest.mark.parametrize("kind", CONTAINERS)
@pytest.mark.parametrize("thin", [False, True])
def test_few_bytes_are_read_of_a_big_photo(kind, thin):
    data = CONTAINERS[kind].make(SHOT)
    reader = read(data if kind == "png" else data + bytes(2_000_000), thin=thin)

    assert reader.facts.status == "ok"
    assert reader.reads <= 8
    assert reader.bytes <= (110_000 if kind == "png" else 30_000)


@pytest.mark.skipif(not shutil.which("exiftool"), reason="exiftool is not installed")
def test_exiftool_reads_the_same_from_the_generated_photos(album):
    folder, shots = album
    chosen = {name: shot for number, (name, shot) in enumerate(shots.items()) if number % 60 < len(CONTAINERS)}
    command = ["exiftool", "-n", "-j", "-q", "-GPSLatitude", "-GPSLongitude", "-GPSAltitude", "-RelativeAltitude"]
    done = subprocess.run([*command, *(str(folder / name) for name in chosen)], capture_output=True, check=True)
    for theirs in json.loads(done.stdout):
        ours = facts(Path(theirs["SourceFile"]).read_bytes())
        assert ours.lat == pytest.approx(theirs["GPSLatitude"], abs=1e-7)
        assert ours.lon == pytest.approx(theirs["GPSLongitude"], abs=1e-7)
        assert ours.alt_msl_m == pytest.approx(theirs["GPSAltitude"], abs=1e-3)
        assert ours.rel_alt_m == (float(theirs["RelativeAltitude"]) if "RelativeAltitude" in theirs else None)


def test_the_second_picture_of_a_jpeg_is_never_read():
    photo = sample.jpeg(None) + sample.jpeg(EXIF)

    assert facts(photo).status == "no_gps"


def test_a_second_exif_block_counts_where_the_first_has_no_position():
    photo = sample.jpeg(EXIF, before=sample.segment(0xE1, b"Exif\0\0" + sample.tiff(Shot(None, None))))

    assert facts(photo).lat == 47.5


def test_fill_bytes_between_segments_are_read_over():
    assert facts(sample.jpeg(EXIF, before=b"\xff" * 5)).lat == 47.5


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("blocks", [1, 3, 400])
def test_a_png_has_its_metadata_before_or_after_any_number_of_pixel_chunks(after, blocks):
    reader = read(sample.png(EXIF, after=after, blocks=blocks))

    assert reader.facts.lat == 47.5
    assert reader.bytes < 200_000


@pytest.mark.parametrize("name", [b"exif", b"APP1"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_png_has_an_exif_block_as_hexadecimal_text(name, packed):
    digits = (b"Exif\0\0" + EXIF).hex().encode()
    text = b"\n%s\n%8d\n%s\n" % (name, len(EXIF) + 6, digits)
    body = b"Raw profile type " + name + b"\0" + (b"\0" + zlib.compress(text) if packed else text)
    photo = sample.png(None, blocks=0)
    photo = photo[:-12] + sample.chunk(b"zTXt" if packed else b"tEXt", body) + photo[-12:]

    assert facts(photo).lat == 47.5


def test_a_text_that_inflates_without_end_is_left_unread():
    bomb = b"Raw profile type exif\0\0" + zlib.compress(bytes(50_000_000))
    photo = sample.png(None, blocks=0)
    found = facts(photo[:-12] + sample.chunk(b"zTXt", bomb) + photo[-12:])

    assert found.status == "no_gps"
    assert "inflates" in found.reason


def test_a_webp_has_its_exif_block_with_and_without_the_header_of_a_jpeg():
    assert facts(sample.webp(EXIF)).lat == facts(sample.webp(EXIF, header=True)).lat == 47.5


def test_what_a_jpeg_xl_has_compressed_is_unreadable_and_says_so():
    found = facts(sample.jxl(EXIF, compressed=True))

    assert found.status == "unreadable"
    assert "Brotli" in found.reason
    assert facts(b"\xff\x0a" + bytes(100)).status == "no_gps"


def test_a_big_tiff_is_read():
    import struct

    entries = [(0x8825, 18, 1, 100)]
    gps = sample.gps_entries(PLAIN)
    head = b"II+\0\x08\0\0\0" + struct.pack("<Q", 16) + struct.pack("<Q", 1)
    table = b"".join(struct.pack("<HHQQ", *entry) for entry in entries) + bytes(8)
    values, rows, place = b"", b"", 100 + 8 + 20 * len(gps) + 8
    for tag, kind, value in gps:
        count, raw = sample._encoded(kind, value, "<")
        inline = raw.ljust(8, b"\0") if len(raw) <= 8 else struct.pack("<Q", place + len(values))
        values += b"" if len(raw) <= 8 else raw
        rows += struct.pack("<HHQ", tag, kind, count) + inline
    data = (head + table).ljust(100, b"\0") + struct.pack("<Q", len(gps)) + rows + bytes(8) + values

    assert facts(data).lat == 47.5


def test_a_damaged_exif_block_in_a_whole_photo_is_no_position_with_the_reason():
    found = facts(sample.jpeg(b"XX*\0" + EXIF[4:]))

    assert (found.status, found.reason) == ("no_gps", "its Exif block does not start with a byte order")


def test_one_damaged_entry_leaves_the_others():
    gps = sample.gps_entries(PLAIN)
    photo = bytearray(sample.jpeg(sample.tiff(PLAIN, gps=gps)))
    place = photo.index(b"Some\0") - 6  # the value of the maker's name
    photo = bytes(photo).replace(
        (len(b"Some\0")).to_bytes(4, "little") + photo[place - 40 : place - 36], b"\5\0\0\0" + b"\xff" * 4
    )

    assert facts(photo).lat == 47.5


@pytest.mark.parametrize(("data", "reason"), [
    (b"", "empty"), (b"hello", "known kind"), (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", "'isom'"),
    (b"\xff\xd8\xff\xe1", "ends"), (b"\x89PNG\r\n\x1a\n\0\0", "ends"),
])  # fmt: skip
def test_what_is_not_a_photo_is_unreadable_with_the_reason(data, reason):
    found = facts(data)

    assert found.status in ("unreadable", "not_a_photo")
    assert reason in found.reason


def test_reads_and_bytes_are_bounded():
    scattered = sample.jpeg(None, before=sample.segment(0xE2, bytes(60_000)) * 40)
    reader = read(scattered)

    assert reader.facts.status == "unreadable"
    assert reader.reads <= MOST_READS
    assert reader.bytes <= MOST_BYTES


@given(st.sampled_from(sorted(CONTAINERS)), st.lists(st.integers(1, 5000), min_size=1, max_size=5))
def test_a_photo_says_the_same_however_short_the_answers_are(kind, lengths):
    data, reader, turn = CONTAINERS[kind].make(SHOT), Reader(None), 0
    reader = Reader(len(data))
    while reader.wanted is not None:
        offset, length = reader.wanted
        part = data[offset : offset + min(length, lengths[turn % len(lengths)] + 200)]
        reader.feed(part, ended=offset + len(part) >= len(data))
        turn += 1

    assert reader.facts == facts(data)


@given(st.sampled_from(sorted(CONTAINERS)), st.data())
def test_a_photo_with_changed_bytes_gives_facts_and_no_exception(kind, data):
    photo = bytearray(CONTAINERS[kind].make(SHOT))
    for _ in range(data.draw(st.integers(1, 8))):
        photo[data.draw(st.integers(0, min(len(photo), 3000) - 1))] = data.draw(st.integers(0, 255))
    reader = read(bytes(photo[: data.draw(st.integers(0, len(photo)))]))

    assert reader.facts is not None
    assert reader.reads <= MOST_READS
    assert reader.bytes <= MOST_BYTES + FIRST
