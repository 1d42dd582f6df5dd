"""Cut compressed files where a stream of theirs begins: gz members, zst and lz4 frames, xz streams, bzip2 blocks."""

import bz2
import io
import lzma
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import IO

from anabranch.core.batches import joined
from anabranch.core.errors import SourceError
from anabranch.sources import bzip2
from anabranch.sources.bounds import require_bounded
from anabranch.sources.codecs import decompressed
from anabranch.sources.decoding import GZIP, DamageError, damage_noticed, frames, inflate
from anabranch.sources.spans import Span, SpanFile

_CHUNK = 1 << 20  # bytes read at a time
_LOST = 8 << 10  # bytes that precede the damage of zst or lz4, and are lost with it
_PROOF = 1 << 20  # decompressed bytes after which a begin is believed
_MAGIC = {"gz": b"\x1f\x8b\x08", "xz": b"\xfd7zXZ\0", "zst": b"\x28\xb5\x2f\xfd", "lz4": b"\x04\x22\x4d\x18"}


def cut(path: Path, codec: str, count: int) -> list[range]:
    """Return at most `count` ranges of bits, of about one size, each of which can be decoded on its own.

    Of bzip2 that is sure, by its check sums. Of the others it is sure once all ranges are decoded: the first begins
    where a stream does, and where one ends with a stream, the next begins with one. A file with another compressed file
    in it, stored as it is, can be cut within that one; then the range before it cannot be decoded to its end.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if codec != "bz2":
            return [
                range(first * 8, stop * 8) for first, stop in pairwise([0, *_begins(file, codec, size, count), size])
            ]
        blocks = bzip2.spans(list(bzip2.marks(iter(lambda: file.read(_CHUNK), b""))), size)
        return joined(blocks, count) if blocks else [range(size * 8)]


def decode(path: Path, codec: str, bits: range, most: str = "") -> Iterator[bytes]:
    """Decode a range that `cut` gave; DamageError where it does not hold whole streams, or too much for `most`."""
    try:
        yield from (_blocks if codec == "bz2" and bits.start else _streams)(path, codec, bits, most)
    except SourceError as error:
        raise DamageError(error.reason) from error


def up_to_damage(file: IO[bytes], codec: str, bits: range) -> Iterator[bytes]:
    """Decode a range that `cut` gave of bzip2, or a whole file of any codec; DamageError follows all that precedes it.

    What follows the last stream is as the programs have it: gzip passes it on, bzip2 and xz leave it. Without a codec
    the bytes are passed on as they are.
    """
    with damage_noticed():
        if codec == "bz2" and bits.start:
            yield from bzip2.decode_range(file, bits)
        elif codec == "gz":
            if file.read(len(GZIP)) != GZIP:
                raise DamageError("it is not gzip data")
            file.seek(0)
            yield from inflate(file)
        elif codec in ("bz2", "xz"):
            with bz2.open(file) if codec == "bz2" else lzma.open(file) as plain:
                while data := plain.read1(_CHUNK):  # `read` would lose what precedes an error in the same megabyte
                    yield data
        else:
            yield from frames(file, codec, _LOST) if codec else iter(lambda: file.read(_CHUNK), b"")


def _blocks(path: Path, _codec: str, bits: range, most: str) -> Iterator[bytes]:
    size = 0
    with damage_noticed(), path.open("rb") as file:
        for piece in bzip2.decode_range(file, bits):
            yield piece
            size += len(piece)
            require_bounded(size, len(bits) // 8, most=most)


def _streams(path: Path, codec: str, bits: range, most: str) -> Iterator[bytes]:
    span = Span(str(path), bits.start // 8, len(bits) // 8)
    with SpanFile([span]) as raw, io.BufferedReader(raw, _CHUNK) as part:
        yield from decompressed(part, codec, most=most)


def _begins(file: IO[bytes], codec: str, size: int, count: int) -> Iterator[int]:
    """Find the first stream that begins after each place where equal ranges would meet, and before the next."""
    for index in range(1, count):
        window = range(size * index // count, size * (index + 1) // count)
        found = next((place for place in _marks(file, _MAGIC[codec], window) if _is_begin(file, codec, place)), None)
        if found is not None:
            yield found


def _marks(file: IO[bytes], magic: bytes, window: range) -> Iterator[int]:
    for start in range(window.start, window.stop, _CHUNK):
        file.seek(start)
        data = file.read(min(_CHUNK, window.stop - start) + len(magic) - 1)
        place = data.find(magic)
        while place >= 0:
            yield start + place
            place = data.find(magic, place + 1)


def _is_begin(file: IO[bytes], codec: str, place: int) -> bool:
    """Whether what begins here can be decoded, for long enough or to the end of the file."""
    file.seek(place)
    size = 0
    try:
        for piece in decompressed(file, codec):
            size += len(piece)
            if size >= _PROOF:
                return True
    except SourceError:
        return False
    return True
