"""Compress and damage data for tests, by other libraries than those that read them where there are such."""

import bz2
import gzip
import lzma

import cramjam
import pyarrow as pa

SKIPPABLE = b"\x50\x2a\x4d\x18\x05\0\0\0about"  # a frame that zstd and lz4 pass over


def _arrow(codec, data):
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, codec) as stream:
        stream.write(data)
    return out.getvalue().to_pybytes()


PACK = {
    "gz": lambda data: gzip.compress(data, 1, mtime=0),
    "bz2": lambda data: bz2.compress(data, 1),
    "xz": lambda data: lzma.compress(data, preset=0),
    "zst": lambda data: _arrow("zstd", data),
    "lz4": lambda data: _arrow("lz4", data),
}
ALL = {
    **PACK,
    "br": lambda data: bytes(cramjam.brotli.compress(data)),
    "sz": lambda data: bytes(cramjam.snappy.compress(data)),
}
