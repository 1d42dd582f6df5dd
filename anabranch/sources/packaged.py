"""Undo what is not a plain stream of one codec: the one file of a zip archive, and snappy in frames."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from anabranch.core.errors import SourceError
from anabranch.sources.decoding import DamageError

ZIP = b"PK\x03\x04"
SNAPPY = b"\xff\x06\x00\x00sNaPpY"  # the frame that a snappy stream begins with
_PIECE = 1 << 20  # bytes
_SKIPPABLE = 0x80  # frames from this type on hold no data
_HEADER = 4  # bytes: the type of a frame, and its size in three
_NO_DATA = ("__MACOSX/", ".DS_Store", "Thumbs.db")  # what systems add to archives
_NAMED = 5  # files in a message


def zip_member(file: IO[bytes], label: str = "") -> str:
    """Name the one file of a zip archive; SourceError where there is another number of them, or it is encrypted."""
    with _opened(file, label) as archive:
        return _member(archive, label).filename


def unzipped(file: IO[bytes], label: str = "") -> Iterator[bytes]:
    """Decode the one file of a zip archive; DamageError where it is damaged."""
    with _opened(file, label) as archive, archive.open(_member(archive, label)) as member:
        while data := member.read(_PIECE):
            yield data
    file.seek(0, 2)


@contextmanager
def _opened(file: IO[bytes], label: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DamageError(str(error)) from error
    except NotImplementedError as error:
        raise SourceError("format-unknown", f"the zip archive: {error}", "Unpack it first.", label) from error


def _member(archive: zipfile.ZipFile, label: str) -> zipfile.ZipInfo:
    files = [
        one for one in archive.infolist() if not one.is_dir() and not one.filename.startswith(_NO_DATA[0])
        and not one.filename.endswith(_NO_DATA[1:])
    ]  # fmt: skip
    if len(files) != 1:
        names = ", ".join(one.filename for one in files[:_NAMED]) + ", …" * (len(files) > _NAMED)
        reason = f"the zip archive holds {len(files)} files" + f": {names}" * bool(files)
        raise SourceError("format-unknown", reason, "Unpack it, and name its folder.", label)
    if files[0].flag_bits & 1:
        raise SourceError("format-unknown", "the zip archive is encrypted", "Unpack it first.", label)
    return files[0]


def unsnapped(file: IO[bytes]) -> Iterator[bytes]:
    """Decode the frames of a snappy stream; DamageError where they are damaged or end too early."""
    import cramjam  # noqa: PLC0415  for the few files that are compressed so

    held = bytearray()
    while header := file.read(_HEADER):
        size = int.from_bytes(header[1:], "little")
        frame = header + file.read(size)
        if len(frame) != _HEADER + size:
            raise DamageError("the snappy data end too early")
        if header[0] < _SKIPPABLE:
            held += frame
        elif header[0] == SNAPPY[0] and frame != SNAPPY:
            raise DamageError("a frame that begins a stream is not one of snappy")
        if len(held) >= _PIECE:
            yield bytes(_decoded(cramjam, held))
            held.clear()
    if held:
        yield bytes(_decoded(cramjam, held))


def _decoded(cramjam: object, frames: bytearray) -> bytes:
    try:
        return bytes(cramjam.snappy.decompress(SNAPPY + bytes(frames)))  # type: ignore[attr-defined]
    except Exception as error:
        raise DamageError(str(error)) from error
