"""Folders of a file system as a store: parts are written into a file aside, which is checked, and renamed."""

import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Literal

from anabranch.core import storage
from anabranch.core.errors import SetupError, TemporaryError, UsageError, as_ours, is_full
from anabranch.core.storage import fingerprint, flush_folder, refuse_special
from anabranch.uploads.ranges import BLOCK
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
from anabranch.uploads.stores.secrets import Unlock, no_blocks
from anabranch.uploads.tags import joined_tag

_DATA, _NAME = "data", "name"  # files of an unfinished upload: its bytes, the name of its target
_MARK = ".anabranch-upload"  # ends the name of the hidden folder of an unfinished upload
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)


class FolderStore:
    """A folder: the key of an object is its path below it.

    An upload is a hidden folder beside its target: the bytes in one file, and for each part that is written an empty
    file whose name tells its number, offset, size and MD5.
    """

    in_order: Literal[False] = False
    limits = Limits()

    def __init__(self, destination: Destination, unlock: Unlock = no_blocks) -> None:  # noqa: ARG002  needs none
        self._root = Path(destination.place)

    def head(self, key: str) -> Head | None:
        """Return the file's size; its checksum would have to be computed."""
        with _reported(key, self._root):
            try:
                return Head(self._target(key).stat().st_size)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def same(self, key: str, head: Head, path: str, part_size: int, stop: Stop) -> bool:  # noqa: ARG002
        """Compare the two files byte by byte."""
        if os.stat(path).st_size != head.size:  # noqa: PTH116
            return False
        with _reported(key, self._root), self._target(key).open("rb") as theirs, open(path, "rb") as ours:  # noqa: PTH123
            while not stop():
                block = ours.read(BLOCK)
                if block != theirs.read(BLOCK):
                    return False
                if not block:
                    return True
        return False

    def absent(self, keys: Sequence[str]) -> set[str]:
        """Return the keys of which there is no file."""
        return {key for key in keys if self.head(key) is None}

    def put(self, key: str, body: Body, total: Sum, *, new: bool) -> Head:
        """Write a small file aside, and rename it."""
        upload = self.create(key)
        try:
            part = self.put_part(upload, 1, 0, body, total)
            return self.complete(upload, [part] if total.size else [], new=new)
        finally:
            self.abort(upload)

    def create(self, key: str) -> Upload:
        """Make the hidden folder."""
        target = self._target(key)
        with _reported(key, self._root):
            target.parent.mkdir(parents=True, exist_ok=True)
            refuse_special(target)
            folder = target.with_name(f".{fingerprint(target.name)}.{uuid.uuid4().hex}{_MARK}")
            folder.mkdir()
            (folder / _DATA).touch()
            (folder / _NAME).write_text(target.name)
        return Upload(key, folder.name)

    def put_part(self, upload: Upload, number: int, offset: int, body: Body, total: Sum) -> StoredPart:
        """Write the part at its offset, and then its mark."""
        folder, sent = self._folder(upload), hashlib.md5(usedforsecurity=False)
        with _reported(upload.key, self._root):
            for mark in folder.glob(f"{number:05}-*"):
                mark.unlink()  # before the bytes change
            with _opened(folder) as file:
                file.seek(offset)
                body.seek(0)
                while block := body.read(BLOCK):
                    file.write(block)
                    sent.update(block)
                if sent.hexdigest() != total.md5:
                    raise ChecksumRefusedError(
                        "checksum-refused", "other bytes were read than before", "Run the same command again."
                    )
                os.fdatasync(file.fileno())  # the mark must not outlive the bytes
            (folder / f"{number:05}-{offset}-{total.size}-{total.md5}").touch()
        return StoredPart(number, total.size, total.md5)

    def list_parts(self, upload: Upload, numbers: range | None = None) -> list[StoredPart]:  # noqa: ARG002  all is cheap
        """Read the marks."""
        folder = self._folder(upload)
        if not (folder / _DATA).exists():
            raise _gone(upload)
        marks = [mark.name.split("-") for mark in folder.glob("[0-9]*-*-*-*")]
        return sorted((StoredPart(int(mark[0]), int(mark[2]), mark[3]) for mark in marks), key=lambda one: one.number)

    def list_uploads(self, prefix: str) -> Iterator[tuple[Upload, float]]:
        """List the hidden folders of the file of that key, newest first; without a key, all below the root."""
        target = self._target(prefix)
        found = []
        with suppress(OSError):
            folders = (
                target.parent.glob(f".{fingerprint(target.name)}.*{_MARK}")
                if prefix
                else self._root.rglob(f".*{_MARK}")
            )
            for folder in folders:
                key = prefix or str((folder.parent / (folder / _NAME).read_text()).relative_to(self._root))
                found.append((Upload(key, folder.name), folder.stat().st_mtime))
        yield from sorted(found, key=lambda one: -one[1])

    def complete(self, upload: Upload, parts: Sequence[StoredPart], *, new: bool) -> Head:
        """Read back what was written, hold it against the parts' checksums, and rename it."""
        folder, target = self._folder(upload), self._target(upload.key)
        with _reported(upload.key, self._root):
            with _opened(folder) as file:
                file.truncate(sum(part.size for part in parts))
                _require_sums(file, parts)
                os.fsync(file.fileno())
            refuse_special(target)
            if new:
                try:
                    os.link(folder / _DATA, target)
                except FileExistsError as error:
                    raise ExistsError(
                        "destination-exists", "the object exists", "Choose another --if-exists.", upload.key
                    ) from error
            else:
                (folder / _DATA).rename(target)
            flush_folder(target.parent)
        self.abort(upload)
        return Head(sum(part.size for part in parts), joined_tag([part.md5 for part in parts]))

    def abort(self, upload: Upload) -> None:
        """Remove the hidden folder."""
        shutil.rmtree(self._folder(upload), ignore_errors=True)

    def _target(self, key: str) -> Path:
        return self._root / key

    def _folder(self, upload: Upload) -> Path:
        return self._target(upload.key).with_name(upload.id)


