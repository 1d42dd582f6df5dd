"""dBase tables (DBF): fixed-width records after a header that describes them."""

import datetime as dt
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import IO, Any

from anabranch.formats.foreign.lines import damaged

_DIGITS = 15  # that a double keeps of any decimal number
_JULIAN = 1721425  # of the day before 1 January of the year 1
# Language driver: what the text is encoded in; ASCII where none is named.
_CODE_PAGES = {
    0x01: "cp437", 0x02: "cp850", 0x03: "cp1252", 0x26: "cp866", 0x57: "cp1252", 0x64: "cp852",
    0x65: "cp866", 0x66: "cp865", 0xC8: "cp1250", 0xC9: "cp1251", 0xCA: "cp1254", 0xCB: "cp1253",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """A column: its name, a letter for its type, its bytes in each record, digits after the point."""

    name: str
    kind: str
    size: int
    decimals: int


def read_dbf(raw: IO[bytes], encoding: str | None) -> Iterator[dict[str, Any]]:
    """Read the records that are not marked as deleted; texts without the blanks that fill them up."""
    head = _exactly(raw, 32)
    version, count, header_size, record_size = struct.unpack_from("<B3xIHH", head)
    if version & 7 != 3 and version not in (0x30, 0x31, 0x32):  # noqa: PLR2004  dBase III to V, Visual FoxPro
        raise damaged(f"version {version:#x} of the format is not known")
    encoding = encoding or _CODE_PAGES.get(head[29], "ascii")
    fields = list(_fields(_exactly(raw, header_size - 32), encoding))
    if 1 + sum(field.size for field in fields) != record_size:
        raise damaged("the fields do not fill the records")
    for _ in range(count):
        record = _exactly(raw, record_size)
        if record[:1] == b" ":
            yield _record(record, fields, encoding)
        elif record[:1] != b"*":
            raise damaged("a record does not start with the mark of one")
    if raw.read(1) not in (b"", b"\x1a"):
        raise damaged(f"it is longer than its {count} records")


def _exactly(raw: IO[bytes], size: int) -> bytes:
    data = raw.read(size) if size > 0 else b""
    if len(data) != size:
        raise damaged("it is shorter than its header says")
    return data


def _fields(header: bytes, encoding: str) -> Iterator[Field]:
    """Read the description of the columns, 32 bytes for each, until a carriage return."""
    for start in range(0, len(header) - 31, 32):
        if header[start] == 0x0D:  # noqa: PLR2004
            return
        name, kind, size, decimals = struct.unpack_from("<11sc4xBB", header, start)
        letter = kind.decode("latin-1")
        wide = letter == "C"  # a text's size has two bytes
        yield Field(
            name.partition(b"\0")[0].decode(encoding),
            letter,
            size | decimals << 8 if wide else size,
            0 if wide else decimals,
        )


def _record(record: bytes, fields: list[Field], encoding: str) -> dict[str, Any]:
    values, start = {}, 1
    for field in fields:
        values[field.name] = _value(record[start : start + field.size], field, encoding)
        start += field.size
    if len(values) != len(fields):
        raise damaged("two columns have one name")
    return values


def _value(data: bytes, field: Field, encoding: str) -> Any:
    if field.kind == "C":
        return data.rstrip(b"\0 ").decode(encoding)
    if field.kind in "IY+@T":
        return _binary(data, field)
    text = data.strip(b"\0 ").decode("ascii")
    match field.kind:
        case "N" | "F":
            return _number(text, field)
        case "D":
            return dt.datetime.strptime(text, "%Y%m%d").date() if text.strip("0") else None  # noqa: DTZ007  a date
        case "L" if text.upper() in ("T", "Y", "F", "N", "?", ""):
            return {"T": True, "Y": True, "F": False, "N": False}.get(text.upper())
        case "M" | "G" | "P" if not text.strip("0"):
            return None
        case "M" | "G" | "P":
            raise damaged(f"column {field.name!r} lies in a file of its own, which is not read")
    raise damaged(f"column {field.name!r} of type {field.kind!r} holds {text!r}")


def _number(text: str, field: Field) -> Any:
    if not text.strip("*"):  # empty, or did not fit when it was written
        return None
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text, re.ASCII):
        raise damaged(f"column {field.name!r}: {text!r} is not a number")
    if not field.decimals and text.lstrip("+-").isdigit():
        return int(text)
    return float(text) if field.size <= _DIGITS + 1 else Decimal(text)


def _binary(data: bytes, field: Field) -> Any:
    match field.kind, field.size:
        case (("I" | "+"), 4):
            return struct.unpack("<i", data)[0]
        case "Y", 8:
            return Decimal(struct.unpack("<q", data)[0]).scaleb(-4)
        case (("T" | "@"), 8):
            day, milliseconds = struct.unpack("<ii", data)
            begin = dt.datetime.min + dt.timedelta(days=day - _JULIAN - 1, milliseconds=milliseconds)  # noqa: DTZ901
            return begin if day else None
    raise damaged(f"column {field.name!r} of type {field.kind!r} has {field.size} bytes")
