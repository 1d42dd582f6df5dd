"""Walk over the directories of a TIFF structure, which is also what an Exif block is, and take the few tags wanted.

No library works on byte ranges. The walker reads both byte orders, BigTIFF, and the headers of raw formats; pointers
may be of any integer type. A value that points outside is left out and noted, so that the others still count.
"""

import math
import struct
from dataclasses import dataclass, field

from anabranch.photos.view import Block, DamageError

MAKE, MODEL, XMP, EXIF, GPS = 0x010F, 0x0110, 0x02BC, 0x8769, 0x8825
TAKEN, TAKEN_OFFSET = 0x9003, 0x9011
_WANTED = {"main": {MAKE, MODEL, XMP, EXIF, GPS}, "exif": {TAKEN, TAKEN_OFFSET, GPS}, "gps": {1, 2, 3, 4, 5, 6, 7, 29}}

MOST_ENTRIES = 4096  # of one directory; real ones have 5 to 200
MOST_BYTES = 4096  # of one value, XMP left aside

_MAGICS = {42: False, 43: True, 0x55: False, 0x4F52: False, 0x5352: False}  # TIFF, BigTIFF, RW2, ORF twice
_FORMS = {1: "B", 3: "H", 4: "L", 6: "b", 7: "B", 8: "h", 9: "l", 11: "f", 12: "d", 13: "L", 16: "Q", 17: "q", 18: "Q"}
_RATIONALS = {5: "LL", 10: "ll"}
_TEXTS = {2, 129}
_SIZES = {kind: struct.calcsize(f"<{form}") for kind, form in (_FORMS | _RATIONALS).items()} | {2: 1, 129: 1}

Value = str | tuple[float, ...]  # text, or numbers: 0/0 is nan, and n/0 is infinite


@dataclass(slots=True)
class Tags:
    """What a TIFF structure says."""

    main: dict[int, Value] = field(default_factory=dict)
    exif: dict[int, Value] = field(default_factory=dict)
    gps: dict[int, Value] = field(default_factory=dict)
    xmp: Block | None = None
    faults: list[str] = field(default_factory=list)

    def text(self, tag: int) -> str:
        """Return a text of the main or the Exif directory, or nothing."""
        value = self.main.get(tag, self.exif.get(tag, ""))
        return value if isinstance(value, str) else ""


class _Walker:
    def __init__(self, block: Block) -> None:
        head = block.get(0, 8)
        if head[:2] not in (b"II", b"MM"):
            raise DamageError("its Exif block does not start with a byte order")
        self.block = block
        self.order = "<" if head[:2] == b"II" else ">"
        magic = struct.unpack(f"{self.order}H", head[2:4])[0]
        if magic not in _MAGICS:
            raise DamageError(f"its Exif block has the number {magic} in place of 42")
        self.big = _MAGICS[magic]
        self.tags = Tags()

    def read(self, form: str, offset: int) -> int:
        return int(struct.unpack(self.order + form, self.block.get(offset, struct.calcsize(f"<{form}")))[0])

    def walk(self) -> Tags:
        first = self.read("Q", 8) if self.big else self.read("L", 4)
        pointers = self.directory("main", first)
        for name, tag in (("exif", EXIF), ("gps", GPS)):
            if tag in pointers:
                self.below(name, pointers, tag)
        return self.tags

    def below(self, name: str, pointers: dict[int, int], tag: int) -> None:
        try:
            found = self.directory(name, pointers[tag])
        except DamageError as error:
            self.tags.faults.append(f"its {name.upper()} directory cannot be read: {error}")
            return
        if name == "exif" and GPS in found and GPS not in pointers:
            pointers[GPS] = found[GPS]

    def directory(self, name: str, offset: int) -> dict[int, int]:
        """Take the wanted tags of one directory; return those that point to others."""
        if offset < 8:  # noqa: PLR2004  within the header
            raise DamageError(f"a directory at byte {offset} lies within the header")
        count, start = (self.read("Q", offset), offset + 8) if self.big else (self.read("H", offset), offset + 2)
        if count > MOST_ENTRIES:
            raise DamageError(f"a directory with {count} entries")
        form = struct.Struct(f"{self.order}HH{'Q8s' if self.big else 'L4s'}")
        pointers: dict[int, int] = {}
        for index, (tag, kind, number, raw) in enumerate(form.iter_unpack(self.block.get(start, count * form.size))):
            if tag in _WANTED[name]:
                place = start + index * form.size + form.size - len(raw)
                try:
                    value = self.entry(tag, kind, number, place, raw)
                except DamageError as error:
                    self.tags.faults.append(f"its tag 0x{tag:04X} cannot be read: {error}")
                    continue
                if value and tag in (EXIF, GPS):
                    if not isinstance(value, str) and math.isfinite(value[0]):
                        pointers[tag] = int(value[0])
                elif value:
                    getattr(self.tags, name).setdefault(tag, value)
        return pointers

    def entry(self, tag: int, kind: int, number: int, place: int, raw: bytes) -> Value:
        """Read one value; nothing where it has no length, or is XMP, of which only the place is kept."""
        length = _SIZES.get(kind, 0) * number
        if not length:
            return ""
        short = length <= len(raw)
        at = place if short else int.from_bytes(raw, "little" if self.order == "<" else "big")
        if tag == XMP:
            self.tags.xmp = Block(self.block.view, self.block.start + at, length)
            return ""
        if length > MOST_BYTES:
            raise DamageError(f"{length} bytes are too long for it")
        return self.decode(kind, number, raw[:length] if short else self.block.get(at, length))

    def decode(self, kind: int, number: int, raw: bytes) -> Value:
        if kind in _TEXTS:
            return decoded(raw)
        if kind in _RATIONALS:
            parts = struct.unpack(f"{self.order}{2 * number}{_RATIONALS[kind][0]}", raw)
            return tuple(_quotient(*parts[i : i + 2]) for i in range(0, len(parts), 2))
        return struct.unpack(f"{self.order}{number}{_FORMS[kind]}", raw)


def walk(block: Block) -> Tags:
    """Take the tags of a TIFF structure. Raises Need for bytes that it lacks, DamageError where nothing can be read."""
    return _Walker(block).walk()


def decoded(raw: bytes) -> str:
    """Decode text up to its NUL, as UTF-8 where it is, without spaces around it."""
    text = raw.split(b"\0", 1)[0]
    try:
        return text.decode().strip()
    except UnicodeDecodeError:
        return text.decode("latin-1").strip()


def _quotient(numerator: int, denominator: int) -> float:
    if not denominator:
        return math.inf if numerator else math.nan
    return float(f"{numerator / denominator:.10g}")  # ten digits, as exiftool takes them
