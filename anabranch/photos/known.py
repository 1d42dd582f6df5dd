"""What earlier runs found in each photo, by path, size and time of change: nothing of it is read again.

A file of SQLite for each server and way of reading, in the work folder; only the process of the flow uses it.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path

from anabranch.core import versions
from anabranch.core.storage import fingerprint, touch
from anabranch.photos.fetching import Photo
from anabranch.photos.positions import Facts
from anabranch.sftp.addresses import Server

_LASTING = {"ok", "no_gps", "placeholder", "invalid", "unreadable", "not_a_photo"}
_SERVERS_FAULT = "the server "  # how the reasons begin that are not the photo's own
_LOCK_SECONDS = 60


def photos_key() -> str:
    """Fingerprint the code that decides what is found in a photo."""
    return versions.code_key("core", "sources", "sftp", "photos")


def lasting(facts: Facts) -> bool:
    """Whether the same file would say the same next time."""
    return facts.status in _LASTING and not facts.reason.startswith(_SERVERS_FAULT)


class Known:
    """The photos of one server, or of this machine, as they were read with these options."""

    def __init__(self, work_dir: Path, server: Server | None, assume: str) -> None:
        self.path = work_dir / "photos" / f"known-{fingerprint(photos_key(), server, assume)}.sqlite"

    def find(self, photos: Iterable[Photo]) -> dict[Photo, Facts]:
        """Return what is known of these photos; nothing where the file is missing or damaged."""
        found: dict[Photo, Facts] = {}
        if not self.path.exists():
            return found
        try:
            with closing(self._open()) as known:
                for photo in photos:
                    row = known.execute("SELECT size, mtime, facts FROM known WHERE path = ?", (photo.path,)).fetchone()
                    if row is not None and row[:2] == (photo.size, photo.stamp or photo.mtime):
                        found[photo] = Facts(*json.loads(row[2]))
        except (sqlite3.DatabaseError, ValueError, TypeError):
            return {}  # photos are read again, and the file is written again
        touch(self.path)
        return found

    def add(self, facts: Mapping[Photo, Facts]) -> None:
        """Keep what was found, where it lasts; a damaged file is replaced, and none stops the run."""
        rows = [
            (photo.path, photo.size, photo.stamp or photo.mtime, json.dumps(found, separators=(",", ":")))
            for photo, found in facts.items()
            if photo.size is not None and (photo.stamp or photo.mtime is not None) and lasting(found)
        ]
        if not rows:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._write(rows)
        except sqlite3.OperationalError:  # locked, or no space: the next run reads them again
            return
        except sqlite3.DatabaseError:
            self.path.unlink(missing_ok=True)
            with suppress(sqlite3.DatabaseError):
                self._write(rows)

    def _write(self, rows: Iterable[tuple[bytes, int | None, str | int | None, str]]) -> None:
        with closing(self._open()) as known, known:
            known.execute(
                "CREATE TABLE IF NOT EXISTS known (path BLOB PRIMARY KEY, size, mtime, facts TEXT) WITHOUT ROWID"
            )
            known.executemany("INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?)", rows)

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=_LOCK_SECONDS)
