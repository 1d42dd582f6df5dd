"""SFTP version 3 as packets: requests to bytes, bytes to replies. Names are bytes. No I/O here."""

import re
import stat
import struct
from collections.abc import Iterator
from typing import NamedTuple

INIT, VERSION, OPEN, CLOSE, READ, FSTAT, OPENDIR, READDIR, LSTAT = 1, 2, 3, 4, 5, 8, 11, 12, 7
WRITE, FSETSTAT, REMOVE, MKDIR, STAT, RENAME, EXTENDED = 6, 10, 13, 14, 17, 18, 200
STATUS, HANDLE, DATA, NAME, ATTRS, EXTENDED_REPLY = 101, 102, 103, 104, 105, 201
OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE = 0, 1, 2, 3, 4
OURS = 3  # the version of the protocol
LONGEST = 1 << 20  # bytes of a packet; servers send 256 KB at most
READ_ONLY = b"\0\0\0\1\0\0\0\0"  # what follows the path of an OPEN: flags, and no attributes
WRITE_ONLY, NEW_FILE = b"\0\0\0\2\0\0\0\0", b"\0\0\0\x2a\0\0\0\0"  # NEW_FILE: which must not exist
NO_ATTRIBUTES = b"\0\0\0\0"
LARGEST_READ = 32 << 10  # bytes, which every server must serve, and take in a WRITE

_SIZE, _OWNERS, _PERMISSIONS, _TIMES, _EXTENDED = 1, 2, 4, 8, 0x80000000
_KNOWN = _SIZE | _OWNERS | _PERMISSIONS | _TIMES | _EXTENDED
_LETTERS = {b"-": "file", b"d": "folder", b"l": "link", b"b": "other", b"c": "other", b"p": "other", b"s": "other"}
_LONG_NAME = re.compile(rb"[-dlbcps][-rwxsStT]{9}")  # the form of `ls -l`, which says the type where permissions do not

_STATUS_TEXTS = {2: "no such file", 3: "permission denied", 4: "failure", 8: "the server does not support it"}


class ProtocolError(Exception):
    """The server sent what is not SFTP version 3; the message says what."""


class Attributes(NamedTuple):
    """What the server says of a file; None or empty where it does not."""

    size: int | None = None
    kind: str = ""  # file, folder, link or other
    mtime: int | None = None


class Entry(NamedTuple):
    """One name of a folder."""

    name: bytes
    attributes: Attributes


class Reply(NamedTuple):
    """An answer, by the number of its request."""

    kind: int
    number: int
    body: bytes


def init() -> bytes:
    """Write the first packet."""
    return struct.pack(">LBL", 5, INIT, OURS)


def request(kind: int, number: int, text: bytes, tail: bytes = b"") -> bytes:
    """Write a request on a path or a handle."""
    return struct.pack(">LBLL", 9 + len(text) + len(tail), kind, number, len(text)) + text + tail


def span(offset: int, length: int) -> bytes:
    """Write the range that follows the handle of a READ."""
    return struct.pack(">QL", offset, length)


def data(text: bytes) -> bytes:
    """Write a text, or the data of a WRITE, with its length."""
    return struct.pack(">L", len(text)) + text


def size_attribute(size: int) -> bytes:
    """Write the attributes that set a file's size alone."""
    return struct.pack(">LQ", _SIZE, size)


class Packets:
    """Cut the stream of bytes into packets."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def pending(self) -> bytes:
        """The bytes of which no packet has come."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take what was received."""
        self._buffer += data

    def take(self) -> bytes | None:
        """Return the next whole packet without its length. Raises ProtocolError where its length cannot be."""
        if len(self._buffer) < 4:  # noqa: PLR2004
            return None
        length = int.from_bytes(self._buffer[:4], "big")
        if not 1 <= length <= LONGEST:
            raise ProtocolError(f"a packet of {length:,} bytes")
        if len(self._buffer) < 4 + length:
            return None
        packet = bytes(self._buffer[4 : 4 + length])
        del self._buffer[: 4 + length]
        return packet


