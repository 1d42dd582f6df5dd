"""Parts cover a file once, and are of a size and number that the store takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.core.errors import UsageError
from anabranch.core.sizes import size_in_bytes
from anabranch.uploads.options import UploadOptions
from anabranch.uploads.parts import MIB, is_small, part_size, ranges
from anabranch.uploads.plan import FEW, MOST_OF_A_TASK, tasks
from anabranch.uploads.stores.base import Limits
from anabranch.uploads.stores.s3 import S3Store

S3 = S3Store.limits
TIB = 1 << 40


@given(size=st.integers(0, 40 * TIB), chosen=st.none() | st.integers(5 * MIB, 5 << 30))
def test_the_parts_of_any_file_are_allowed_or_refused_before_anything_is_sent(size, chosen):
    try:
        part = part_size(size, S3, chosen)
    except UsageError:
        assert chosen is not None
        return
    assert -(-size // part) <= S3.most_parts
    assert S3.smallest_part <= part <= S3.largest_part


@given(size=st.integers(0, 10_000), part=st.integers(1, 3000))
def test_the_ranges_cover_the_file_once_and_in_order(size, part):
    found = list(ranges(size, part))

    assert [number for number, _, _ in found] == list(range(1, len(found) + 1))
    assert [place for _, offset, length in found for place in range(offset, offset + length)] == list(range(size))
    assert all(length == part for _, _, length in found[:-1])


@given(parts=st.integers(0, 2000), in_flight=st.integers(1, 64))
def test_tasks_send_several_parts_each_while_many_are_left_and_one_each_at_the_end(parts, in_flight):
    found = list(tasks(parts, in_flight))

    assert sum(found) == parts
    assert found == sorted(found, reverse=True)
    assert all(1 <= count <= MOST_OF_A_TASK for count in found)
    assert set(found[-in_flight:]) <= {1}
    assert parts < 4 * max(in_flight, FEW) * MOST_OF_A_TASK or len(found) < parts / 2
    assert len(found) == parts or parts >= 4 * FEW


@pytest.mark.parametrize(("size", "part"), [
    (0, 16 * MIB), (16 * MIB, 16 * MIB), (9_000 * 16 * MIB, 16 * MIB), (9_000 * 16 * MIB + 1, 17 * MIB),
])  # fmt: skip
def test_parts_have_16_mib_until_there_would_be_more_than_9000(size, part):
    assert part_size(size, S3) == part


def test_10001_parts_are_refused():
    with pytest.raises(UsageError, match="10,001 parts of 5,242,880 bytes are needed, and the store takes 10,000"):
        part_size(10_000 * 5 * MIB + 1, S3, 5 * MIB)


@pytest.mark.parametrize(("size", "part", "small"), [
    (0, 16 * MIB, True), (16 * MIB - 1, 64 * MIB, True), (16 * MIB, 64 * MIB, False), (5 * MIB, 5 * MIB, False),
])  # fmt: skip
def test_files_below_a_part_and_below_16_mib_are_sent_whole(size, part, small):
    assert is_small(size, part) is small


def test_a_file_larger_than_any_object_is_refused():
    with pytest.raises(UsageError, match="the store takes 10"):
        part_size(11, Limits(largest_object=10))


@pytest.mark.parametrize(("text", "size"), [("64MiB", 64 * MIB), ("8 mb", 8_000_000), ("5242880", 5 * MIB)])
def test_sizes_as_people_write_them(text, size):
    assert size_in_bytes(text) == size
    assert UploadOptions(part_size=text).part_bytes == size


@pytest.mark.parametrize("text", ["", "many", "-5MiB", "5 PiB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="is not a size"):
        UploadOptions(part_size=text)
