"""What a store must do. There are two interfaces, since some protocols cannot send the parts of one file in parallel.

ParallelStore   parts of one upload in any order, from any worker, each as often as needed; complete or abort
SequentialStore one growing offset for each upload; files are sent in parallel, their bytes in order
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal, Protocol

from anabranch.core.errors import AnabranchError, TemporaryError

Stop = Callable[[], bool]

OVERLOADED = (429, 503)  # by which a store asks for fewer requests


class Body(Protocol):
    """Bytes to be sent, from their start as often as needed."""

    def read(self, size: int = -1, /) -> bytes:
        """Read some bytes, not always as many as asked for; none at the end."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""

    def tell(self) -> int:
        """Return the place."""

    def __len__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Destination:
    """Where files go, as a user named it, and how it is reached. Holds no secret, so it may travel to workers."""

    kind: str  # the scheme of its URL
    place: str  # the folder, the bucket, or the server
    endpoint: str | None = None
    credentials: str | None = None
    requests_per_minute: int | None = None  # of one process
    host_key: str | None = None  # these three of SFTP
    key_file: str | None = None
    verify: bool = False
    discard_uncommitted: bool = False  # of Azure
    in_order: bool = False  # of Google Cloud Storage, which takes bytes in both ways

    def __str__(self) -> str:
        return self.place if self.kind == "file" else f"{self.kind}://{self.place}"


@dataclass(frozen=True, slots=True)
class Limits:
    """The sizes that a store allows, in bytes."""

    smallest_part: int = 1
    largest_part: int = 1 << 62
    most_parts: int = 1 << 62
    largest_object: int = 1 << 62
    quantum: int = 1  # of which each part but the last is a multiple


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part that a store holds: `md5` and `crc64` are empty where it does not tell them."""

    number: int  # from 1
    size: int
    md5: str = ""  # hexadecimal
    crc64: str = ""  # base64, as S3 writes CRC64NVME
    tag: str = ""  # by which the store wants it named when the upload is completed


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that was begun: `id` names it at the store, and `checksum` what each part is verified by."""

    key: str
    id: str
    checksum: str = "md5"  # or crc64, beside the MD5 that the store answers with
    md5_etags: bool = True  # whether the store's tags are MD5 sums, which they are not where it encrypts with a key


@dataclass(frozen=True, slots=True)
class Head:
    """An object that exists."""

    size: int
    etag: str = ""  # without quotes
    crc64: str = ""


@dataclass(frozen=True, slots=True)
class Sum:
    """The checksums of a range of a file."""

    size: int
    md5: str
    crc64: str

    def matches(self, part: StoredPart) -> bool:
        """Whether a store holds exactly this range: equal in size, and in every checksum that the store tells."""
        told = [(part.md5, self.md5), (part.crc64, self.crc64)]
        known = [(theirs, ours) for theirs, ours in told if theirs]
        return self.size == part.size and bool(known) and all(theirs == ours for theirs, ours in known)


class UploadGoneError(AnabranchError):
    """The store does not know the upload, or no longer: it was completed, aborted or swept away."""


class ChecksumRefusedError(TemporaryError):
    """The store received other bytes than were sent."""


class ExistsError(AnabranchError):
    """The object exists, and the store was asked not to replace it."""


class BusyError(TemporaryError):
    """The store does not answer, or asks to come back later.

    `after` is in seconds; `clocks` tells both clocks where they differ too much; `overloaded` says whether the store
    asked for fewer requests.
    """

    def __init__(self, reason: str, after: float = 0.0, clocks: str = "", *, overloaded: bool = False) -> None:
        super().__init__("destination-busy", reason, "Run the same command again to resume.")
        self.after, self.clocks, self.overloaded = after, clocks, overloaded
        self.args = (reason, after, clocks)


class ParallelStore(Protocol):
    """A store that takes the parts of one object in any order. Methods raise the errors of this module.

    No method retries; `anabranch.uploads.retrying` does.
    """

    in_order: Literal[False]
    limits: Limits

    def head(self, key: str) -> Head | None:
        """Return the object's size and tags; nothing where there is none."""

    def same(self, key: str, head: Head, path: str, part_size: int, stop: Stop) -> bool:
        """Whether the object has exactly the bytes of a file, which was sent in parts of that size, or of others."""

    def absent(self, keys: Sequence[str]) -> set[str]:
        """Return those of some keys of which a cheap listing shows no object; a late listing may name too many."""

    def put(self, key: str, body: Body, total: Sum, *, new: bool) -> Head:
        """Store a small object at once; with `new`, ExistsError where there is one."""

    def create(self, key: str) -> Upload:
        """Begin an upload; the object appears when it is completed."""

    def put_part(self, upload: Upload, number: int, offset: int, body: Body, total: Sum) -> StoredPart:
        """Store a part, or replace it; `body` is read from its start."""

    def list_parts(self, upload: Upload, numbers: range | None = None) -> list[StoredPart]:
        """List the parts that the store holds, by number; UploadGoneError where it does not know the upload.

        With `numbers` it may list those of these numbers only.
        """

    def list_uploads(self, prefix: str) -> Iterator[tuple[Upload, float]]:
        """List the unfinished uploads of keys that begin so, newest first, and when each was begun (Unix time)."""

    def complete(self, upload: Upload, parts: Sequence[StoredPart], *, new: bool) -> Head:
        """Make the object of its parts; with `new`, ExistsError where there is one."""

    def abort(self, upload: Upload) -> None:
        """Drop an upload and its parts; without error where there is none."""


class SequentialStore(Protocol):
    """A store that takes the bytes of one object in order. Methods raise the errors of this module.

    A session is a secret: it alone gives the right to write.
    """

    in_order: Literal[True]
    limits: Limits

    def head(self, key: str) -> Head | None:
        """Return the object's size and tag; nothing where there is none."""

    def same(self, key: str, head: Head, path: str, part_size: int, stop: Stop) -> bool:
        """Whether the object has exactly the bytes of a file."""

    def start(self, key: str, size: int) -> str:
        """Begin a session; the object appears, or is replaced, when all its bytes are there."""

    def query_offset(self, session: str, size: int) -> int | Head:
        """Return how many bytes the session has, or the object that it became; UploadGoneError where there is none."""

    def append(self, session: str, offset: int, body: Body, size: int) -> int | Head:
        """Send bytes from an offset on; return how many the session has now, or the object that it became."""

    def cancel(self, session: str) -> None:
        """Drop a session and its bytes; without error where there is none."""


def after_seconds(text: str) -> float:
    """Read Retry-After, in seconds or as a date."""
    try:
        return max(float(text), 0.0)
    except ValueError:
        try:
            return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
        except (TypeError, ValueError):
            return 0.0
