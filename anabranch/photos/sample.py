"""Make photos with positions, in the folders of some pilots: for the demonstration, the tests and the benchmarks.

They have the metadata of real ones, and no picture in it: programs that draw it refuse them.
"""

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import cos, floor, radians
from pathlib import Path
from typing import Any, NamedTuple

ASCII, SHORT, LONG, RATIONAL, UNDEFINED, BYTE = 2, 3, 4, 5, 7, 1
_FORMS = {BYTE: "B", SHORT: "H", LONG: "L", UNDEFINED: "B"}
EXIF_POINTER, GPS_POINTER = 0x8769, 0x8825

Entry = tuple[int, int, Any]  # tag, type, value: text, numbers, or pairs of numerator and denominator


@dataclass(frozen=True, slots=True)
class Shot:
    """What a photo must say of itself; without a position where `lat` is None."""

    lat: float | None = 0.0
    lon: float | None = 0.0
    alt: float | None = 120.5
    rel_alt: float | None = 40.1
    yaw: float = 90.0
    taken: str = "2025:06:14 10:30:00"
    make: str = "DJI"
    model: str = "FC6310"


def rational(number: float, denominator: int = 10_000_000) -> tuple[int, int]:
    """Write a number as numerator and denominator."""
    fraction = Fraction(number).limit_denominator(denominator)
    return fraction.numerator, fraction.denominator


def sexagesimal(degrees: float) -> list[tuple[int, int]]:
    """Write degrees as degrees, minutes and seconds."""
    size = abs(degrees)
    whole, minutes = floor(size), floor(size % 1 * 60)
    return [(whole, 1), (minutes, 1), rational((size - whole - minutes / 60) * 3600, 1_000_000)]


def gps_entries(shot: Shot) -> list[Entry]:
    """Make the entries of the directory of positions."""
    if shot.lat is None or shot.lon is None:
        return []
    entries: list[Entry] = [
        (1, ASCII, "N" if shot.lat >= 0 else "S"),
        (2, RATIONAL, sexagesimal(shot.lat)),
        (3, ASCII, "E" if shot.lon >= 0 else "W"),
        (4, RATIONAL, sexagesimal(shot.lon)),
    ]
    if shot.alt is not None:
        entries += [(5, BYTE, [int(shot.alt < 0)]), (6, RATIONAL, [rational(abs(shot.alt), 1000)])]
    return entries


def tiff(
    shot: Shot,
    *,
    order: str = "<",
    padding: int = 0,
    gps: Sequence[Entry] | None = None,
    main: Sequence[Entry] = (),
    first: int = 8,
    pointer: int = LONG,
) -> bytes:
    """Make a TIFF structure with main, Exif and GPS directories.

    `padding` bytes precede the directory of positions, as a maker's notes would; `first` is the offset of the
    first directory; `pointer` is the type of the pointers to the others.
    """
    positions = gps_entries(shot) if gps is None else gps
    exif: list[Entry] = [(0x9003, ASCII, shot.taken)]
    if padding:
        exif.append((0x927C, UNDEFINED, bytes(padding)))
    mains: list[Entry] = [(0x010F, ASCII, shot.make), (0x0110, ASCII, shot.model), *main]
    body = bytearray(first - 8)
    count = len(mains) + 1 + bool(positions)
    room = 2 + 12 * count + 4 + sum(_room(entry) for entry in mains)
    exif_at = first + room
    exif_bytes = _directory(exif, exif_at, order)
    gps_at = exif_at + len(exif_bytes)
    mains.append((EXIF_POINTER, pointer, [exif_at]))
    if positions:
        mains.append((GPS_POINTER, pointer, [gps_at]))
    body += _directory(sorted(mains), first, order) + exif_bytes
    if positions:
        body += _directory(sorted(positions), gps_at, order)
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}L", first) + bytes(body)


def _encoded(kind: int, value: Any, order: str) -> tuple[int, bytes]:
    if kind == ASCII:
        text = value if isinstance(value, bytes) else value.encode() + b"\0"
        return len(text), text
    if kind in (RATIONAL, 10):
        numbers = [part for pair in value for part in pair]
        return len(value), struct.pack(f"{order}{len(numbers)}{'L' if kind == RATIONAL else 'l'}", *numbers)
    form = _FORMS.get(kind, "L")
    return len(value), struct.pack(f"{order}{len(value)}{form}", *value)


def _room(entry: Entry) -> int:
    _, raw = _encoded(entry[1], entry[2], "<")
    return len(raw) + len(raw) % 2 if len(raw) > 4 else 0  # noqa: PLR2004


