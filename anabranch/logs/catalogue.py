"""The list of all logs of a run, cut into pieces, in the order of the join; parts name ranges of it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from anabranch.core.kept import keep, kept
from anabranch.core.storage import fingerprint
from anabranch.logs.reading import blocks
from anabranch.sources.decoding import DamageError
from anabranch.sources.finding import require_unchanged
from anabranch.sources.source import Source
from anabranch.sources.spans import Span, within


class Piece(NamedTuple):
    """A log, or lines of one, as a range of a stream: its archive's, or one of its own where it is sparse."""

    archive: int  # index in the catalogue
    member: str
    stream: int  # the same
    start: int
    size: int
    readable: bool  # False for links, folders and devices, which are never followed
    codec: str = ""  # that has to be undone, beside those that gzip knows


class Catalogue(NamedTuple):
    """The archives' labels, where the bytes of their tar streams are, and after them those of sparse logs; all pieces.

    `plain` has the files of each archive that is read itself, and none for one that is read from unpacked slices.
    """

    labels: Sequence[str]
    plain: Sequence[Sequence[Source]]
    streams: Sequence[Sequence[Span]]
    pieces: Sequence[Piece]

    def text(self, piece: Piece) -> Iterator[bytes]:
        """Return the piece's text in blocks of whole lines; raises DamageError where it cannot be read."""
        if not piece.readable:
            raise DamageError("it is not a regular file")
        return blocks(within(self.streams[piece.stream], piece.start, piece.size), piece.codec)

    def require_unchanged(self, pieces: Sequence[Piece]) -> None:
        """Raise SourceError if an archive from which these were read has changed since they were planned."""
        for index in {piece.archive for piece in pieces}:
            for source in self.plain[index]:
                require_unchanged(source)

    def path(self, folder: str) -> Path:
        """Name the file for it in a folder, after all of its content."""
        return Path(folder) / f"{fingerprint(*self)}.catalogue"

    def save(self, folder: str) -> None:
        """Write it there."""
        keep(self, self.path(folder))


def load(path: str) -> Catalogue:
    """Read a catalogue, once for all parts that a process works on."""
    return kept(path)  # type: ignore[no-any-return]
