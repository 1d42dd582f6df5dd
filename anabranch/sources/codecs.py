"""Open sources as seekable streams of bytes: decompressed, and turned into UTF-8."""

import codecs
import io
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO

from typing_extensions import Buffer

from anabranch.core.errors import SourceError
from anabranch.sources import remote
from anabranch.sources.bounds import require_bounded
from anabranch.sources.decoding import NAMES, DamageError, damage_noticed, frames, sniff, streams
from anabranch.sources.guessing import hint
from anabranch.sources.packaged import SNAPPY, ZIP, unsnapped, unzipped, zip_member
from anabranch.sources.source import Source
from anabranch.sources.spans import SpanFile

__all__ = [
    "CODEC_SUFFIXES",
    "decoded",
    "decompressed",
    "inner_name",
    "named_codec",
    "open_source",
    "open_text",
    "sniff",
    "sniff_encoding",
    "sniff_named",
    "uncompressed",
]

CODEC_SUFFIXES = {
    ".gz": "gz", ".gzip": "gz", ".bgz": "gz", ".bz2": "bz2", ".xz": "xz", ".lzma": "xz",
    ".zst": "zst", ".zstd": "zst", ".lz4": "lz4", ".br": "br", ".sz": "sz", ".zip": "zip",
}  # fmt: skip
_BUFFER = 1 << 20  # bytes
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_LE: "utf-16",
    codecs.BOM_BE: "utf-16",
}


def sniff_encoding(head: bytes) -> str:
    """Return the encoding of a byte order mark: utf-16 or utf-32; utf-8 otherwise."""
    return next((name for mark, name in _MARKS.items() if head.startswith(mark)), "utf-8")


def uncompressed(path: PurePosixPath) -> PurePosixPath:
    """Take the suffix of a codec from a name."""
    return path.with_suffix("") if path.suffix.lower() in CODEC_SUFFIXES else path


def named_codec(path: str) -> str:
    """Name the codec that a file's suffix promises, or nothing."""
    return CODEC_SUFFIXES.get(PurePosixPath(remote.named(path)).suffix.lower(), "")


def sniff_named(path: str, head: bytes) -> str:
    """Name the codec of a file that begins so, by its content; of br and zip, which others may look like, by its name.

    Spreadsheets are zip archives, too, and a brotli stream has no mark to know it by.
    """
    if found := sniff(head):
        return found
    if head.startswith(SNAPPY):
        return "sz"
    named = named_codec(path)
    if named == "zip" and head.startswith(ZIP):
        return named
    return named if named == "br" and head and (not _is_text(head) or _decodes(head)) else ""


