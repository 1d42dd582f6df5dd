"""Send a file to a store that takes its bytes in order, from the place that the store names."""

from dataclasses import replace
from pathlib import Path

from anabranch.core.errors import AnabranchError
from anabranch.core.moving import say_moved
from anabranch.uploads.concurrency import concurrency_of
from anabranch.uploads.ledger import Entry, Ledger
from anabranch.uploads.pieces import Piece, SendPart, Sent
from anabranch.uploads.ranges import RangeFile, require_unchanged, summed
from anabranch.uploads.retrying import Health, retried
from anabranch.uploads.stores.base import BusyError, Head, SequentialStore, Stop, UploadGoneError

RESTARTS = 1  # sessions that are begun once more


def send_in_order(store: SequentialStore, part: SendPart, piece: Piece, health: Health, stop: Stop) -> Sent:
    """Send a file, resuming the session of its ledger; raise UploadGoneError where two sessions died."""
    ledger = Ledger(Path(part.work_dir), part.destination, piece.key)
    for restart in range(RESTARTS + 1):
        sending = _Sending(store, part, piece, ledger)
        try:
            made, sent = sending.carry_out(health, stop)
        except UploadGoneError:
            ledger.remove()
            if restart == RESTARTS:
                raise
        else:
            _require_equal(made, piece, stop)
            ledger.write(Entry(piece.path, piece.stamp, part.chunk, etag=made.etag))
            return Sent(piece.key, 1, sent, "sent", made.etag, attempts=sending.requests, etag=made.etag)
    raise UploadGoneError("upload-gone", "the store lost the session", "Run the same command again.", piece.label)


class _Sending:
    """One session, and the offset that the store named last."""

    def __init__(self, store: SequentialStore, part: SendPart, piece: Piece, ledger: Ledger) -> None:
        self._store, self._part, self._piece, self._ledger = store, part, piece, ledger
        self._size, self._session, self._offset = piece.length, "", 0
        self._unsure = False  # whether the store's offset must be asked for
        self.requests = 0

    def carry_out(self, health: Health, stop: Stop) -> tuple[Head, int]:
        """Send all chunks; return the object, and how many bytes were sent."""
        entry = self._ledger.read()
        if entry and entry.session and entry.stamp == self._piece.stamp:
            self._session, self._unsure = entry.session, True
        else:
            self._session = retried(lambda: self._store.start(self._piece.key, self._size), health, stop)
            entry = Entry(self._piece.path, self._piece.stamp, self._part.chunk, session=self._session)
            self._ledger.write(entry)
        sent = 0
        while True:
            before = self._offset
            found = retried(lambda: self._step(stop), health, stop)
            if isinstance(found, Head):
                return found, sent + self._size - before
            sent, self._offset = sent + max(found - before, 0), found

    def _step(self, stop: Stop) -> int | Head:
        """Send the next chunk, after asking the store for its place if the last answer was lost."""
        self.requests += 1
        require_unchanged(self._piece.path, self._piece.stamp, self._piece.label)
        try:
            if self._unsure:
                found = self._store.query_offset(self._session, self._size)
                self._unsure = False
                if isinstance(found, Head):
                    return found
                self._offset = found
            length = min(self._part.chunk, self._size - self._offset)
            with RangeFile(self._piece.path, self._offset, length, stop) as body:
                if say := say_moved():
                    body.moved = lambda place, start=self._offset: say(start + place)
                with concurrency_of(self._part).sending(length):
                    found = self._store.append(self._session, self._offset, body, self._size)
        except BusyError:
            self._unsure = True
            raise
        if not isinstance(found, Head) and found <= self._offset:
            self._offset = found
            raise BusyError("the store kept nothing of what was sent")
        return found


def _require_equal(made: Head, piece: Piece, stop: Stop) -> None:
    """Hold the object's size and MD5 against the file, as far as the store tells them."""
    require_unchanged(piece.path, piece.stamp, piece.label)
    with RangeFile(piece.path, 0, piece.length, stop) as body:
        md5 = summed(body).md5 if made.etag else ""
    told = replace(made, size=piece.length if made.size < 0 else made.size)
    if (told.size, told.etag) != (piece.length, md5):
        raise AnabranchError(
            "object-differs", "the object at the destination is not what was sent", "Run the same command again."
        )
