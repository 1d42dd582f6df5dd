"""Undo compression: detect the codec by the first bytes, and decode one stream or several, in pieces.

Of zst, lz4 and br by Arrow: it knows them, and pyarrow is here anyway.
"""

import bz2
import lzma
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Protocol

from isal.igzip_lib import DECOMP_GZIP, IgzipDecompressor
from isal.igzip_lib import error as deflate_error

GZIP = b"\x1f\x8b"
INPUT = 128 << 10  # bytes given to a decoder at a time
_OUTPUT = 1 << 20  # bytes taken from it
_HEADER = 10  # bytes by which a codec is detected
_UNKNOWN_FLAGS = 0xE0  # in the fourth byte of a gzip header; gzip refuses what it does not know
_XZ_MEMORY = 256 << 20  # bytes; a dictionary as large as xz -9 makes needs a quarter of that
_MAGIC = {GZIP: "gz", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zst", b"\x04\x22\x4d\x18": "lz4"}
_BZIP2_MARKS = (b"1AY&SY", b"\x17rE8P\x90")  # what a bzip2 stream goes on with: its first block, or its end
# Frames of zstd and lz4 that hold no data: their magic number after the first byte, of which half varies.
_SKIPPABLE, _SKIPPABLE_BEGIN, _SKIP_HEADER = b"*M\x18", 0x5, 8
# What decoders raise where their data are damaged; the stub of isal calls its error an instance.
_RAISED: tuple[type[Exception], ...] = (OSError, EOFError, ValueError, lzma.LZMAError, deflate_error)  # type: ignore[assignment]


class DamageError(Exception):
    """These data cannot be read to their end; the text says why."""


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


_DECODERS: dict[str, Callable[[], _Decoder]] = {
    "gz": lambda: IgzipDecompressor(flag=DECOMP_GZIP),
    "bz2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY),
}
NAMES = {"zst": "zstd", "lz4": "lz4", "br": "brotli"}  # as Arrow calls them
_PROGRAMS = {"gz": "gzip", "bz2": "bzip2", "xz": "xz"}


@contextmanager
def damage_noticed() -> Iterator[None]:
    """Turn what a decoder raises into DamageError; an error of the disk stays what it is."""
    try:
        yield
    except _RAISED as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DamageError(str(error) or "the data are damaged") from error


def sniff(head: bytes) -> str:
    """Name the codec of data that begin so: gz, bz2, xz, zst, lz4, or nothing."""
    begin = 0
    while head[begin + 1 : begin + 4] == _SKIPPABLE and head[begin] >> 4 == _SKIPPABLE_BEGIN:
        begin += _SKIP_HEADER + int.from_bytes(head[begin + 4 : begin + _SKIP_HEADER], "little")
    for magic, codec in _MAGIC.items():
        if head.startswith(magic, begin):
            return codec
    return "bz2" if head.startswith(b"BZh", begin) and head[begin + 4 : begin + 10] in _BZIP2_MARKS else ""


def streams(file: IO[bytes], codec: str) -> Iterator[bytes]:
    """Decode the gz, bz2 or xz streams that follow one another in a file, and leave it at the end of the last one.

    The file must be seekable. Raises what the decoders raise: read it under `damage_noticed`. Data that do not begin
    with a stream give nothing.
    """
    data = file.read(INPUT)
    while _begins(data, codec):
        decoder = _DECODERS[codec]()
        while not decoder.eof:
            if decoder.needs_input and not data:
                data = file.read(INPUT)
                if not data:
                    raise EOFError(f"the {_PROGRAMS[codec]} data end too early")
            yield decoder.decompress(data, _OUTPUT)
            data = b""
        data = decoder.unused_data
        if len(data) < _HEADER:
            data += file.read(INPUT)
    file.seek(-len(data), 1)


def inflate(file: IO[bytes], codec: str = "gz") -> Iterator[bytes]:
    """Decode gz, bz2 or xz streams, one after the other; bytes that start no stream are yielded as they are."""
    yield from streams(file, codec)
    while data := file.read(_OUTPUT):
        yield data


def _begins(data: bytes, codec: str) -> bool:
    if codec != "gz":
        return sniff(data) == codec
    if data.startswith(GZIP) and len(data) > 3 and data[3] & _UNKNOWN_FLAGS:  # noqa: PLR2004  magic, magic, method, flags
        raise ValueError("the gzip header has unknown flags")
    return data.startswith(GZIP)


def frames(file: IO[bytes], codec: str, size: int = _OUTPUT) -> Iterator[bytes]:
    """Decode all frames from the file's position to its end; OSError if there is something else among them.

    An error loses what precedes it within the last `size` bytes.
    """
    import pyarrow as pa  # noqa: PLC0415  logs, which are never compressed so, do without it

    with pa.CompressedInputStream(pa.PythonFile(_Lent(file), mode="r"), NAMES[codec]) as stream:
        while data := stream.read(size):
            yield data


class _Lent:
    """A file lent to Arrow, which would close it."""

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self.read = file.read

    def close(self) -> None:
        self.closed = True