def _is_text(head: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with suppress(UnicodeDecodeError):
        return "\0" not in decoder.decode(head)
    return False


def _decodes(head: bytes) -> bool:
    with suppress(OSError):
        return bool(next(frames(io.BytesIO(head), "br", 1), b""))
    return False


def inner_name(source: Source) -> str:
    """Name the one file of a source that is a zip archive; SourceError where it is damaged, or holds others."""
    with open_source(source) as raw:
        try:
            return zip_member(raw, source.label)
        except DamageError as error:
            raise _damaged(f"the zip archive is damaged ({error})", source.label) from error


def open_source(source: Source) -> IO[bytes]:
    """Open the bytes as they lie there, unpacked where they were, seekable; SourceError where that is refused."""
    if source.spans:
        return io.BufferedReader(SpanFile(source.spans), _BUFFER)
    if remote.is_url(source.path):
        return remote.open_file(source.path, source.label, source.work)
    try:
        return Path(source.path).open("rb")
    except OSError as error:
        raise SourceError(
            "source-unreadable", os.strerror(error.errno or 0), "Fix that, and run again.", source.label
        ) from error


def open_text(source: Source, codec: str, encoding: str = "utf-8") -> IO[bytes]:
    """Open the decompressed bytes, turned into UTF-8 where `encoding` is another; see `decoded`."""
    return decoded(open_source(source), codec, encoding, source.label, source.most)


def decoded(raw: IO[bytes], codec: str, encoding: str = "utf-8", label: str = "", most: str = "") -> IO[bytes]:
    """Read a seekable file decompressed and in UTF-8; owns `raw`. Seeking works, but backwards begins again.

    Reading raises SourceError: `source-damaged` (truncated, damaged, or followed by something else), `too-large`
    (unpacks to more than `most` allows, see `bounds`) or `undecodable` (no text in that encoding), each with its
    offset.
    """
    if not codec and encoding == "utf-8":
        return raw

    def pieces() -> Iterator[bytes]:
        raw.seek(0)
        plain = decompressed(raw, codec, label, most) if codec else iter(lambda: raw.read(_BUFFER), b"")
        return plain if encoding == "utf-8" else _transcoded(plain, encoding, label)

    return io.BufferedReader(_Pieces(raw, pieces), _BUFFER)


def decompressed(raw: IO[bytes], codec: str, label: str = "", most: str = "") -> Iterator[bytes]:
    """Decode a file from its position to its end; raises as reading from `decoded` does."""
    size = 0
    try:
        with damage_noticed():
            for piece in _pieces_of(raw, codec, label):
                yield piece
                size += len(piece)
                require_bounded(size, raw.tell(), label, most)
    except DamageError as error:
        where = f"at byte {raw.tell()} of the file or a little before it, after at least {size} decompressed bytes"
        raise _damaged(f"the {codec} data are damaged {where} ({error})", label) from error
    end = raw.tell()
    if raw.read(1):
        where = f"at byte {end} of the file, after {size} decompressed bytes"
        raise _damaged(f"something that is not {codec} follows {where}", label)


def _pieces_of(raw: IO[bytes], codec: str, label: str) -> Iterator[bytes]:
    if codec == "zip":
        return unzipped(raw, label)
    if codec == "sz":
        return unsnapped(raw)
    return (frames if codec in NAMES else _padded)(raw, codec)


def _padded(raw: IO[bytes], codec: str) -> Iterator[bytes]:
    """Decode streams that zeros may follow: padding, of xz by its standard, of gz by old use."""
    yield from streams(raw, codec)
    while codec in ("xz", "gz") and _skip_zeros(raw):
        yield from streams(raw, codec)


def _skip_zeros(raw: IO[bytes]) -> bool:
    """Go to the next byte that is not zero, or the end; say whether there was a zero."""
    begin = raw.tell()
    while data := raw.read(_BUFFER):
        if left := data.lstrip(b"\0"):
            raw.seek(-len(left), os.SEEK_CUR)
            break
    return raw.tell() > begin


def _damaged(reason: str, label: str) -> SourceError:
    return SourceError("source-damaged", reason, "Fetch the file again, or repair it.", label)


def _transcoded(pieces: Iterator[bytes], encoding: str, label: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    read = 0
    for piece in pieces:
        read += len(piece)
        yield _utf8(decoder, piece, read, encoding, label)
    yield _utf8(decoder, b"", read, encoding, label)


def _utf8(decoder: codecs.IncrementalDecoder, piece: bytes, read: int, encoding: str, label: str) -> bytes:
    """Decode a piece; `read` counts the bytes up to its end, and an empty piece is the end of the text."""
    try:
        return decoder.decode(piece, not piece).encode()
    except UnicodeDecodeError as error:
        # what the decoder held back is in the object, too
        place = f"offset {read - len(error.object) + error.start}"
        raise _undecodable(place, encoding, error.reason, error.object, label) from error
    except UnicodeError as error:  # no mark of the byte order where one must be, or half of a surrogate pair
        raise _undecodable(f"or before offset {read}", encoding, str(error), piece, label) from error


def _undecodable(place: str, encoding: str, reason: str, data: bytes, label: str) -> SourceError:
    return SourceError(
        "undecodable",
        f"the bytes at {place} of the text are not {encoding} ({reason})",
        f"Name the right encoding with --encoding. {hint(data)}".rstrip(),
        label,
    )


class _Pieces(io.RawIOBase):
    """Read the joined pieces that a function gives again each time it is called."""

    def __init__(self, raw: IO[bytes], pieces: Callable[[], Iterator[bytes]]) -> None:
        self._raw, self._again = raw, pieces
        self._restart()

    def _restart(self) -> None:
        self._left, self._held, self._position = self._again(), memoryview(b""), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Buffer) -> int:
        room = memoryview(buffer)
        while not self._held:
            piece = next(self._left, None)
            if piece is None:
                return 0
            self._held = memoryview(piece)
        size = min(len(room), len(self._held))
        room[:size] = self._held[:size]
        self._held = self._held[size:]
        self._position += size
        return size

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            while self._skip(_BUFFER):
                pass
        target = offset + (0 if whence == os.SEEK_SET else self._position)
        if target < 0:
            raise ValueError("a position before the start of the file")
        if target < self._position:
            self._restart()
        while self._position < target and self._skip(target - self._position):
            pass
        return self._position

    def _skip(self, size: int) -> int:
        return self.readinto(bytearray(min(size, _BUFFER)))

    def close(self) -> None:
        with suppress(AttributeError):  # where its creation failed
            self._raw.close()
        super().close()
