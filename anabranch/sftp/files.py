"""What can be done with files of a server over one session: each call returns when the server has answered."""

import os
from collections.abc import Callable, Iterator

from anabranch.sftp import packets
from anabranch.sftp.packets import Attributes, Entry, Reply
from anabranch.sftp.session import Session, Stop

SECONDS = 60  # without a reply
_WINDOW = 64  # requests of 32 KiB in flight
_BLOCK = 256 << 10  # bytes that are read of a source at a time
_RENAME, _SYNC, _ROOM = b"posix-rename@openssh.com", b"fsync@openssh.com", b"statvfs@openssh.com"


class StatusError(Exception):
    """The server refused a request: `code` as the protocol has it, `text` as the server says it."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code, self.text = code, text


class Files:
    """The files that a session's account sees. Paths are bytes.

    Methods raise StatusError where the server refuses, and what `Session.reply` raises.
    """

    def __init__(self, session: Session, stop: Stop) -> None:
        self._session, self._stop = session, stop

    def stat(self, path: bytes, *, follow: bool = True) -> Attributes | None:
        """Return what the server says of a file, or of what a link leads to; None where there is none."""
        (found,) = self.stats([path], follow=follow)
        return found

    def stats(self, paths: list[bytes], *, follow: bool = True) -> list[Attributes | None]:
        """Ask for several files at once, in their order."""
        found: dict[int, Attributes | None] = {}
        for number, path in enumerate(paths):
            self._session.ask(number, packets.STAT if follow else packets.LSTAT, path)
        refusal = None
        while self._session.waiting:
            number, reply = self._session.reply(SECONDS, self._stop)
            try:
                found[number] = packets.attributes(_accepted(reply).body)
            except StatusError as error:
                refusal = refusal if error.code == packets.NO_SUCH_FILE else error
                found[number] = None
        if refusal:
            raise refusal
        return [found[number] for number in range(len(paths))]

    def open(self, path: bytes, flags: bytes = packets.READ_ONLY) -> bytes:
        """Open a file; return its handle."""
        return packets.text(self._call(packets.OPEN, path, flags).body)

    def close(self, handle: bytes) -> None:
        """Close a file."""
        self._call(packets.CLOSE, handle)

    def write(self, handle: bytes, offset: int, blocks: Iterator[bytes]) -> None:
        """Write blocks from an offset on, many requests ahead of their replies."""
        refusal, session = None, self._session
        for block in blocks:
            for at in range(0, len(block), packets.LARGEST_READ):
                part = block[at : at + packets.LARGEST_READ]
                session.ask(None, packets.WRITE, handle, offset.to_bytes(8, "big") + packets.data(part))
                offset += len(part)
            while session.waiting >= _WINDOW:
                refusal = self._refusal() or refusal
            if refusal:
                break
        while session.waiting:
            refusal = self._refusal() or refusal
        if refusal:
            raise refusal

    def read(self, handle: bytes, offset: int, length: int) -> Iterator[bytes]:
        """Yield the bytes of a range in order, many requests ahead; fewer where the file ends within the range."""
        asked = given = offset
        held: dict[int, bytes] = {}
        end, session = offset + length, self._session
        while given < end:
            while asked < end and session.waiting + len(held) < _WINDOW:
                wanted = min(packets.LARGEST_READ, end - asked)
                session.ask((asked, wanted), packets.READ, handle, packets.span(asked, wanted))
                asked += wanted
            (at, wanted), reply = session.reply(SECONDS, self._stop)
            got = len(data := _data(reply))
            if not data:
                end = min(end, at)
                continue
            held[at] = data
            if got < wanted:
                session.ask((at + got, wanted - got), packets.READ, handle, packets.span(at + got, wanted - got))
            while given in held:
                block = held.pop(given)
                given += len(block)
                yield block
        while session.waiting:
            session.reply(SECONDS, self._stop)

    def truncate(self, handle: bytes, size: int) -> None:
        """Set a file's size."""
        self._call(packets.FSETSTAT, handle, packets.size_attribute(size))

    def sync(self, handle: bytes) -> None:
        """Let the server write an open file to its disk, if it can be asked to."""
        if _SYNC in self._session.extensions:
            self._call(packets.EXTENDED, _SYNC, packets.data(handle))

    def remove(self, path: bytes) -> None:
        """Remove a file; without error where there is none."""
        try:
            self._call(packets.REMOVE, path)
        except StatusError as error:
            if error.code != packets.NO_SUCH_FILE:
                raise

    def rename(self, old: bytes, new: bytes) -> None:
        """Rename a file; StatusError where there is one of the new name."""
        self._call(packets.RENAME, old, packets.data(new))

    def replace(self, old: bytes, new: bytes, aside: bytes) -> None:
        """Put a file in the place of another; in one step if the server can.

        If it renames to free names only, the former file is moved aside before, and back where the other cannot be
        renamed. A caller whose connection is lost meanwhile finds the former file, if not at its place, aside.
        """
        if _RENAME in self._session.extensions:
            self._call(packets.EXTENDED, _RENAME, packets.data(old) + packets.data(new))
            return
        former = self.stat(new, follow=False) is not None
        if former:
            self.remove(aside)
            self.rename(new, aside)
        try:
            self.rename(old, new)
        except StatusError:
            if former:
                self.rename(aside, new)
            raise
        self.remove(aside)

    def make_file(self, path: bytes, text: bytes = b"") -> None:
        """Make a file that must not exist, and the folders that it needs."""
        try:
            handle = self.open(path, packets.NEW_FILE)
        except StatusError as error:
            if error.code != packets.NO_SUCH_FILE:
                raise
            self.make_folders(os.path.dirname(path))  # noqa: PTH120  paths of a server are bytes
            handle = self.open(path, packets.NEW_FILE)
        self.write(handle, 0, iter([text] if text else []))
        self.close(handle)

    def make_folders(self, path: bytes) -> None:
        """Make a folder and those above it, as far as they are missing."""
        if path in (b"", b".", b"/") or self.stat(path):
            return
        self.make_folders(os.path.dirname(path))  # noqa: PTH120  paths of a server are bytes
        try:
            self._call(packets.MKDIR, path, packets.NO_ATTRIBUTES)
        except StatusError:
            if not self.stat(path):  # which another worker has made meanwhile
                raise

    def names(self, folder: bytes) -> list[Entry]:
        """List a folder without . and ..; nothing where there is none."""
        try:
            handle = packets.text(self._call(packets.OPENDIR, folder).body)
        except StatusError as error:
            if error.code == packets.NO_SUCH_FILE:
                return []
            raise
        found: list[Entry] = []
        while True:
            try:
                found += packets.names(self._call(packets.READDIR, handle).body)
            except StatusError as error:
                self._session.close_handle(handle)
                if error.code != packets.EOF:
                    raise
                return [entry for entry in found if entry.name not in (b".", b"..") and b"/" not in entry.name]

    def room(self, folder: bytes) -> int | None:
        """Return how many bytes a folder's file system has for us; None where the server does not tell."""
        if _ROOM not in self._session.extensions:
            return None
        _, fragment, _, _, available, *_ = packets.numbers(
            self._call(packets.EXTENDED, _ROOM, packets.data(folder)).body
        )
        return fragment * available

    def _call(self, kind: int, subject: bytes, tail: bytes = b"") -> Reply:
        while self._session.waiting:  # what was asked ahead, and is not wanted any more
            self._session.reply(SECONDS, self._stop)
        self._session.ask(None, kind, subject, tail)
        return _accepted(self._session.reply(SECONDS, self._stop)[1])

    def _refusal(self) -> StatusError | None:
        try:
            _accepted(self._session.reply(SECONDS, self._stop)[1])
        except StatusError as error:
            return error
        return None


def blocks(read: Callable[[int], bytes], seen: Callable[[bytes], object]) -> Iterator[bytes]:
    """Yield what is read until its end, and let each block be seen."""
    while block := read(_BLOCK):
        seen(block)
        yield block


def _data(reply: Reply) -> bytes:
    """Return what was read; nothing at the end of the file."""
    try:
        return packets.text(_accepted(reply).body)
    except StatusError as error:
        if error.code != packets.EOF:
            raise
        return b""


def _accepted(reply: Reply) -> Reply:
    """Return a reply that is not a refusal."""
    if reply.kind == packets.STATUS:
        code, text = packets.status(reply.body)
        if code != packets.OK:
            raise StatusError(code, text)
    return reply