def version(packet: bytes) -> int:
    """Return the version that the server speaks. Raises ProtocolError where it answers something else."""
    if packet[0] != VERSION or len(packet) < 5:  # noqa: PLR2004
        raise ProtocolError(f"a packet of type {packet[0]} in place of the version")
    return int.from_bytes(packet[1:5], "big")


def extensions(packet: bytes) -> frozenset[bytes]:
    """Return the names of the extensions that a VERSION packet offers."""
    fields, found = _Fields(packet[5:]), set()
    while fields.left():
        found.add(fields.text())
        fields.text()
    return frozenset(found)


def numbers(body: bytes) -> tuple[int, ...]:
    """Return the 64-bit numbers of an EXTENDED_REPLY."""
    return struct.unpack(f">{len(body) // 8}Q", body[: len(body) // 8 * 8])


def reply(packet: bytes) -> Reply:
    """Take a packet apart."""
    if len(packet) < 5:  # noqa: PLR2004
        raise ProtocolError(f"a reply of {len(packet)} bytes")
    return Reply(packet[0], int.from_bytes(packet[1:5], "big"), packet[5:])


class _Fields:
    """Take the fields of a reply, one after the other."""

    def __init__(self, body: bytes) -> None:
        self.body, self.at = body, 0

    def number(self, size: int = 4) -> int:
        if self.at + size > len(self.body):
            raise ProtocolError("a reply ends within a field")
        self.at += size
        return int.from_bytes(self.body[self.at - size : self.at], "big")

    def text(self) -> bytes:
        length = self.number()
        if self.at + length > len(self.body):
            raise ProtocolError("a reply ends within a text")
        self.at += length
        return self.body[self.at - length : self.at]

    def left(self) -> int:
        return len(self.body) - self.at


def status(body: bytes) -> tuple[int, str]:
    """Return code and text of a STATUS reply."""
    fields = _Fields(body)
    code = fields.number()
    text = fields.text().decode(errors="replace").strip() if fields.left() else ""
    return code, text or _STATUS_TEXTS.get(code, f"status {code}")


def text(body: bytes) -> bytes:
    """Return the handle, or the data, of a reply."""
    return _Fields(body).text()


def names(body: bytes) -> Iterator[Entry]:
    """Yield the entries of a NAME reply; ProtocolError where it has fields of a later version of the protocol."""
    fields = _Fields(body)
    for _ in range(fields.number()):
        name, long_name = fields.text(), fields.text()
        yield Entry(name, _attributes(fields, long_name))
    # version 6 adds one byte that says whether the list ends here
    if fields.left() > 1:
        raise ProtocolError(f"{fields.left()} bytes more than its entries have")


def attributes(body: bytes) -> Attributes:
    """Return what an ATTRS reply says."""
    return _attributes(_Fields(body))


def _attributes(fields: _Fields, long_name: bytes = b"") -> Attributes:
    flags = fields.number()
    if flags & ~_KNOWN:
        raise ProtocolError(f"attributes with the flags 0x{flags:X}, which are of a later version")
    size = fields.number(8) if flags & _SIZE else None
    if flags & _OWNERS:
        fields.number(8)
    mode = fields.number() if flags & _PERMISSIONS else 0
    mtime = (fields.number(), fields.number())[1] if flags & _TIMES else None
    if flags & _EXTENDED:
        for _ in range(fields.number()):
            fields.text(), fields.text()
    return Attributes(size, _kind(mode, long_name), mtime)


def _kind(mode: int, long_name: bytes) -> str:
    """Tell a file's type by its permissions, or by the first letter of its long name where they do not say."""
    if not stat.S_IFMT(mode):
        return _LETTERS[long_name[:1]] if _LONG_NAME.match(long_name) else ""
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "link" if stat.S_ISLNK(mode) else "other"
