"""What a run measures of its own requests decides how long further parts are, and what it suggests."""

import random

import pytest

from anabranch.uploads import admission, measuring, parts
from anabranch.uploads.measuring import Measured
from anabranch.uploads.pieces import Sent
from anabranch.uploads.stores.base import StoredPart
from tests.uploads.sending import upload

MIB, GIB = 1 << 20, 1 << 30


def measured(*requests):
    """Measure some requests of each: the size of a part, MB/s of each, the number in flight."""
    found = Measured()
    for size, rate, in_flight in requests:
        one = Sent("key", 1, size, "sent", part=StoredPart(1, size), seconds=size / rate / 1e6, in_flight=in_flight)
        found.add([one] * 40)
    return found


@pytest.mark.parametrize(("size", "rate", "wanted"), [
    (10 * GIB, 10, 16 * MIB),  # as long as usual takes 1.7 s
    (10 * GIB, 25, 32 * MIB),
    (10 * GIB, 500, 128 * MIB),
    (1 * GIB, 500, 32 * MIB),  # of longer ones too few would be in flight at the end
    (100 * MIB, 500, 16 * MIB),
    (10 * GIB, 1, 8 * MIB),
    (100 * GIB, 1, 16 * MIB),  # shorter ones would be too many
])  # fmt: skip
def test_parts_take_about_two_seconds(size, rate, wanted):
    assert measured((16 * MIB, rate, 8)).part_size(size, 16 * MIB, 5 * MIB, 8) == wanted


def test_without_a_measurement_parts_are_as_usual():
    small = Measured()
    small.add([Sent("key", 1, 100, "sent", seconds=1, in_flight=8)])

    assert [found.part_size(10 * GIB, 16 * MIB, 1, 8) for found in (Measured(), small)] == [16 * MIB, 16 * MIB]


def test_the_parts_of_a_huge_file_stay_as_few_as_the_store_takes():
    assert measured((16 * MIB, 1, 8)).part_size(4 << 40, 467 * MIB, 5 * MIB, 8) == 467 * MIB


def test_a_number_in_flight_that_was_quicker_is_suggested():
    grown = measured((16 * MIB, 25, 8), (16 * MIB, 24, 16), (16 * MIB, 12, 32))

    (text,) = grown.suggestions(8)
    assert text == (
        "With 16 parts in flight a worker process sent 384 MB/s, with 8 200 MB/s: `--parts-in-flight 16` begins with "
        "so many."
    )


def test_a_length_of_parts_that_was_quicker_is_suggested():
    (text,) = measured((16 * MIB, 20, 8), (64 * MIB, 30, 8)).suggestions(8)
    assert text == (
        "A connection sent 30.0 MB/s in parts of 64 MiB, and 20.0 MB/s in parts of 16 MiB: see `--part-size 64MiB`."
    )


@pytest.mark.parametrize("requests", [
    [], [(16 * MIB, 25, 8)], [(16 * MIB, 25, 8), (16 * MIB, 13, 16)], [(16 * MIB, 20, 8), (32 * MIB, 21, 8)],
])  # fmt: skip
def test_what_was_not_clearly_quicker_is_not_suggested(requests):
    assert list(measured(*requests).suggestions(8)) == []


def test_the_next_file_of_a_run_gets_parts_as_long_as_its_connections_are_quick(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "SMALLEST", MIB)
    monkeypatch.setattr(measuring, "SIZES", (MIB, 2 * MIB, 4 * MIB))
    monkeypatch.setattr(measuring, "PART_SECONDS", 3600.0)
    monkeypatch.setattr(admission, "MOST_UNITS", 1)
    sizes = {"first": 9 * MIB, "second": 8 * MIB}  # the biggest one first
    (tmp_path / "in").mkdir()
    for name, size in sizes.items():
        (tmp_path / "in" / name).write_bytes(random.Random(name).randbytes(size))

    report = upload(tmp_path / "in", f"{tmp_path}/out/", tmp_path / "work", part_size=None, parts_in_flight=1)

    found = {name.rpartition("/")[2]: figures["parts"] for name, figures in report.details.items()}
    assert found == {"first": 9, "second": 4}
    for name in sizes:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "in" / name).read_bytes()
