"""Files that are either whole or not there: written aside, flushed to disk, renamed."""

import errno
import filecmp
import hashlib
import io
import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Iterator, Mapping, MutableSequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from typing_extensions import Buffer

from anabranch.core.errors import UsageError, disk_full, is_full
from anabranch.core.parts import WorkFile, Written

LEFT_SECONDS = 3600  # since its last write; a running writer writes more often
_LEFT = re.compile(r"\.[0-9a-f]{32}\.[0-9a-f]{32}\.part")  # the name of such a file, see `published`
_swept: dict[Path, float] = {}  # when a folder was last swept
KEEP_SECONDS = 7 * 24 * 3600  # a week, so that a weekly run still finds last week's parts


@contextmanager
def published(
    target: Path,
    *,
    durable: bool = True,
    keep_equal: bool = False,
    written: MutableSequence[Written] | None = None,
) -> Iterator[IO[bytes]]:
    """Yield a file to write; rename it to `target` if the block ends without an error, otherwise remove it.

    With `keep_equal` a target that holds these bytes already stays as it is, with its time: what is made from it by
    others need not be made again.

    `written` gets what was written, with its checksum, once it has its name.

    With `durable` the file and its folder are flushed to disk, so that the target is never half a file, even after a
    power cut. A target that exists and is not a regular file (a device, a pipe, a link) is a UsageError.
    """
    refuse_special(target)
    mark = fingerprint(target.name)  # the name itself might be too long with a suffix
    _sweep(target.parent)
    aside = target.with_name(f".{mark}.{uuid.uuid4().hex}.part")
    raw: _Counted | None = None
    try:
        raw = _Counted(aside, "xb")
        raw.sum = None if written is None else hashlib.sha256()
        with io.BufferedWriter(raw) as file:
            yield file
            file.flush()
            _check_size(raw, target)
            if durable:
                os.fsync(raw.fileno())
        note = None if written is None else _described(raw, aside, target)
        if keep_equal and target.is_file() and filecmp.cmp(aside, target, shallow=False):
            aside.unlink()
            if note:
                note.kept = True
        else:
            aside.rename(target)
            if durable:
                flush_folder(target.parent)
        if written is not None and note:
            written.append(note)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(target)  # the error of a full disk names no file
        aside.unlink(missing_ok=True)
        if is_full(error) and not hasattr(error, "needed"):
            note_room(error, target, raw.wanted if raw else 0)
        raise


def leave_hole(file: IO[bytes], size: int) -> None:
    """Pass over so many bytes of a file that `published` yielded: they are read as zeros, and take no room."""
    file.seek(size, os.SEEK_CUR)
    os.ftruncate(file.fileno(), file.tell())
    file.raw.written += size  # type: ignore[attr-defined]  # of the class below


def note_room(error: OSError, target: Path, needed: int) -> None:
    """Let the error of a full disk say for which file, how much it needs at least, and how much is free there."""
    error.filename = str(target)
    error.needed, error.free = needed, free_bytes(target.parent)  # type: ignore[attr-defined]  # pickled with it


def free_bytes(folder: Path) -> int:
    """Return how much a user may still write to the disk of a folder, or of the nearest that exists above it."""
    place = next(place for place in (folder, *folder.parents) if place.is_dir())
    return shutil.disk_usage(place).free


def require_room(folder: Path, needed: int) -> None:
    """Raise TemporaryError "disk-full" if so many bytes certainly do not fit on the disk of the folder."""
    free = free_bytes(folder)
    if needed > free:
        raise disk_full(str(folder), needed, free)


def require_room_for(sizes: Mapping[Path, int]) -> None:
    """Raise TemporaryError "disk-full" where files of these sizes do not fit, each replacing the one of its name."""
    folders: dict[Path, int] = {}
    for path, size in sizes.items():
        replaced = path.stat().st_size if path.is_file() else 0
        folders[path.parent] = folders.get(path.parent, 0) + size - replaced
    for folder, needed in folders.items():
        require_room(folder, needed)


class _Counted(io.FileIO):
    """Count the bytes that the system says it took, and those that it was to take; sum them up if there is a `sum`."""

    written = wanted = 0
    sum: "hashlib._Hash | None" = None

    def write(self, data: Buffer, /) -> int:
        self.wanted = self.written + memoryview(data).nbytes
        count = super().write(data)
        self.written += count
        if self.sum:
            self.sum.update(memoryview(data)[:count])
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        place = super().seek(offset, whence)
        if place != self.written:  # what follows is not in the order of the file
            self.sum = None
        return place

    def truncate(self, size: int | None = None, /) -> int:
        self.written = super().truncate(size)
        return self.written


def _described(raw: _Counted, aside: Path, target: Path) -> Written:
    """Describe the file that is complete; one that was not written from start to end is read for its checksum."""
    sha256 = raw.sum.hexdigest() if raw.sum else sha256_of(aside)
    return Written(name=shown(str(target)), place=target.absolute().as_uri(), size=raw.written, sha256=sha256)


def sha256_of(path: Path) -> str:
    """Read a file, and return its SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sweep(folder: Path) -> None:
    """Remove what killed writers left in a folder; at most once an hour, since a run may write many files."""
    now = time.time()
    if now - _swept.get(folder, 0) < LEFT_SECONDS:
        return
    _swept[folder] = now
    with suppress(OSError):
        for left in os.scandir(folder):
            if _LEFT.fullmatch(left.name) and now - left.stat().st_mtime > LEFT_SECONDS:
                Path(left).unlink()


def _check_size(raw: _Counted, target: Path) -> None:
    if raw.written != os.fstat(raw.fileno()).st_size:
        raise OSError(errno.EIO, "the disk kept fewer bytes than were written", str(target))


def refuse_special(target: Path) -> None:
    """Raise UsageError if `target` exists and is not a regular file."""
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(target.lstat().st_mode):
            raise UsageError(
                "output-not-a-file", "the output exists and is not a regular file", "Name another output.", str(target)
            )


def work_file(path: Path) -> WorkFile:
    """Describe a finished file as it is now."""
    status = path.stat()
    return WorkFile(str(path), status.st_size, status.st_mtime_ns)


def unchanged(file: WorkFile) -> bool:
    """Whether a file that a part wrote still exists unchanged."""
    try:
        return work_file(Path(file.path)) == file
    except OSError:
        return False


def shown(name: str) -> str:
    """Return a name from outside as one line of valid UTF-8; anything else in it is escaped."""
    text = os.fsencode(name).decode(errors="backslashreplace")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def fingerprint(*facts: object) -> str:
    """Return a hash, 32 hexadecimal digits, of everything that a result depends on."""
    return hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()


def code_version(folder: Path) -> str:
    """Fingerprint the source in a folder and below, so that a result of other code is never taken from the cache.

    Compiled code does not count, since it differs between machines.
    """
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.suffix != ".pyc"]
    return fingerprint(*[(str(file.relative_to(folder)), file.read_bytes()) for file in files])


def prune(work_dir: Path, keep_seconds: float = KEEP_SECONDS) -> None:
    """Remove the folders of plans and the records of results that no run has used for that long."""
    oldest = time.time() - keep_seconds
    for path in work_dir.glob("*/*"):
        with suppress(OSError):
            if path.lstat().st_mtime < oldest:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def touch(*paths: Path) -> None:
    """Mark these paths as used now, so that they are kept."""
    for path in paths:
        with suppress(OSError):
            os.utime(path)


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, so that a rename survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
