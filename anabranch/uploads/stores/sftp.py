"""SFTP servers as stores: parts are written at their offsets into a file aside, which is renamed at the end."""

import hashlib
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Literal

from anabranch.core.errors import AnabranchError, SetupError, TemporaryError, UsageError
from anabranch.core.storage import fingerprint
from anabranch.sftp import packets
from anabranch.sftp.addresses import SCHEME, parsed
from anabranch.sftp.connecting import Access, Credentials
from anabranch.sftp.files import Files, StatusError, blocks
from anabranch.sftp.hosts import host
from anabranch.sftp.session import LostError, NoReplyError
from anabranch.uploads.stores.base import (
    Body,
    BusyError,
    ChecksumRefusedError,
    Destination,
    ExistsError,
    Head,
    Limits,
    Stop,
    StoredPart,
    Sum,
    Upload,
    UploadGoneError,
)
from anabranch.uploads.stores.secrets import Unlock, no_blocks, secrets_of
from anabranch.uploads.tags import joined_tag

CONNECTIONS = 16  # of one process; where the server takes fewer, the parts share those
_DATA, _LIST, _OLD = b".part", b".list", b".old"  # of an upload: its bytes, the list of its parts, the former file
_HEAD = 512  # bytes in front of the list: the name of the target
_LINE = "{:6d} {:20d} {:20d} {}\n"  # of a part: number, offset, size and MD5, at a place of its own
_LENGTH = len(_LINE.format(0, 0, 0, "0" * 32))
_NOTHING = b"\n" * _LENGTH
_PART = re.compile(rb" *(\d+) +(\d+) +(\d+) ([0-9a-f]{32})\n")
_FULL = re.compile("space|quota|full", re.IGNORECASE)
_ENOUGH = 1 << 20  # bytes free, above which a refused write has other reasons
_AGAIN = "Run the same command again."


