"""List photos below folders: of this machine, or over an SFTP session, several folders at a time."""

import os
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from anabranch.core.errors import AnabranchError, SourceError, UsageError
from anabranch.core.storage import shown
from anabranch.core.words import PassedOver
from anabranch.photos.addresses import Place, place_label
from anabranch.photos.fetching import Photo
from anabranch.sftp import packets
from anabranch.sftp.session import NoReplyError, Session, Stop
from anabranch.sources import remote

SUFFIXES = (
    b".jpg", b".jpeg", b".tif", b".tiff", b".dng", b".heic", b".heif", b".hif", b".avif", b".png", b".webp", b".jxl",
    b".gpr", b".nef", b".arw", b".cr2", b".pef", b".srw",
)  # fmt: skip
_WINDOW = 128  # folders that are listed at once
_AHEAD = 32  # READDIRs sent ahead for one folder


class Rules(NamedTuple):
    """Which files count, and how far to look."""

    all_files: bool = False
    depth: int = 20
    most: int = 1_000_000

    def wants(self, name: bytes) -> bool:
        """Whether a file of this name counts."""
        return self.all_files or name.lower().endswith(SUFFIXES)


@dataclass(slots=True)
class Listed:
    """What is below one folder."""

    place: Place
    photos: list[Photo] = field(default_factory=list)
    folders: int = 0
    errors: list[AnabranchError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    passed: PassedOver = field(default_factory=PassedOver)
    round_trip: float = 0.0  # the shortest time in seconds in which the server answered; 0: not known

    @property
    def all_warnings(self) -> list[str]:
        """The warnings; where there is no photo, and no error says more, also why there is none."""
        nothing = not (self.photos or self.errors)
        return [*self.warnings, *([self.passed.nothing_in(self.place.label)] if nothing else [])]

    def passes(self, name: bytes, reason: str = "not named as a photo") -> None:
        """Note a file that does not count."""
        if not self.photos:  # else it is not needed
            self.passed.add(reason, shown(os.fsdecode(name)))

    def add(self, photos: Sequence[Photo], rules: Rules) -> None:
        """Add the photos of one folder. Raises UsageError where they are more than the rules allow."""
        self.photos += photos
        self.folders += 1
        if len(self.photos) > rules.most:
            raise UsageError(
                "too-many-photos",
                f"there are more than {rules.most:,} photos",
                "Name a folder further down, or allow more with --most-photos.",
                self.place.label,
            )

    def fails(self, folder: bytes, reason: str, remedy: str = "Check its permissions, or leave it out.") -> None:
        """Note that a folder cannot be listed."""
        label = place_label(self.place.server, folder)
        self.errors.append(SourceError("folder-unreadable", f"the folder cannot be listed: {reason}", remedy, label))

    def too_deep(self, folder: bytes, rules: Rules) -> None:
        """Note that a folder is further down than the rules allow."""
        label = place_label(self.place.server, folder)
        self.warnings.append(f"{label} is more than {rules.depth} folders deep, and was not listed (see --depth)")


def list_here(place: Place, rules: Rules) -> Listed:
    """List the photos below a folder of this machine; links are not followed. Raises UsageError where it is missing."""
    listed, left = Listed(place), deque([(place.folder, 0)])
    if not os.path.isdir(place.folder):  # noqa: PTH112  bytes
        raise UsageError("source-missing", "there is no such folder", "Check the path.", place.label)
    while left:
        folder, depth = left.popleft()
        photos = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if depth < rules.depth:
                            left.append((entry.path, depth + 1))
                        else:
                            listed.too_deep(entry.path, rules)
                    elif not entry.is_file(follow_symlinks=False):
                        listed.passes(entry.name, "a link" if entry.is_symlink() else "no file")
                    elif not rules.wants(entry.name):
                        listed.passes(entry.name)
                    else:
                        status = entry.stat(follow_symlinks=False)
                        photos.append(Photo(entry.path, status.st_size, status.st_mtime_ns // 1_000_000_000))
        except OSError as error:
            listed.fails(folder, error.strerror or str(error))
            continue
        listed.add(photos, rules)
    listed.photos.sort()
    return listed


def list_url(place: Place, rules: Rules) -> Listed:
    """List the photos below a folder at a URL. Raises UsageError and SourceError as `remote.listing`."""
    listed, folders = Listed(place), dict[str, list[Photo]]()

    def wanted(path: str) -> bool:
        name = os.fsencode(path.rpartition("/")[2])
        if name and not rules.wants(name):
            listed.passes(name)
        return bool(name) and rules.wants(name)

    for file in remote.listing(os.fsdecode(place.folder), wanted):
        folder = file.url.rpartition("/")[0]
        photo = Photo(os.fsencode(file.url), file.size or None, file.modified, file.stamp)
        folders.setdefault(folder, []).append(photo)
        if file.below.count("/") > rules.depth:
            folders[folder].clear()
    for folder, photos in folders.items():
        if photos:
            listed.add(photos, rules)
        else:
            listed.too_deep(os.fsencode(folder), rules)
    listed.photos.sort()
    return listed


class _Folder:
    """A folder that is being listed."""

    __slots__ = (
        "ahead", "alone", "asked", "certain", "depth", "ended", "entries", "fault", "handle", "path", "since", "window",
    )  # fmt: skip

    def __init__(self, path: bytes, depth: int, *, certain: bool = True) -> None:
        self.path, self.depth, self.certain = path, depth, certain
        self.since, self.window = 0.0, 0  # when it was asked for, and how many at once then
        self.restart()

    def restart(self) -> None:
        self.handle: bytes | None = None
        self.entries: list[packets.Entry] = []
        self.ahead, self.asked, self.ended, self.alone, self.fault = 1, 0, False, False, ""


class _Probe:
    """A file of which the listing lacks size or type."""

    __slots__ = ("handle", "name", "path")

    def __init__(self, path: bytes, name: bytes) -> None:
        self.path, self.name = path, name
        self.handle: bytes | None = None


class RemoteListing:
    """List the photos below a folder over a session; goes on with another one where a connection is lost."""

    def __init__(self, place: Place, rules: Rules, timeout: float) -> None:
        self.listed = Listed(place)
        self._rules, self._timeout = rules, timeout
        self._queue: deque[_Folder | _Probe] = deque([_Folder(place.folder, 0)])
        self._later: deque[_Folder] = deque()
        self._flight: dict[_Folder | _Probe, None] = {}
        self._window = _WINDOW
        self._opened = self._proven = 0  # folders that are open, and the most that have been open at once
        self.progress = 0  # folders and files that were answered

    @property
    def left(self) -> int:
        """How many folders are known and not listed yet."""
        return len(self._queue) + len(self._later) + len(self._flight)

    def run(self, session: Session, stop: Stop) -> None:
        """List until nothing is left; raises as `Fetch.run`, and can go on with another session."""
        for job in self._flight:
            if isinstance(job, _Folder):
                job.restart()
            else:
                job.handle = None
        self._queue.extendleft(self._flight)
        self._flight.clear()
        self._opened = 0
        while self.left:
            self._fill(session)
            try:
                job, reply = session.reply(self._timeout, stop)
                if isinstance(job, _Folder):
                    self._take(session, job, reply)
                else:
                    self._probed(session, job, reply)
            except NoReplyError as error:
                self._gives_up(error.owner)
                raise
            except packets.ProtocolError as error:
                raise self._misread(error) from error
        self.listed.photos.sort()

    def _misread(self, error: packets.ProtocolError) -> AnabranchError:
        return SourceError(
            "listing-unreadable",
            f"the server's listing is not that of SFTP version {packets.OURS}: {error}",
            "Serve the folder by OpenSSH, or by a server that keeps to the version that was agreed on.",
            self.listed.place.label,
        )

    def _fill(self, session: Session) -> None:
        while self._queue and len(self._flight) < self._window:
            self._open(session, self._queue.popleft())
        if not self._flight and not self._queue and self._later:
            self._open(session, self._later.popleft())

    def _open(self, session: Session, job: _Folder | _Probe) -> None:
        if isinstance(job, _Folder):
            job.alone, job.window, job.since = not self._flight, self._window, time.monotonic()
            session.ask(job, packets.OPENDIR, job.path)
        else:
            session.ask(job, packets.OPEN, job.path, packets.READ_ONLY)
        self._flight[job] = None

    def _gives_up(self, job: _Folder | _Probe) -> None:
        del self._flight[job]
        reason = f"no reply for {self._timeout:g} seconds"
        if isinstance(job, _Folder):
            self._opened -= job.handle is not None
            self.listed.fails(job.path, reason, "Run the same command again, with a longer --photo-timeout.")
        else:
            self.listed.photos.append(Photo(job.path, None, None))

    def _take(self, session: Session, job: _Folder, reply: packets.Reply) -> None:
        if job.handle is None:
            if reply.kind == packets.HANDLE:
                job.handle = packets.text(reply.body)
                self._opened += 1
                self._proven = max(self._proven, self._opened)
                taken = time.monotonic() - job.since
                self.listed.round_trip = min(self.listed.round_trip or taken, taken)
                self._ask(session, job)
            else:
                self._refused(job, *packets.status(reply.body))
            return
        job.asked -= 1
        if reply.kind == packets.NAME:
            job.entries += packets.names(reply.body)
            job.ahead = min(2 * job.ahead, _AHEAD)  # a big folder has more names than fit into a reply
        elif not job.ended:
            code, text = packets.status(reply.body)
            job.ended, job.fault = True, "" if code == packets.EOF else text
        if not job.ended:
            self._ask(session, job)
        elif not job.asked:
            session.close_handle(job.handle)
            self._ends(job)

    def _ask(self, session: Session, job: _Folder) -> None:
        while job.asked < job.ahead and job.handle is not None:
            session.ask(job, packets.READDIR, job.handle)
            job.asked += 1

    def _refused(self, job: _Folder, code: int, text: str) -> None:
        del self._flight[job]
        if not job.certain:
            return  # it was not known to be a folder
        if job.alone or code not in (packets.FAILURE, packets.PERMISSION_DENIED):
            self.listed.fails(job.path, shown(text))
        elif job.window > self._window:  # one that was asked for before has shown that too many are open
            self._queue.appendleft(job)
        elif self._opened < self._proven:  # more have been open: the fault may be its own
            self._later.append(job)
        else:
            self._window = max(1, min(self._window, len(self._flight) + 1) // 2)
            self._queue.appendleft(job)

    def _ends(self, job: _Folder) -> None:
        """Take what a folder holds, now that all of it is known."""
        del self._flight[job]
        self._opened -= 1
        self.progress += 1
        if job.fault:
            self.listed.fails(job.path, shown(job.fault))
            return
        photos = []
        for name, known in job.entries:
            if name in (b".", b"..", b""):
                continue
            if b"/" in name or b"\0" in name:
                label = place_label(self.listed.place.server, job.path)
                self.listed.warnings.append(
                    f"{label} lists a name with a slash, {shown(os.fsdecode(name))!r}; left out"
                )
                continue
            photos += self._entry(job, name, known)
        self.listed.add(photos, self._rules)

    def _entry(self, job: _Folder, name: bytes, known: packets.Attributes) -> list[Photo]:
        """Return the photo that an entry is, or plan to look at it."""
        path = name if job.path == b"." else job.path.rstrip(b"/") + b"/" + name
        wanted = self._rules.wants(name)
        if known.kind == "folder" or (not known.kind and not wanted):
            if job.depth < self._rules.depth:
                self._queue.append(_Folder(path, job.depth + 1, certain=bool(known.kind)))
            elif known.kind:
                self.listed.too_deep(path, self._rules)
        elif known.kind in ("file", "") and wanted:
            if known.size is not None and known.kind:
                return [Photo(path, known.size, known.mtime)]
            self._queue.append(_Probe(path, name))
        else:
            self.listed.passes(name, *(["a link"] if known.kind == "link" else []))
        return []

    def _probed(self, session: Session, job: _Probe, reply: packets.Reply) -> None:
        if reply.kind == packets.HANDLE:
            job.handle = packets.text(reply.body)
            session.ask(job, packets.FSTAT, job.handle)
            return
        if reply.kind == packets.STATUS and job.handle is None and len(self._flight) > 1:
            code, _ = packets.status(reply.body)
            if code in (packets.FAILURE, packets.PERMISSION_DENIED):  # maybe too many are open
                self._window = max(1, min(self._window, len(self._flight)) // 2)
                del self._flight[job]
                self._queue.append(job)
                return
        known = packets.attributes(reply.body) if reply.kind == packets.ATTRS else packets.Attributes()
        if job.handle is not None:
            session.close_handle(job.handle)
        del self._flight[job]
        self.progress += 1
        if known.kind in ("file", ""):
            self.listed.photos.append(Photo(job.path, known.size, known.mtime))