def _directory(entries: Sequence[Entry], at: int, order: str) -> bytes:
    table, values = bytearray(struct.pack(f"{order}H", len(entries))), bytearray()
    place = at + 2 + 12 * len(entries) + 4
    for tag, kind, value in entries:
        count, raw = _encoded(kind, value, order)
        inline = raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack(f"{order}L", place + len(values))  # noqa: PLR2004
        values += b"" if len(raw) <= 4 else raw + bytes(len(raw) % 2)  # noqa: PLR2004
        table += struct.pack(f"{order}HHL", tag, kind, count) + inline
    return bytes(table) + bytes(4) + bytes(values)


def drone_xmp(shot: Shot) -> bytes:
    """Make the XMP that a drone writes: height above take-off, and the angles of body and gimbal."""
    if shot.rel_alt is None:
        return b""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="DJI Meta Data" '
        'xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/" '
        f'drone-dji:RelativeAltitude="{shot.rel_alt:+.2f}" drone-dji:GimbalRollDegree="+0.00" '
        f'drone-dji:GimbalYawDegree="{shot.yaw:+.2f}" drone-dji:GimbalPitchDegree="-89.90" '
        f'drone-dji:FlightRollDegree="+1.10" drone-dji:FlightYawDegree="{shot.yaw:+.2f}" '
        'drone-dji:FlightPitchDegree="-2.50"></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def jpeg(exif: bytes | None, xmp: bytes = b"", before: bytes = b"") -> bytes:
    """Make a JPEG of an Exif block and XMP; `before` are segments in front of them."""
    parts = [b"\xff\xd8", before]
    for head, body in ((b"Exif\0\0", exif), (b"http://ns.adobe.com/xap/1.0/\0", xmp or None)):
        if body is not None:
            parts.append(segment(0xE1, head + body))
    return b"".join([*parts, segment(0xDB, bytes(65)), b"\xff\xda\0\x0c", bytes(10), b"\xff\xd9"])


def segment(marker: int, body: bytes) -> bytes:
    """Make one segment of a JPEG."""
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body


def png(exif: bytes | None, xmp: bytes = b"", *, after: bool = True, blocks: int = 3, block: int = 8192) -> bytes:
    """Make a PNG with the metadata before or after its pixels, which are of so many chunks."""
    known = (chunk(b"eXIf", exif) if exif is not None else b"") + (
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp) if xmp else b""
    )
    pixels = chunk(b"IDAT", bytes(block)) * blocks
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">LLBBBBB", 8, 8, 8, 2, 0, 0, 0))
    return head + (pixels + known if after else known + pixels) + chunk(b"IEND", b"")


def chunk(kind: bytes, body: bytes) -> bytes:
    """Make one chunk of a PNG."""
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def webp(exif: bytes | None, xmp: bytes = b"", *, header: bool = False, pixels: int = 20_000) -> bytes:
    """Make a WebP; `header` puts the header of a JPEG's Exif block in front, as some programs do."""
    parts = [(b"VP8X", bytes(10)), (b"VP8 ", bytes(pixels))]
    if exif is not None:
        parts.append((b"EXIF", (b"Exif\0\0" if header else b"") + exif))
    if xmp:
        parts.append((b"XMP ", xmp))
    body = b"".join(kind + len(data).to_bytes(4, "little") + data + bytes(len(data) % 2) for kind, data in parts)
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body


def box(kind: bytes, body: bytes) -> bytes:
    """Make one box of an ISO file."""
    return (8 + len(body)).to_bytes(4, "big") + kind + body


def heif(exif: bytes | None, xmp: bytes = b"", *, brand: bytes = b"heic", pixels: int = 20_000) -> bytes:
    """Make a HEIF or AVIF file whose metadata items are at its end."""
    items = [(1, b"hvc1", b"", bytes(pixels))]
    if exif is not None:
        items.append((2, b"Exif", b"", b"\0\0\0\6Exif\0\0" + exif))
    if xmp:
        items.append((3, b"mime", b"application/rdf+xml\0", xmp))
    infos = b"".join(
        box(b"infe", b"\2\0\0\0" + struct.pack(">HH", number, 0) + kind + b"\0" + more)
        for number, kind, more, _ in items
    )
    head = box(b"ftyp", brand + b"\0\0\0\0mif1" + brand)

    def meta(base: int) -> bytes:
        places, at = b"", base
        for number, _, _, data in items:
            places += struct.pack(">HHHLL", number, 0, 1, at, len(data))
            at += len(data)
        iloc = box(b"iloc", b"\0\0\0\0\x44\0" + struct.pack(">H", len(items)) + places)
        handler = box(b"hdlr", bytes(8) + b"pict" + bytes(13))
        iinf = box(b"iinf", bytes(4) + struct.pack(">H", len(items)) + infos)
        return box(b"meta", bytes(4) + handler + box(b"pitm", b"\0\0\0\0\0\1") + iinf + iloc)

    base = len(head) + len(meta(0)) + 8
    return head + meta(base) + box(b"mdat", b"".join(data for *_, data in items))


