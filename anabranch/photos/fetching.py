"""Read photos over one SFTP session: many at a time, each from OPEN over some READs to CLOSE."""

import os
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from anabranch.core.storage import shown
from anabranch.photos.positions import Facts
from anabranch.photos.reading import Reader
from anabranch.sftp import packets
from anabranch.sftp.session import LostError, NoReplyError, Session, Stop
from anabranch.sources.remote import is_url

WINDOW = 128  # photos in flight
_SHORTEST = 512  # replies shorter than that, again and again, would keep a photo forever
_MOST_REPLIES = 1100  # of one photo: 512 KB from a server that gives no more than 512 bytes at once


class Photo(NamedTuple):
    """A file as it was listed; the path is bytes, as the server or the system has it."""

    path: bytes  # or the URL
    size: int | None
    mtime: int | None
    stamp: str = ""  # of a file at a URL, what distinguishes its states

    @classmethod
    def of(cls, row: Sequence[Any]) -> "Photo":
        """Make a photo of what `row` returned."""
        return cls(row[0].encode("utf-8", "surrogateescape"), *row[1:4])

    @property
    def row(self) -> tuple[str, int | None, int | None, str]:
        """The photo as JSON can hold it; bytes of its path that are not UTF-8 become surrogates."""
        return self.path.decode("utf-8", "surrogateescape"), *self[1:]

    @property
    def url(self) -> str:
        """The URL, where the photo is at one; otherwise empty."""
        text = os.fsdecode(self.path)
        return text if is_url(text) else ""


class Manner(NamedTuple):
    """How photos are read."""

    thin: bool = False
    assume: str = ""
    timeout: float = 30.0  # seconds without a reply


class _Job:
    """One photo in flight."""

    __slots__ = ("alone", "asked", "handle", "photo", "reader", "replies", "window")

    def __init__(self, photo: Photo, manner: Manner, window: int, *, alone: bool) -> None:
        self.photo, self.alone = photo, alone  # alone: when no other file was open
        self.window = window  # when it was asked for
        self.reader = Reader(photo.size, thin=manner.thin, assume=manner.assume)
        self.handle: bytes | None = None
        self.asked = self.replies = 0


class Fetch:
    """Read photos over a session; `done` fills with what each says, and stays when the connection is lost.

    The window of files in flight halves where the server refuses to open one more. A file that is refused while fewer
    are open than were before is asked for again at the end, alone: what fails then is the file's own.
    """

    def __init__(self, photos: Sequence[Photo], manner: Manner, window: int = WINDOW) -> None:
        self.done: dict[Photo, Facts] = {}
        self.reads = self.bytes = self.progress = self._progress_before = 0
        self._manner = manner
        self._queue = deque(photos)
        self._later: deque[Photo] = deque()  # to be asked for alone
        self._flight: dict[_Job, None] = {}
        self._window = self._widest = window
        self._opened = self._proven = 0  # files that are open, and the most that have been open at once
        self._own_faults = 0  # files that fail alone, too

    @property
    def left(self) -> int:
        """How many photos have no result yet."""
        return len(self._queue) + len(self._later) + len(self._flight)

    def run(self, session: Session, stop: Stop) -> None:
        """Go on until every photo has a result.

        Raises LostError where the connection is lost; then, and after a timeout of one photo, `run` can go on with
        another session, and asks only for what has no result. Raises Stopped when `stop` says so.
        """
        if self._flight and self.progress == self._progress_before:  # lost before any photo was read: ask for fewer
            self._window = max(1, min(self._window, len(self._flight)) // 4)
        self._progress_before = self.progress
        self._queue.extendleft(job.photo for job in reversed(self._flight))
        self._flight.clear()
        self._opened = 0
        while self.left:
            self._fill(session)
            try:
                self._take(session, *session.reply(self._manner.timeout, stop))
            except NoReplyError as error:
                self._end(error.owner, Facts("timeout", f"no reply for {self._manner.timeout:g} seconds"))
                raise
            except packets.ProtocolError as error:
                raise LostError(f"the server sent nonsense: {error}") from error

    def _fill(self, session: Session) -> None:
        while self._queue and len(self._flight) < self._window:
            self._open(session, self._queue.popleft())
        if not self._flight and not self._queue and self._later:
            self._open(session, self._later.popleft())

    def _open(self, session: Session, photo: Photo) -> None:
        job = _Job(photo, self._manner, self._window, alone=not self._flight)
        self._flight[job] = None
        session.ask(job, packets.OPEN, photo.path, packets.READ_ONLY)

    def _take(self, session: Session, job: _Job, reply: packets.Reply) -> None:
        if reply.kind == packets.STATUS:
            code, text = packets.status(reply.body)
            if job.handle is None:
                self._refused(job, code, text)
                return
            if code != packets.EOF:
                self._end(job, Facts("unreadable", f"the server cannot read it: {shown(text)}"), session)
                return
            data = b""
        elif reply.kind == packets.HANDLE and job.handle is None:
            job.handle = packets.text(reply.body)
            self._opened += 1
            self._proven = max(self._proven, self._opened)
            self._ask(session, job)
            return
        else:
            data = packets.text(reply.body)[: job.asked]
        self._feed(session, job, data, ended=reply.kind == packets.STATUS)

    def _feed(self, session: Session, job: _Job, data: bytes, *, ended: bool) -> None:
        self.reads += 1
        self.bytes += len(data)
        job.replies += 1
        job.reader.feed(data, ended=ended or not data)
        if job.reader.facts is not None:
            self._end(job, job.reader.facts, session)
        elif job.replies > _MOST_REPLIES:
            self._end(job, Facts("unreadable", f"the server gives less than {_SHORTEST} bytes at a time"), session)
        else:
            self._ask(session, job)

    def _ask(self, session: Session, job: _Job) -> None:
        if job.reader.wanted is not None and job.handle is not None:
            offset, length = job.reader.wanted
            job.asked = min(length, packets.LARGEST_READ)
            session.ask(job, packets.READ, job.handle, packets.span(offset, job.asked))

    def _end(self, job: _Job, facts: Facts, session: Session | None = None) -> None:
        self.done[job.photo] = facts
        self.progress += facts.status != "timeout"
        del self._flight[job]
        self._opened -= job.handle is not None
        if session is not None and job.handle is not None:
            session.close_handle(job.handle)

    def _refused(self, job: _Job, code: int, text: str) -> None:
        """Judge a file that the server does not open: it is gone, it may not be read, or too many are open."""
        if code == packets.NO_SUCH_FILE:
            self._end(job, Facts("vanished", "it was listed, but no longer exists"))
            return
        if job.alone or code not in (packets.PERMISSION_DENIED, packets.FAILURE):
            self._end(job, Facts("unreadable", f"the server does not open it: {shown(text)}"))
            self._own_faults += job.alone
            self._window = min(self._widest, self._window * 2) if job.alone else self._window
            return
        del self._flight[job]
        if job.window > self._window:  # one that was asked for before has shown the same
            self._queue.appendleft(job.photo)
        elif self._opened < self._proven or (self._own_faults and not self._proven):
            self._later.append(job.photo)
        else:
            self._window = max(1, min(self._window, len(self._flight) + 1) // 2)
            self._queue.appendleft(job.photo)
