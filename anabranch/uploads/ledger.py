"""What is known of the upload of each file: kept beside the work files, written aside and renamed, one for each key."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from anabranch.core.errors import Stopped
from anabranch.core.storage import fingerprint, published
from anabranch.uploads.ranges import Stamp
from anabranch.uploads.stores.base import Destination, Stop, Upload

FOLDER = "uploads"  # below the work folder, where what has not been used for a week is removed
_LOOK = 0.25  # seconds between two tries to get a lock


@dataclass(frozen=True, slots=True)
class Entry:
    """One file's upload: under way, or done, when `etag` is that of the object."""

    source: str
    stamp: Stamp
    part_size: int
    upload: Upload | None = None
    session: str = ""  # of a sequential store: a secret, so the file is readable by its owner only
    etag: str = ""

    @property
    def done(self) -> bool:
        """Whether the object was made of exactly this file."""
        return bool(self.etag)


class Ledger:
    """The entry of one key of one destination."""

    def __init__(self, work_dir: Path, destination: Destination, key: str) -> None:
        name = fingerprint(destination.kind, destination.place, destination.endpoint, key)
        self.path = work_dir / FOLDER / f"{name}.json"

    def read(self) -> Entry | None:
        """Return the entry; nothing where there is none, or none that can be read."""
        try:
            found = json.loads(self.path.read_text())
            upload = found.pop("upload")
            return Entry(stamp=Stamp(**found.pop("stamp")), upload=upload and Upload(**upload), **found)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, entry: Entry) -> None:
        """Replace the entry: at no time is there half of one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with published(self.path) as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(json.dumps(asdict(entry)).encode())

    def remove(self) -> None:
        """Forget the upload."""
        self.path.unlink(missing_ok=True)

    @contextmanager
    def locked(self, stop: Stop = lambda: False) -> Iterator[None]:
        """Hold the key's lock inside the block, as one run at a time does, after waiting for it.

        The lock ends with its process, however that ends. Raises Stopped when `stop` says so while it waits.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(descriptor, stop)
            yield
        finally:
            os.close(descriptor)


def _lock(descriptor: int, stop: Stop) -> None:
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if stop():
            raise Stopped
        time.sleep(_LOOK)
