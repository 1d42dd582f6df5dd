"""Ranges of source files: read as streams that stop when asked, summed, and held against what the file was."""

import base64
import hashlib
import io
import os
from dataclasses import dataclass
from types import TracebackType

from awscrt import checksums

from anabranch.core.errors import SourceError, Stopped
from anabranch.core.moving import Say
from anabranch.uploads.stores.base import Body, Stop, Sum

BLOCK = 1 << 20  # bytes that are held of a part, and between two looks at a request to stop


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one state of a file from another."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, path: str) -> "Stamp":
        """Take it from the file as it is now."""
        status = os.stat(path)  # noqa: PTH116  a text as good as a path
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


def require_unchanged(path: str, stamp: Stamp, label: str) -> None:
    """Raise SourceError "source-changed" where the file is another than when it was planned."""
    try:
        now = Stamp.of(path)
    except OSError as error:
        raise _changed(f"it can no longer be read ({error.strerror})", label) from error
    if now == stamp:
        return
    if now.size != stamp.size:
        reason = f"it {'grew' if now.size > stamp.size else 'shrank'} from {stamp.size:,} to {now.size:,} bytes"
    else:
        reason = "it was replaced" if now.inode != stamp.inode else "it was written to"
    raise _changed(f"{reason} while it was sent", label)


def _changed(reason: str, label: str) -> SourceError:
    return SourceError("source-changed", reason, "Run the same command again when the file is complete.", label)


class RangeFile(io.RawIOBase):
    """Bytes `offset` to `offset + length` of a file, from their first byte on; a read may raise Stopped.

    Nothing is read ahead, and no read returns more than BLOCK bytes. A file that ends within the range is a
    SourceError.
    """

    def __init__(self, path: str, offset: int, length: int, stop: Stop = lambda: False) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: PTH123, SIM115  closed by close()
        self._path, self._offset, self._length = path, offset, length
        self._stop = stop
        self._place = self._looked = 0
        self.moved: Say | None = None  # called with how many bytes of the range have been read
        self.error: BaseException | None = None  # what a read raised: clients wrap it in errors of their own

    def __len__(self) -> int:
        return self._length

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def seekable(self) -> bool:
        """Whether it can be read again: yes."""
        return True

    def tell(self) -> int:
        """Return the place within the range."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place within the range."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._length}[whence]
        self._place = self._looked = min(max(base + offset, 0), self._length)
        return self._place

    def read(self, size: int = -1, /) -> bytes:
        """Read at most BLOCK bytes; none at the end of the range."""
        left = self._length - self._place
        wanted = min(BLOCK, left if size < 0 else min(size, left))
        if not wanted:
            return b""
        try:
            return self._read(wanted)
        except BaseException as error:
            self.error = error
            raise

    def _read(self, wanted: int) -> bytes:
        if self._place >= self._looked:
            self._looked = self._place + BLOCK
            if self._stop():
                raise Stopped
        data = os.pread(self._file.fileno(), wanted, self._offset + self._place)
        if not data:
            raise _changed(f"it ends within the range that starts at byte {self._offset:,}", self._path)
        self._place += len(data)
        if self.moved:
            self.moved(self._place)
        return data

    def readinto(self, buffer: object, /) -> int:
        """Read into a buffer, for readers that bring one."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind and self.moved:
            self.moved(0)  # nothing of a range that was refused has been kept
        super().__exit__(kind, error, trace)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def summed(body: Body) -> Sum:
    """Read a stream from its start to its end, and return its size and checksums; it is at its start again."""
    md5, crc, size = hashlib.md5(usedforsecurity=False), 0, 0
    body.seek(0)
    while block := body.read(BLOCK):
        md5.update(block)
        crc = checksums.crc64nvme(block, crc)
        size += len(block)
    body.seek(0)
    return Sum(size, md5.hexdigest(), base64.b64encode(crc.to_bytes(8, "big")).decode())
