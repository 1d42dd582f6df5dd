"""Leave out of a tar stream what certainly is not a log: most of an archive of /var/log, and what attacks are made of.

Every other byte keeps its place, so the stream is listed and read as if it were whole. The target of a link that has a
log's name may be left out as well; `unpack.incomplete` notices that, and the stream is unpacked again.
"""

import tarfile
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from anabranch.logs.members import TAR_BLOCK

_SMALLEST = 64 << 10  # bytes; smaller entries are written, whatever they are
_LARGEST_HEADER = 1 << 20  # bytes
_NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_PAX = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
_IS_EXTENDED, _IS_EXTENDED_AGAIN = (
    482,
    504,
)  # where a header of a sparse entry, and a block of it, says that one follows


class _Lost(Exception):  # noqa: N818  nothing is wrong
    """What follows is not understood, and written as it is."""


class _Stream:
    """The pieces of a stream, of which so many bytes at a time are taken."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces, self._held, self._at = filter(None, pieces), b"", 0

    def take(self, size: int) -> Iterator[bytes]:
        """Yield the next bytes, fewer only where the stream ends."""
        while size:
            if self._at == len(self._held):
                self._held, self._at = next(self._pieces, b""), 0
                if not self._held:
                    return
            piece = self._held[self._at : self._at + size]
            self._at += len(piece)
            size -= len(piece)
            yield piece

    def rest(self) -> Iterator[bytes]:
        """Yield all that follows."""
        yield self._held[self._at :]
        yield from self._pieces


def leave_out(pieces: Iterable[bytes]) -> Iterator[bytes | int]:
    """Yield a tar stream from its start, and in place of what is left out how many bytes it has."""
    stream = _Stream(pieces)
    try:
        while True:
            yield from _entry(stream)
    except _Lost:
        yield from stream.rest()


def _entry(stream: _Stream) -> Iterator[bytes | int]:
    """Yield an entry, after the headers that extend its own."""
    is_kept = False
    while True:
        header = b"".join(stream.take(TAR_BLOCK))
        yield header
        info = _header(header)
        size = -(-info.size // TAR_BLOCK) * TAR_BLOCK
        if info.type not in (*_NAMES, *_PAX):
            break
        if size > _LARGEST_HEADER:
            raise _Lost
        extension = b"".join(stream.take(size))
        yield extension
        if info.type in _PAX and (b"size=" in extension or b"GNU.sparse" in extension or info.type == tarfile.XGLTYPE):
            raise _Lost
        is_kept |= info.type in _NAMES or b"path=" in extension
    if info.type == tarfile.GNUTYPE_SPARSE:
        yield from _sparse_blocks(stream, header)
    if not (info.isreg() or info.type not in tarfile.SUPPORTED_TYPES):
        return
    is_kept |= size < _SMALLEST or _may_be_log(info.name)
    yield from stream.take(size) if is_kept else map(len, stream.take(size))


def _header(header: bytes) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise _Lost from error


def _sparse_blocks(stream: _Stream, header: bytes) -> Iterator[bytes]:
    goes_on = header[_IS_EXTENDED]
    while goes_on:
        block = b"".join(stream.take(TAR_BLOCK))
        yield block
        goes_on = len(block) == TAR_BLOCK and block[_IS_EXTENDED_AGAIN]


def _may_be_log(name: str) -> bool:
    return PurePosixPath(name).name.lower().startswith("messages")
