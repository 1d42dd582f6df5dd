"""The list of all logs of a run, cut into pieces, in the order of the join; parts name ranges of it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from anabranch.core.parts import WorkFile
from anabranch.core.storage import fingerprint, published
from anabranch.logs.archive import require_unchanged
from anabranch.logs.reading import blocks
from anabranch.sources.decoding import DamageError
from anabranch.sources.spans import Span, within


class Piece(NamedTuple):
    """A log, or lines of one, as a range of its archive's tar stream."""

    archive: int  # index in the catalogue
    member: str
    start: int
    size: int
    readable: bool  # False for links, folders and devices, which are never followed


class Catalogue(NamedTuple):
    """The archives' labels, where the bytes of their tar streams are, and all pieces.

    `plain` has the file of each archive that is read itself, and None for one that is read from unpacked slices.
    """

    labels: list[str]
    plain: list[WorkFile | None]
    streams: list[list[Span]]
    pieces: list[Piece]

    def text(self, piece: Piece) -> Iterator[bytes]:
        """Give the piece's text in blocks of whole lines; raises DamageError where it cannot be read."""
        if not piece.readable:
            raise DamageError("it is not a regular file")
        return blocks(within(self.streams[piece.archive], piece.start, piece.size))

    def require_unchanged(self, pieces: Sequence[Piece]) -> None:
        """Raise SourceError where an archive from which these were read is another than when they were planned."""
        for index in {piece.archive for piece in pieces}:
            if file := self.plain[index]:
                require_unchanged(file)

    def save(self, folder: Path) -> Path:
        """Write the catalogue under a name that tells its content."""
        text = json.dumps([self.labels, [file and astuple(file) for file in self.plain], *self[2:]])
        path = folder / f"{fingerprint(text)}.catalogue.json"
        folder.mkdir(parents=True, exist_ok=True)
        with published(path, durable=False) as file:
            file.write(text.encode())
        return path


@lru_cache(maxsize=4)
def load(path: str) -> Catalogue:
    """Read a catalogue, once for all parts that a process works on."""
    labels, plain, streams, pieces = json.loads(Path(path).read_bytes())
    files = [WorkFile(*file) if file else None for file in plain]
    return Catalogue(labels, files, [_spans(stream) for stream in streams], [Piece(*piece) for piece in pieces])


def _spans(stream: Sequence[Sequence[int | str]]) -> list[Span]:
    return [Span(str(path), int(start), int(size)) for path, start, size in stream]
