"""Decode zst and lz4, by Arrow: it knows both, and pyarrow is here anyway."""

from collections.abc import Iterator
from typing import IO

import pyarrow as pa

NAMES = {"zst": "zstd", "lz4": "lz4"}  # as Arrow calls them
_OUTPUT = 1 << 20  # bytes taken from a decoder at a time


def frames(file: IO[bytes], codec: str) -> Iterator[bytes]:
    """Decode all frames from where the file stands to its end; OSError where something else is among them."""
    with pa.CompressedInputStream(pa.PythonFile(_Lent(file), mode="r"), NAMES[codec]) as stream:
        while data := stream.read(_OUTPUT):
            yield data


class _Lent:
    """A file lent to Arrow, which would close it."""

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self.read = file.read

    def close(self) -> None:
        self.closed = True
