import bz2

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anabranch.sources import bzip2
from tests.examples import examples

TEXTS = st.one_of(st.binary(max_size=3000), st.binary(min_size=1, max_size=50).map(lambda piece: piece * 9000))


def chunked(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


def spans(data, size=1 << 16):
    return bzip2.spans(list(bzip2.marks(chunked(data, size))), len(data))


def long_text(seed=1, size=350_000):
    """Make text that bzip2 cuts into several of its smallest blocks."""
    return b"".join(b"%d " % (number * seed * 7919 % 1_000_003) for number in range(size // 7))


@given(st.lists(st.tuples(TEXTS, st.integers(1, 9)), min_size=1, max_size=4), st.integers(1, 5000))
@example([(long_text(), 1), (b"", 9), (long_text(3), 1)], 4096)
def test_decoding_block_by_block_equals_decoding_all(streams, chunk):
    data = b"".join(bz2.compress(text, level) for text, level in streams)

    blocks = spans(data, chunk)

    assert b"".join(bzip2.decode(data, block) for block in blocks) == bz2.decompress(data)


def test_one_stream_has_several_blocks_at_any_bit():
    blocks = spans(bz2.compress(long_text(), 1))

    assert len(blocks) > 3
    assert {block.start % 8 for block in blocks} - {0}


@examples(40)
@given(st.data())
def test_a_changed_byte_is_noticed(data):
    whole = bz2.compress(long_text(size=150_000), 1)
    place = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[place] ^= data.draw(st.integers(1, 255))

    blocks = spans(bytes(damaged))
    try:
        text = b"".join(bzip2.decode(bytes(damaged), block) for block in blocks)
    except (OSError, ValueError):
        return

    # Not cut at all, or only the padding after the last CRC, or the block size, which one-block streams need not tell
    assert not blocks or text == bz2.decompress(whole)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda data: data[:-1], id="cut short"),
        pytest.param(lambda data: data + b"\0", id="a byte too many"),
        pytest.param(lambda data: data[:-9] + bytes(9), id="no end"),
        pytest.param(lambda data: b"x" + data, id="does not begin at the start"),
        pytest.param(lambda data: b"", id="empty"),
    ],
)
def test_a_file_that_is_not_whole_is_not_cut(spoil):
    assert not spans(spoil(bz2.compress(long_text(), 1)))


def test_a_false_mark_keeps_the_file_in_one_piece():
    data = bz2.compress(long_text(), 1)
    true = list(bzip2.marks([data]))
    false = bzip2.Mark(true[0].bit + 4000, last=False, crc=99)

    assert bzip2.spans(true, len(data))
    assert not bzip2.spans([true[0], false, *true[1:]], len(data))
