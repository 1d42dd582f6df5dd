"""Split a bzip2 file at its blocks, which start at any bit, so that many workers can decode it.

Every block begins with a 48-bit magic number and the CRC of its bytes; a stream ends with another magic number and the
CRC of all its blocks together. A file is cut only where these CRCs add up from its first byte to its last: a false
mark or a missing block shows there, and then one worker decodes the file from its start and finds what is wrong.
"""

import bz2
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import IO, NamedTuple

from ahocorasick_rs import BytesAhoCorasick, Implementation

_BLOCK, _END = 0x314159265359, 0x177245385090
_MARK = 80  # bits: the magic number and the CRC after it
_WINDOW = 12  # bytes that hold a mark wherever it begins in the first of them
_HEADER = 4  # bytes before a stream's first mark: BZh and the size of its blocks
_CHUNK = 1 << 20  # bytes read at a time


class Mark(NamedTuple):
    """The start of a block, or the end of a stream, with its CRC."""

    bit: int
    last: bool
    crc: int


def marks(chunks: Iterable[bytes]) -> Iterator[Mark]:
    """Find the marks of a file that is read in chunks, in order."""
    offset, held = -1, b"\0"  # a byte before the file, since each mark is found by the byte after its first
    for chunk in chunks:
        held += chunk
        ready = max(len(held) - _WINDOW + 2, 1)
        yield from _marks(held, offset * 8, ready)
        offset, held = offset + ready - 1, held[ready - 1 :]
    yield from _marks(held + bytes(_WINDOW), offset * 8, len(held))


def spans(found: Sequence[Mark], size: int) -> list[range]:
    """Return the bits of every block; none unless the CRCs add up and the streams fill all `size` bytes."""
    blocks, stream, crc, fresh = [], 0, 0, True
    for mark, following in pairwise([*found, Mark(size * 8, last=True, crc=0)]):
        if fresh and mark.bit != (stream + _HEADER) * 8:
            return []
        fresh = mark.last
        if mark.last:
            if mark.crc != crc:
                return []
            stream, crc = (mark.bit + _MARK + 7) // 8, 0
        else:
            crc = ((crc << 1 | crc >> 31) & 0xFFFFFFFF) ^ mark.crc
            blocks.append(range(mark.bit, following.bit))
    return blocks if fresh and stream == size else []


def decode_range(file: IO[bytes], bits: range) -> Iterator[bytes]:
    """Decode the blocks that begin within these bits, which `spans` gave; raises as `decode` does."""
    base = bits.start // 8
    file.seek(base)
    found = [mark._replace(bit=mark.bit + base * 8) for mark in marks(_until(file, bits.stop))]
    inside = [mark for mark in found if mark.bit in bits]
    ends = [mark.bit for mark in inside[1:]] + [bits.stop]
    for mark, end in zip(inside, ends, strict=True):
        if not mark.last:
            first = mark.bit // 8
            file.seek(first)
            yield decode(file.read((end + 7) // 8 - first), range(mark.bit % 8, end - first * 8))


def decode(data: bytes, block: range) -> bytes:
    """Decode the block that fills these bits of `data`; OSError or ValueError where it is damaged."""
    first, stop = block.start // 8, (block.stop + 7) // 8
    bits = int.from_bytes(data[first:stop], "big") >> (stop * 8 - block.stop)
    bits &= (1 << len(block)) - 1
    crc = (bits >> (len(block) - _MARK)) & 0xFFFFFFFF
    stream = (bits << _MARK) | (_END << 32) | crc  # a stream of one block has its block's CRC
    padding = -(len(block) + _MARK) % 8
    return bz2.decompress(b"BZh9" + (stream << padding).to_bytes((len(block) + _MARK + padding) // 8, "big"))


def _until(file: IO[bytes], stop_bit: int) -> Iterator[bytes]:
    """Read on in chunks, up to that bit."""
    left = (stop_bit + 7) // 8 - file.tell()
    while left > 0 and (data := file.read(min(left, _CHUNK))):
        left -= len(data)
        yield data


def _marks(data: bytes, offset: int, ready: int) -> Iterator[Mark]:
    """Find the marks whose second byte lies before `ready`; `offset` is the place of `data` in the file, in bits."""
    for core, start, _ in _cores().find_matches_as_indexes(data, overlapping=True):
        if 0 < start < ready:
            shift = core % 8
            window = int.from_bytes(data[start - 1 : start - 1 + _WINDOW], "big")
            mark = (window >> (_WINDOW * 8 - _MARK - shift)) & ((1 << _MARK) - 1)
            if mark >> 32 in {_BLOCK, _END}:
                yield Mark(offset + (start - 1) * 8 + shift, mark >> 32 == _END, mark & 0xFFFFFFFF)


@cache
def _cores() -> BytesAhoCorasick:
    """Find the five whole bytes inside a magic number that begins at any of eight bits of a byte."""
    shifted = [(magic << (8 - shift)).to_bytes(7, "big") for magic in (_BLOCK, _END) for shift in range(8)]
    return BytesAhoCorasick([number[1:6] for number in shifted], implementation=Implementation.DFA)
