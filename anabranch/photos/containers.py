"""Find the Exif block and the XMP in JPEG, TIFF, PNG and WebP; the boxes of HEIF and JPEG XL are next door."""

import re
import zlib
from collections.abc import Iterator

from anabranch.photos import boxes
from anabranch.photos.metadata import Metadata
from anabranch.photos.view import Block, DamageError, View

_SEGMENTS = 1000  # of one JPEG
_CHUNKS = 10_000  # of one PNG or WebP
_HOPS = 4  # from chunk to chunk of a PNG's pixels, before its end is looked at instead
_TAIL = 64 << 10  # bytes of that end
_INFLATED = 512 << 10  # bytes that a compressed text of a PNG may have
_XAP = b"http://ns.adobe.com/xap/1.0/\0"
_PNG = b"\x89PNG\r\n\x1a\n"
_TIFFS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"IIU\0", b"IIRO", b"IIRS", b"MMOR")
_TEXT_CHUNK = re.compile(b"eXIf|tEXt|zTXt|iTXt")


def examine(view: View) -> Metadata:
    """Find and read a photo's metadata. Raises Need for bytes that it lacks, DamageError where it is not a photo."""
    head = view.upto(0, 16)
    if head.startswith(b"\xff\xd8"):
        return _jpeg(view)
    if head.startswith(_TIFFS):
        return _tiff(view)
    if head.startswith(_PNG):
        return _png(view)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _webp(view)
    found = boxes.examine(view, head)
    if found is None:
        raise DamageError("it is empty" if not head else "it does not start like a photo of a known kind")
    return found


def _tiff(view: View) -> Metadata:
    found = Metadata()
    found.add_exif(Block(view))
    return found


def _jpeg(view: View) -> Metadata:
    found = Metadata()
    segments = _segments(view)
    while not found.complete:
        try:
            marker, start, length = next(segments)
        except StopIteration:
            break
        except DamageError as error:  # what stood before is read
            if not (found.tags.main or found.tags.gps or found.xmp):
                raise
            found.faults.append(str(error))
            break
        if marker == 0xE1:  # noqa: PLR2004  # APP1
            head = view.upto(start, min(len(_XAP), length))
            if head.startswith(b"Exif\0"):
                found.add_exif(Block(view, start, length))
            elif head == _XAP:
                found.add_xmp(Block(view, start + len(_XAP), length - len(_XAP)))
    return found


def _segments(view: View) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and length of the segments before the pixels; of no picture after the first one."""
    offset = 2
    for _ in range(_SEGMENTS):
        marker = view.get(offset, 2)
        if marker[0] != 0xFF:  # noqa: PLR2004
            raise DamageError(f"no JPEG segment starts at byte {offset}")
        if marker[1] in (0xD9, 0xDA):  # the end, or the pixels
            return
        if marker[1] == 0xFF:  # noqa: PLR2004  a fill byte
            offset += 1
        elif marker[1] in (0x01, *range(0xD0, 0xD9)):
            offset += 2
        else:
            length = int.from_bytes(view.get(offset + 2, 2), "big")
            if length < 2:  # noqa: PLR2004  which it counts itself
                raise DamageError(f"the JPEG segment at byte {offset} has the length {length}")
            yield marker[1], offset + 4, length - 2
            offset += 2 + length
    raise DamageError(f"it has more than {_SEGMENTS} JPEG segments before its pixels")


def _webp(view: View) -> Metadata:
    found = Metadata()
    offset, end = 12, 8 + int.from_bytes(view.get(4, 4), "little")
    for _ in range(_CHUNKS):
        if offset + 8 > end or found.complete:
            break
        head = view.upto(offset, 8)
        if len(head) < 8:  # noqa: PLR2004  cut off, or no padding
            break
        kind, length = head[:4], int.from_bytes(head[4:], "little")
        if kind == b"EXIF":
            found.add_exif(Block(view, offset + 8, length))
        elif kind == b"XMP ":
            found.add_xmp(Block(view, offset + 8, length))
        offset += 8 + length + length % 2
    return found


def _png(view: View) -> Metadata:
    found = Metadata()
    offset = len(_PNG)
    for _ in range(_CHUNKS):
        if found.complete:
            break
        head = view.get(offset, 8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind == b"IEND":
            break
        if _TEXT_CHUNK.fullmatch(kind):
            _png_chunk(found, kind, Block(view, offset + 8, length))
        offset += 12 + length
        if kind == b"IDAT" and view.pieces > _HOPS and view.size and not view.knows(offset, 8):
            return _png_tail(view, found, max(view.size - _TAIL, offset))
    return found


def _png_tail(view: View, found: Metadata, start: int) -> Metadata:
    """Look for chunks in the last bytes of a PNG with many pixel chunks; a checksum tells a chunk from pixels."""
    tail = view.upto(start, _TAIL)
    for match in _TEXT_CHUNK.finditer(tail):
        begin, length = match.start(), int.from_bytes(tail[max(match.start() - 4, 0) : match.start()], "big")
        stop = begin + 4 + length
        if stop + 4 <= len(tail) and zlib.crc32(tail[begin:stop]) == int.from_bytes(tail[stop : stop + 4], "big"):
            _png_chunk(found, match[0], Block(view, start + begin + 4, length))
    return found


def _png_chunk(found: Metadata, kind: bytes, block: Block) -> None:
    """Take what one chunk has of metadata."""
    if kind == b"eXIf":
        found.add_exif(block)
        return
    length = block.length or 0
    keyword = block.get(0, min(length, 80)).split(b"\0", 1)[0]
    if not (keyword == b"XML:com.adobe.xmp" or keyword.startswith(b"Raw profile type ")):
        return
    if length > _INFLATED:
        found.faults.append(f"its text chunk of {length} bytes is too long to be read")
        return
    text = block.get(0, length)[len(keyword) + 1 :]
    try:
        if kind == b"iTXt":
            text = _international(text)
        elif kind == b"zTXt":
            text = _inflated(text[1:])
        if keyword == b"XML:com.adobe.xmp":
            found.add_xmp(Block.of(text))
        else:
            _raw_profile(found, keyword.rpartition(b" ")[2], text)
    except (ValueError, zlib.error) as error:
        found.faults.append(f"its {keyword.decode('latin-1')} cannot be read: {error}")


def _international(text: bytes) -> bytes:
    """Take the text of an iTXt chunk: two flags, a language, a translated keyword, the text."""
    *_, body = text[2:].split(b"\0", 2)
    return _inflated(body) if text[:1] == b"\1" else body


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    text = inflater.decompress(data, _INFLATED)
    if inflater.unconsumed_tail:
        raise ValueError(f"it inflates to more than {_INFLATED} bytes")
    return text


def _raw_profile(found: Metadata, name: bytes, text: bytes) -> None:
    """Take a profile that ImageMagick wrote as text: its name, its length, and hexadecimal digits."""
    words = text.split(None, 2)
    data = bytes.fromhex(words[2].decode("ascii")) if len(words) > 2 else b""  # noqa: PLR2004
    if name == b"xmp" or data.startswith(_XAP):
        found.add_xmp(Block.of(data.removeprefix(_XAP)))
    elif name.lower() in (b"exif", b"app1"):
        found.add_exif(Block.of(data))