def jxl(exif: bytes | None, xmp: bytes = b"", *, compressed: bool = False) -> bytes:
    """Make a JPEG XL container; `compressed` claims that its metadata is."""
    parts = [box(b"JXL ", b"\r\n\x87\n"), box(b"ftyp", b"jxl \0\0\0\0jxl "), box(b"jxlc", b"\xff\x0a" + bytes(20_000))]
    for kind, body in ((b"Exif", None if exif is None else bytes(4) + exif), (b"xml ", xmp or None)):
        if body is not None:
            parts.append(box(b"brob", kind + body) if compressed else box(kind, body))
    return b"".join(parts)


class Container(NamedTuple):
    """How one kind of file is made of a shot."""

    suffix: str
    make: Callable[[Shot], bytes]


CONTAINERS: Mapping[str, Container] = {
    "jpeg": Container(".JPG", lambda shot: jpeg(tiff(shot), drone_xmp(shot))),
    "jpeg_notes": Container(".jpg", lambda shot: jpeg(tiff(shot, padding=48_000), drone_xmp(shot))),
    "jpeg_profile": Container(
        ".jpeg", lambda shot: jpeg(tiff(shot, order=">"), drone_xmp(shot), segment(0xE2, bytes(60_000)) * 3)
    ),
    "tiff": Container(".tif", lambda shot: tiff(shot, first=200_000, main=[(0x02BC, BYTE, drone_xmp(shot) or b" ")])),
    "dng": Container(".DNG", lambda shot: tiff(shot, order=">", main=[(0xC612, BYTE, [1, 4, 0, 0])], pointer=13)),
    "heic": Container(".heic", lambda shot: heif(tiff(shot), drone_xmp(shot))),
    "avif": Container(".avif", lambda shot: heif(tiff(shot), drone_xmp(shot), brand=b"avif")),
    "png": Container(".png", lambda shot: png(tiff(shot), drone_xmp(shot))),
    "webp": Container(".webp", lambda shot: webp(tiff(shot), drone_xmp(shot))),
    "jxl": Container(".jxl", lambda shot: jxl(tiff(shot), drone_xmp(shot))),
}

PILOTS = ("AnnaBerg", "JonasKeller", "MiraSol")
FLIGHTS = ("orbit", "scan", "center", "downlook")


def shots(count: int, *, lat: float = 47.61, lon: float = 7.66, without: int = 0) -> list[Shot]:
    """Fly rows over a site, as a survey does; the last `without` of them have no position."""
    found = []
    for number in range(count):
        row, place = divmod(number, 12)
        along = place if row % 2 == 0 else 11 - place
        height = 118 + 6 * (number % 7) / 7
        time = 36_000 + 3 * number
        found.append(
            Shot(
                lat=lat + row * 2e-4,
                lon=lon + along * 3e-4 / cos(radians(lat)),
                alt=round(300 + height, 3),
                rel_alt=round(height, 2),
                yaw=90.0 if row % 2 == 0 else -90.0,
                taken=f"2025:06:14 {time // 3600 % 24:02}:{time // 60 % 60:02}:{time % 60:02}",
            )
        )
    bare = [Shot(None, None, None, None, taken=shot.taken) for shot in found[count - without :]]
    return [*found[: count - without], *bare]


def write_photos(
    folder: Path, count: int, *, kinds: Sequence[str] = ("jpeg",), without: int = 0, size: int = 0
) -> dict[str, Shot]:
    """Write photos into the folders of pilots and sites below `folder`; return what each says, by its path there.

    Each takes `size` bytes at least, most of them a hole in the file. Equal arguments give equal photos.
    """
    written = {}
    for number, shot in enumerate(shots(count, without=without)):
        container = CONTAINERS[kinds[number % len(kinds)]]
        share = number * len(PILOTS) * len(FLIGHTS) // max(count, 1)
        pilot, flight = PILOTS[share // len(FLIGHTS)], FLIGHTS[share % len(FLIGHTS)]
        place = f"homes/{pilot}/{20250601 + share // len(FLIGHTS)}-06-14-2025-Alder/{flight}/images"
        name = f"{place}/DJI_{number + 1:04}{container.suffix}"
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(container.make(shot))
        if path.stat().st_size < size:
            with path.open("r+b") as file:
                file.truncate(size)
        written[name] = shot
    return written
