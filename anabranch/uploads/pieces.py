"""What is sent in one request, in one part of a plan, and what became of it."""

from dataclasses import dataclass

from anabranch.core.parts import Part
from anabranch.uploads.options import IfExists
from anabranch.uploads.ranges import Stamp
from anabranch.uploads.stores.base import Destination, StoredPart, Upload


@dataclass(frozen=True, slots=True)
class Piece:
    """What one request sends: a part of a file, or the whole of a small one, when there is no upload."""

    path: str
    label: str
    key: str
    stamp: Stamp
    number: int = 1
    offset: int = 0
    length: int = 0
    upload: Upload | None = None
    held: StoredPart | None = None  # what the store holds already under this number


@dataclass(frozen=True, slots=True)
class SendPart(Part):
    """Pieces to be sent to a destination: some of one big file, one after another, or those of some small files."""

    run: str  # a name of the run's own, so that nothing that another run sent counts as sent
    destination: Destination
    if_exists: IfExists
    in_flight: int  # pieces of the run that one process sends at the same time, at first
    most_in_flight: int  # and later, where more are quicker
    max_memory_percent: float  # in use, above which there are no more
    chunk: int  # bytes that a store which takes them in order gets at a time
    work_dir: str  # where the ledgers are
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one piece: `how` is sent, kept (the store held it already), unchanged or skipped."""

    key: str
    number: int
    size: int
    how: str
    md5: str = ""
    part: StoredPart | None = None
    attempts: int = 1
    etag: str = ""  # of a small file's object
    seconds: float = 0.0  # of the request that sent it
    in_flight: int = 0  # pieces that were in flight at most meanwhile, in its process
