"""Read photos at URLs: ranges of many at the same time, through whatever fsspec speaks."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence

from anabranch.core.errors import AnabranchError, Stopped, TemporaryError
from anabranch.photos.fetching import WINDOW, Manner, Photo
from anabranch.photos.positions import Facts
from anabranch.photos.reading import Reader
from anabranch.sftp.session import Stop
from anabranch.sources.remote import Range, read_ranges

_WHOLE = 4  # photos in flight where the server gives whole files only: all of them are in memory
_TRIES = 2  # of a range that the server does not give, though it gives others


def read_urls(photos: Sequence[Photo], manner: Manner, stop: Stop) -> tuple[Mapping[Photo, Facts], Counter[str]]:
    """Return what each photo says, and counts of reads and bytes.

    Raises Stopped when `stop` says so, and TemporaryError where the server gives no photo at all, or no longer any.
    """
    reading = _Reading(photos, manner)
    while reading.waiting:
        if stop():
            raise Stopped
        reading.read_some()
    return reading.found, reading.counts


class _Reading:
    """The photos that wait for their next range, and what is found."""

    def __init__(self, photos: Sequence[Photo], manner: Manner) -> None:
        readers = (Reader(photo.size, thin=manner.thin, assume=manner.assume) for photo in photos)
        self.waiting = deque(zip(photos, readers, strict=True))
        self.found: dict[Photo, Facts] = {}
        self.counts = Counter[str]()
        self._faults = Counter[Photo]()
        self._given: Range | None = None  # a range that the server gave
        self._window = _WHOLE  # until the server has shown that it gives ranges

    def read_some(self) -> None:
        """Read the next range of as many photos as may be in flight."""
        batch = [self.waiting.popleft() for _ in range(min(self._window, len(self.waiting)))]
        ranges = [Range(photo.url, *reader.wanted) for photo, reader in batch if reader.wanted]
        answers = read_ranges(ranges)
        self._require_some(ranges, answers)
        self._window = WINDOW
        for (photo, reader), wanted, answer in zip(batch, ranges, answers, strict=True):
            if isinstance(answer, bytes):
                self._feed(reader, wanted, answer)
                facts = reader.facts
            else:
                facts = self._judged(photo, answer)
            if facts is None:
                self.waiting.append((photo, reader))
            else:
                self.found[photo] = facts
                self.counts.update(reads=reader.reads, bytes=reader.bytes)

    def _require_some(self, ranges: Sequence[Range], answers: Sequence[bytes | AnabranchError]) -> None:
        """Raise TemporaryError where the server gives nothing, not even what it gave before."""
        given = [one for one, answer in zip(ranges, answers, strict=True) if not isinstance(answer, TemporaryError)]
        if not given and (self._given is None or isinstance(read_ranges([self._given])[0], TemporaryError)):
            raise next(answer for answer in answers if isinstance(answer, TemporaryError))
        self._given = given[0] if given else self._given

    def _feed(self, reader: Reader, wanted: Range, data: bytes) -> None:
        if len(data) > wanted.length:
            self._window = _WHOLE
            reader.feed(data[wanted.offset :], ended=True)
        else:
            reader.feed(data, ended=len(data) < wanted.length)

    def _judged(self, photo: Photo, error: AnabranchError) -> Facts | None:
        """Return what an error means for a photo; None where it is to be asked for again."""
        self._faults[photo] += 1
        if error.code == "source-changed":
            return Facts("vanished", "it was listed, but no longer exists")
        if isinstance(error, TemporaryError) and self._faults[photo] < _TRIES:
            return None
        return Facts("unreadable", f"the server does not give it: {error.reason}")