class SftpStore:
    """A server: the key of an object is its path from the root, or from the account's folder where the place ends so.

    An upload is a hidden `.part` beside its target, with the bytes, and a hidden list of the parts that are there.
    """

    in_order: Literal[False] = False
    limits = Limits(most_parts=999_999)

    def __init__(self, destination: Destination, unlock: Unlock = no_blocks) -> None:
        self._server, self._root = parsed(f"{SCHEME}{destination.place}/")
        access = Access(destination.host_key, destination.key_file, destination.credentials)
        self._host = host(self._server, access)
        self._destination, self._unlock, self._verify = destination, unlock, destination.verify

    def head(self, key: str) -> Head | None:
        """Return the file's size; its tag is made of size and time, since its checksum would have to be computed."""
        with self._files(key) as files:
            found = files.stat(self._path(key))
        return None if found is None else Head(found.size or 0, f"{found.mtime or 0:x}-{found.size or 0:x}")

    def same(self, key: str, head: Head, path: str, part_size: int, stop: Stop) -> bool:  # noqa: ARG002
        """Read the file back, and compare it byte by byte."""
        if os.stat(path).st_size != head.size:  # noqa: PTH116
            return False
        with self._files(key, stop) as files, open(path, "rb") as ours:  # noqa: PTH123
            handle = files.open(self._path(key))
            size = 0
            for block in files.read(handle, 0, head.size):
                if block != ours.read(len(block)):
                    return False
                size += len(block)
            files.close(handle)
        return size == head.size

    def absent(self, keys: Sequence[str]) -> set[str]:
        """Ask for all files at once."""
        with self._files(keys[0]) as files:
            found = files.stats([self._path(key) for key in keys])
        return {key for key, one in zip(keys, found, strict=True) if one is None}

    def put(self, key: str, body: Body, total: Sum, *, new: bool) -> Head:
        """Write a small file aside, and rename it."""
        upload = _new_upload(key)
        with self._files(key) as files:
            files.make_file(self._beside(upload, _DATA))
            try:
                self._write(files, upload, 0, body, total)
                self._publish(files, upload, [StoredPart(1, total.size, total.md5)], new=new)
            except (AnabranchError, StatusError) as error:
                ours = self._error(files, error, key) if isinstance(error, StatusError) else error
                files.remove(self._beside(upload, _DATA))  # afterwards, since it makes room
                raise ours from error
        return Head(total.size, total.md5)

    def create(self, key: str) -> Upload:
        """Make the two hidden files."""
        upload = _new_upload(key)
        with self._files(key) as files:
            files.make_file(self._beside(upload, _DATA))
            files.make_file(self._beside(upload, _LIST), os.fsencode(key.rpartition("/")[2]).ljust(_HEAD, b"\n"))
        return upload

    def put_part(self, upload: Upload, number: int, offset: int, body: Body, total: Sum) -> StoredPart:
        """Write the part at its offset, and then its line of the list."""
        with self._files(upload.key) as files, _gone_without_file(upload):
            lines, place = files.open(self._beside(upload, _LIST), packets.WRITE_ONLY), _HEAD + (number - 1) * _LENGTH
            files.write(lines, place, iter([_NOTHING]))  # before the bytes change
            self._write(files, upload, offset, body, total)
            files.write(lines, place, iter([_LINE.format(number, offset, total.size, total.md5).encode()]))
            files.close(lines)
        return StoredPart(number, total.size, total.md5)

    def list_parts(self, upload: Upload, numbers: range | None = None) -> list[StoredPart]:
        """Read the list; a part of which the server has lost the end does not count."""
        wanted = numbers or range(1, self.limits.most_parts + 1)
        first, end = (_HEAD + (number - 1) * _LENGTH for number in (wanted.start, wanted.stop))
        with self._files(upload.key) as files, _gone_without_file(upload):
            data, lines = files.stats([self._beside(upload, kind) for kind in (_DATA, _LIST)])
            if data is None or lines is None:
                raise _gone(upload)
            handle = files.open(self._beside(upload, _LIST))
            text = b"".join(files.read(handle, first, min(end, lines.size or 0) - first))
            files.close(handle)
        matches = [_PART.fullmatch(text, at, at + _LENGTH) for at in range(0, len(text), _LENGTH)]
        found = [(int(match[1]), int(match[2]), int(match[3]), match[4].decode()) for match in matches if match]
        return [StoredPart(number, size, md5) for number, offset, size, md5 in found
                if offset + size <= (data.size or 0)]  # fmt: skip

    def list_uploads(self, prefix: str) -> Iterator[tuple[Upload, float]]:
        """List the hidden files of targets whose names begin so, newest first, and of all in folders that do."""
        found: list[tuple[Upload, float]] = []
        with self._files(prefix) as files:
            folder, _, name = prefix.rpartition("/")
            left = [(folder, name)]
            while left:
                folder, name = left.pop()
                for entry in files.names(self._path(folder) or b"."):
                    shown = os.fsdecode(entry.name)
                    key = f"{folder}/{shown}" if folder else shown
                    if entry.attributes.kind == "folder" and shown.startswith(name):
                        left.append((key, ""))
                    elif entry.name.endswith(_DATA) and shown.startswith("."):
                        upload = Upload(key, shown.removesuffix(_DATA.decode()), md5_etags=False)
                        target = self._target_of(files, upload)
                        if target.rpartition("/")[2].startswith(name):
                            upload = Upload(target, upload.id, md5_etags=False)
                            found.append((upload, float(entry.attributes.mtime or 0)))
        yield from sorted(found, key=lambda one: -one[1])

    def complete(self, upload: Upload, parts: Sequence[StoredPart], *, new: bool) -> Head:
        """Check what was written, and rename it; once it has its name, the list is removed.

        A second call, after a lost answer, finds the list alone: then the first one has renamed the file.
        """
        with self._files(upload.key) as files:
            data, lines = files.stats([self._beside(upload, kind) for kind in (_DATA, _LIST)])
            if data is not None:
                self._publish(files, upload, parts, new=new)
            elif lines is None:
                raise _gone(upload)
            with suppress(StatusError, LostError, NoReplyError):
                for kind in (_OLD, _LIST):
                    files.remove(self._beside(upload, kind))
        return Head(sum(part.size for part in parts), joined_tag([part.md5 for part in parts]))

    def abort(self, upload: Upload) -> None:
        """Remove the hidden files; a former file that was moved aside gets its name back."""
        with self._files(upload.key) as files:
            if files.stat(self._beside(upload, _OLD)):
                with suppress(StatusError):  # there is a file of that name
                    files.rename(self._beside(upload, _OLD), self._path(upload.key))
            for kind in (_DATA, _OLD, _LIST):
                files.remove(self._beside(upload, kind))

    def _write(self, files: Files, upload: Upload, offset: int, body: Body, total: Sum) -> None:
        sent, handle = hashlib.md5(usedforsecurity=False), files.open(self._beside(upload, _DATA), packets.WRITE_ONLY)
        body.seek(0)
        files.write(handle, offset, blocks(body.read, sent.update))
        if sent.hexdigest() != total.md5:
            raise _other_bytes("other bytes were read than before")
        files.sync(handle)  # the line must not outlive the bytes
        files.close(handle)

    def _publish(self, files: Files, upload: Upload, parts: Sequence[StoredPart], *, new: bool) -> None:
        """Check the bytes, and give them their name; the former file stays until that."""
        data, target, size = self._beside(upload, _DATA), self._path(upload.key), sum(part.size for part in parts)
        held = files.stat(data)
        if held is None or (held.size or 0) < size:
            raise _other_bytes(f"the server has {held and held.size} of {size:,} bytes")
        if held.size != size:
            handle = files.open(data, packets.WRITE_ONLY)
            files.truncate(handle, size)
            files.close(handle)
        if self._verify:
            self._require_sums(files, upload, parts)
        former = files.stat(target, follow=False)
        if former and former.kind not in ("file", ""):
            remedy = "Name another, or a folder with / at the end."
            raise UsageError("output-not-a-file", "the destination is not a regular file", remedy, upload.key)
        if not new:
            files.replace(data, target, self._beside(upload, _OLD))
            return
        try:
            files.rename(data, target)
        except StatusError as error:
            if files.stat(target, follow=False) is None:
                raise
            remedy = "Choose another --if-exists."
            raise ExistsError("destination-exists", "the object exists", remedy, upload.key) from error

    def _require_sums(self, files: Files, upload: Upload, parts: Sequence[StoredPart]) -> None:
        """Read back what was written; a part that is not what was sent leaves the list, so that it is sent again."""
        handle, offset = files.open(self._beside(upload, _DATA)), 0
        for part in parts:
            found = hashlib.md5(usedforsecurity=False)
            for block in files.read(handle, offset, part.size):
                found.update(block)
            if found.hexdigest() != part.md5:
                with suppress(StatusError):  # a small file has no list
                    lines = files.open(self._beside(upload, _LIST), packets.WRITE_ONLY)
                    files.write(lines, _HEAD + (part.number - 1) * _LENGTH, iter([_NOTHING]))
                raise _other_bytes(f"part {part.number} is not what was written")
            offset += part.size
        files.close(handle)

    def _target_of(self, files: Files, upload: Upload) -> str:
        """Return the key of an upload, whose list tells it; the name of its hidden file where there is no list."""
        try:
            handle = files.open(self._beside(upload, _LIST))
        except StatusError:
            return upload.key
        name = b"".join(files.read(handle, 0, _HEAD)).rstrip(b"\n")
        files.close(handle)
        folder = upload.key.rpartition("/")[0]
        return f"{folder}/{os.fsdecode(name)}" if folder else os.fsdecode(name)

    def _path(self, key: str) -> bytes:
        return self._root + os.fsencode(key)

    def _beside(self, upload: Upload, kind: bytes) -> bytes:
        folder, slash, _ = upload.key.rpartition("/")
        return self._path(folder + slash + upload.id) + kind

    @contextmanager
    def _files(self, key: str, stop: Stop = lambda: False) -> Iterator[Files]:
        """Lend a connection, and turn what goes wrong into errors of ours."""
        try:
            with self._host.session(self._login, stop, CONNECTIONS) as session:
                files = Files(session, stop)
                try:
                    yield files
                except StatusError as error:
                    raise self._error(files, error, key) from error
        except (LostError, NoReplyError) as error:
            raise BusyError(str(error)) from error
        except TemporaryError as error:
            if error.code != "sftp-unreachable":
                raise
            raise BusyError(error.reason) from error

    def _error(self, files: Files, error: StatusError, key: str) -> AnabranchError:
        """Return what a refusal means; the protocol has few codes for it."""
        label, room = f"{self._destination}/{key}", None
        with suppress(StatusError):
            room = files.room(self._path(key.rpartition("/")[0]) or b".") if error.code == packets.FAILURE else None
        if _FULL.search(error.text) or (room is not None and room < _ENOUGH):
            remedy = "Make room and run the same command again: it resumes."
            return TemporaryError("destination-full", f"the server says: {error.text}; it has no room", remedy, label)
        reason = f"the server says: {error.text}"
        if error.code == packets.PERMISSION_DENIED:
            return SetupError("destination-refused", reason, "Check the account's rights there.", label)
        return AnabranchError("destination-refused", reason, "Check the destination.", label)

    def _login(self, name: str) -> Credentials:  # noqa: ARG002  the destination knows it
        found = secrets_of(self._destination, self._unlock)
        return Credentials(found.user, found.password, found.private_key, found.passphrase) if found else Credentials()


def _new_upload(key: str) -> Upload:
    return Upload(key, f".{fingerprint(key)}.{uuid.uuid4().hex}", md5_etags=False)


@contextmanager
def _gone_without_file(upload: Upload) -> Iterator[None]:
    try:
        yield
    except StatusError as error:
        if error.code == packets.NO_SUCH_FILE:
            raise _gone(upload) from error
        raise


def _gone(upload: Upload) -> UploadGoneError:
    return UploadGoneError("upload-gone", "the server does not have the unfinished upload", _AGAIN, upload.key)


def _other_bytes(reason: str) -> ChecksumRefusedError:
    return ChecksumRefusedError("checksum-refused", reason, _AGAIN)
