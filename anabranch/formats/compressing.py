"""Compress outputs: as whole members, one after the other, which every reader of these codecs reads as one stream."""

import bz2
import io
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pyarrow as pa
from isal import igzip
from typing_extensions import Buffer

MEMBER = 16 << 20  # bytes of content in each member of a stream
_GZ_LEVEL = 2  # of 0 to 3 in isal
_XZ_PRESET = 1  # 12 MB/s; 3 is four times slower for 2 % less, and 6 takes 94 MB for each thread


def compress(data: Buffer, codec: str) -> Buffer:
    """Compress into one whole member or frame of gz, bz2, xz, zst or lz4; as it is without a codec. Deterministic."""
    if codec == "gz":
        compressed: Buffer = igzip.compress(data, compresslevel=_GZ_LEVEL, mtime=0)
        return compressed
    if codec == "bz2":
        return bz2.compress(data)
    if codec == "xz":
        return lzma.compress(data, preset=_XZ_PRESET)
    return memoryview(pa.compress(pa.py_buffer(data), {"zst": "zstd", "lz4": "lz4"}[codec])) if codec else data


@contextmanager
def compressing(out: IO[bytes], codec: str) -> Iterator[IO[bytes]]:
    """Yield a file whose content goes compressed to `out`; `out` itself where there is no codec."""
    if not codec:
        yield out
        return
    members = _Members(out, codec)
    yield members  # type: ignore[misc]  # RawIOBase is what IO[bytes] describes, see typeshed
    members.flush_member()


class _Members(io.RawIOBase):
    """Cut what is written into members of equal content, however it comes."""

    def __init__(self, out: IO[bytes], codec: str) -> None:
        self.out, self.codec = out, codec
        self.held, self.taken = bytearray(), 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.taken

    def write(self, data: Buffer, /) -> int:
        self.held += data
        while len(self.held) >= MEMBER:
            self.flush_member(MEMBER)
        size = memoryview(data).nbytes
        self.taken += size
        return size

    def flush_member(self, size: int | None = None) -> None:
        content = bytes(self.held[:size])
        del self.held[:size]
        if content:
            self.out.write(compress(content, self.codec))
