"""A stream of text in, blocks of whole records out: the same ones that `quotes.boundaries` finds in a plain file."""

from collections.abc import Iterator
from typing import IO

from anabranch.files.delimited.quotes import Cutter, scan
from anabranch.files.delimited.rows import Rows
from anabranch.files.model import BLOCK, Dialect, Look

LINES = Dialect(delimiter="\n", quote="")  # JSON lines: no raw end of line is part of a record


def blocks(stream: IO[bytes], look: Look, start: int = 0, block: int = BLOCK) -> Iterator[bytes]:
    """Cut the text into blocks: those records that begin within each `block` bytes of it, perhaps none; no header.

    The stream begins at byte `start` of the text, with a record. SourceError where a record is too long, or where the
    text ends within a quoted cell. Holds about three blocks at a time.
    """
    dialect = look.dialect or LINES
    cutter = Cutter(look, start)
    before = dialect.newline.encode() if start else b""
    gathered: list[bytes] = []  # text of the block that is not yet complete
    waiting = 0  # blocks that began, but did not end; all but the first are empty
    begun, alone = False, start <= look.data_start
    for data in _ranges(stream, block - start % block, block):
        first = cutter.add(scan(data, before, dialect))
        if first is None:
            gathered.append(data if begun else b"")
        else:
            if begun:
                yield b"".join([*gathered, data[:first]])
                alone = False
            yield from [b""] * (waiting - begun)
            gathered, waiting, begun = [data[first:]], 0, True
        waiting += 1
        before = data[-1:]
    rest = b"".join(gathered)
    cutter.finish(len(Rows(rest, dialect).start) if cutter.unclosed and alone else 0)
    yield from [rest] * begun
    yield from [b""] * (waiting - begun)


def _ranges(stream: IO[bytes], size: int, block: int) -> Iterator[bytes]:
    while data := _read(stream, size):
        yield data
        size = block


def _read(stream: IO[bytes], size: int) -> bytes:
    """Read all of `size` bytes, fewer only at the end."""
    pieces = []
    while size and (piece := stream.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