def require_room(root: Path, sizes: Mapping[str, int]) -> None:
    """Raise TemporaryError "disk-full" where the objects of these sizes of which nothing is there yet do not fit."""
    begun = {path.name.split(".")[1] for path in root.rglob(f".*{_MARK}")} if root.is_dir() else set()
    new = [
        size for key, size in sizes.items() if not (root / key).exists() and fingerprint((root / key).name) not in begun
    ]
    storage.require_room(root, sum(new))


def _require_sums(file: IO[bytes], parts: Sequence[StoredPart]) -> None:
    file.seek(0)
    for part in parts:
        left, found = part.size, hashlib.md5(usedforsecurity=False)
        while left and (block := file.read(min(BLOCK, left))):
            found.update(block)
            left -= len(block)
        if left or found.hexdigest() != part.md5:
            raise ChecksumRefusedError(
                "checksum-refused", f"part {part.number} is not what was written", "Run the same command again."
            )


@contextmanager
def _opened(folder: Path) -> Iterator[IO[bytes]]:
    try:
        with (folder / _DATA).open("r+b", buffering=0) as file:
            yield file
    except FileNotFoundError as error:
        raise UploadGoneError("upload-gone", "the unfinished upload is gone", "Run the same command again.") from error


@contextmanager
def _reported(key: str, folder: Path) -> Iterator[None]:
    """Turn what the system refuses into errors of ours."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if is_full(error):
            error.filename = error.filename or str(folder)
            full = as_ours(error)
            raise TemporaryError("destination-full", full.reason, full.remedy, key) from error
        if error.errno in _CLOSED:
            raise SetupError("destination-refused", reason, "Check the folder's permissions.", key) from error
        if error.errno in (errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG):
            raise UsageError("output-not-writable", reason, "Name another destination.", key) from error
        raise BusyError(reason) from error


def _gone(upload: Upload) -> UploadGoneError:
    return UploadGoneError(
        "upload-gone", "the store does not know the upload", "Run the same command again.", upload.key
    )
