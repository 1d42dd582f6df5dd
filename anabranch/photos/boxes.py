"""Find the Exif block and the XMP in files of ISO boxes: HEIF and AVIF (items), and JPEG XL (boxes of their own)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from anabranch.photos.metadata import Metadata
from anabranch.photos.view import Block, DamageError, View, joined

_BOXES = 10_000  # of one level
_ITEMS = 10_000
_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1", b"avif", b"avis", b"miaf"}
_JXL = b"\0\0\0\x0cJXL \r\n\x87\n"
_XMP_TYPE = b"application/rdf+xml"


class _Box(NamedTuple):
    kind: bytes
    start: int  # of its content
    stop: int  # a large number where it goes on to the end of a file whose end is not known


def examine(view: View, head: bytes) -> Metadata | None:
    """Read the metadata of a file made of boxes; None where its first bytes are of another kind."""
    if head.startswith(b"\xff\x0a"):  # the pixels of a JPEG XL alone, which have no metadata
        return Metadata()
    if head.startswith(_JXL):
        return _jxl(view)
    return _heif(view) if head[4:8] == b"ftyp" else None


def _boxes(view: View, offset: int, stop: int | None) -> Iterator[_Box]:
    """Yield the boxes of one level; up to the end of the file where `stop` is None."""
    for _ in range(_BOXES):
        limit = view.end if stop is None else stop
        if limit is not None and offset + 8 > limit:
            return
        head = view.upto(offset, 8)
        if len(head) < 8:  # noqa: PLR2004  the file ends here
            return
        length, kind, start = int.from_bytes(head[:4], "big"), head[4:], offset + 8
        if length == 1:
            length, start = int.from_bytes(view.get(offset + 8, 8), "big"), offset + 16
        if length == 0:
            yield _Box(kind, start, view.end or view.size or 1 << 62)
            return
        if length < start - offset:
            raise DamageError(f"the box at byte {offset} has the length {length}")
        yield _Box(kind, start, offset + length)
        offset += length


def _jxl(view: View) -> Metadata:
    found, packed = Metadata(), b""
    for box in _boxes(view, 0, None):
        block = Block(view, box.start, box.stop - box.start)
        if box.kind == b"Exif":
            _add_exif(found, block)
        elif box.kind == b"xml ":
            found.add_xmp(block)
        elif box.kind == b"brob" and block.get(0, 4) in (b"Exif", b"xml "):
            packed = block.get(0, 4)
        if found.complete:
            break
    if packed and not found.positioned:
        name = "Exif block" if packed == b"Exif" else "XMP"
        raise DamageError(f"its {name} is compressed with Brotli, which is not read here")
    return found


def _add_exif(found: Metadata, block: Block) -> None:
    """Take an Exif block with the four bytes in front that say where in it the TIFF structure begins."""
    try:
        skip = 4 + int.from_bytes(block.get(0, 4), "big")
    except DamageError as error:
        found.faults.append(str(error))
        return
    length = (block.length or 0) - skip
    if length <= 0:
        found.faults.append("its Exif item points beyond its own end")
        return
    found.add_exif(Block(block.view, block.start + skip, length))


@dataclass(slots=True)
class _Items:
    exif: set[int] = field(default_factory=set)
    xmp: set[int] = field(default_factory=set)
    places: dict[int, tuple[int, list[tuple[int, int]]]] = field(default_factory=dict)  # method, extents
    idat: int = 0


def _heif(view: View) -> Metadata:
    found = Metadata()
    for box in _boxes(view, 0, None):
        if box.kind == b"ftyp":
            brands = view.get(box.start, min(box.stop - box.start, 256))
            if not any(brands[i : i + 4] in _BRANDS for i in range(0, len(brands), 4)):
                raise DamageError(f"it is an ISO file of the kind {brands[:4].decode('latin-1')!r}, not a photo")
        elif box.kind == b"meta":
            items = _items(view, box)
            try:
                for number in sorted(items.exif):
                    _add_exif(found, _item(view, items, number))
                for number in () if found.complete else sorted(items.xmp):
                    found.add_xmp(_item(view, items, number))
            except DamageError as error:
                found.faults.append(str(error))
            break
    return found


def _items(view: View, meta: _Box) -> _Items:
    items = _Items()
    for box in _boxes(view, meta.start + 4, meta.stop):
        if box.kind == b"iinf":
            _infos(view, box, items)
        elif box.kind == b"iloc":
            _locations(view.get(box.start, box.stop - box.start), items)
        elif box.kind == b"idat":
            items.idat = box.start
    return items


def _infos(view: View, iinf: _Box, items: _Items) -> None:
    """Take the numbers of the items that are Exif blocks or XMP."""
    offset = iinf.start + (6 if view.get(iinf.start, 1) == b"\0" else 8)
    for box in _boxes(view, offset, iinf.stop):
        content = view.get(box.start, box.stop - box.start)
        wide = 4 if content[:1] == b"\x03" else 2
        if box.kind != b"infe" or content[:1] not in (b"\x02", b"\x03"):
            continue
        number, kind = int.from_bytes(content[4 : 4 + wide], "big"), content[6 + wide : 10 + wide]
        if kind == b"Exif":
            items.exif.add(number)
        elif kind == b"mime" and _XMP_TYPE in content[10 + wide :]:
            items.xmp.add(number)


class _Numbers:
    """Take numbers of some bytes each, one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> int:
        if self.at + size > len(self.data):
            raise DamageError("the table of items ends too early")
        self.at += size
        return int.from_bytes(self.data[self.at - size : self.at], "big")


def _locations(content: bytes, items: _Items) -> None:
    numbers = _Numbers(content)
    version, _, sizes, more = numbers.take(1), numbers.take(3), numbers.take(1), numbers.take(1)
    offset_size, length_size, base_size = sizes >> 4, sizes & 15, more >> 4
    index_size = more & 15 if version in (1, 2) else 0
    wide = 2 if version < 2 else 4  # noqa: PLR2004
    count = numbers.take(wide)
    if count > _ITEMS:
        raise DamageError(f"it has {count} items")
    for _ in range(count):
        number = numbers.take(wide)
        method = numbers.take(2) & 15 if version in (1, 2) else 0
        numbers.take(2)  # the file that holds it: always this one
        base, extents = numbers.take(base_size), []
        for _ in range(numbers.take(2)):
            numbers.take(index_size)
            offset = numbers.take(offset_size)
            extents.append((base + offset, numbers.take(length_size)))
        items.places[number] = method, extents


def _item(view: View, items: _Items, number: int) -> Block:
    method, extents = items.places.get(number, (0, []))
    if not extents or method not in (0, 1):
        raise DamageError(
            "its Exif item has no place in the file" if not extents else "its Exif item is made of others"
        )
    base = items.idat if method == 1 else 0
    return joined(view, [(base + offset, length) for offset, length in extents])
