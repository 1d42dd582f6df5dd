"""A stream of text in, blocks of whole records out: the same ones that `quotes.boundaries` finds in a plain file."""

import math
from collections.abc import Iterator
from typing import IO

from anabranch.formats.delimited.masking import behind
from anabranch.formats.delimited.quotes import Cutter, scan, without_head
from anabranch.formats.delimited.rows import Rows
from anabranch.formats.model import BLOCK, Dialect, Look

_COUNTED = 256 << 20  # bytes that are read again to number a row: some seconds
LINES = Dialect(delimiter="\n", quote="")  # JSON lines: no raw end of line is part of a record


def blocks(stream: IO[bytes], look: Look, block: int = BLOCK, stop: float = math.inf) -> Iterator[bytes]:
    """Cut the text into blocks: those records that begin within each `block` bytes of it, perhaps none; no header.

    The text is read from its start to byte `stop`. SourceError where a record is too long, or where the text ends
    within a quoted cell. Holds about three blocks at a time.
    """
    dialect = look.dialect or LINES
    cutter = Cutter(look)
    before = b""
    gathered: list[bytes] = []  # text of the block that is not yet complete
    waiting = 0  # blocks that began, but did not end; all but the first are empty
    begun = False
    place = 0
    for data in _ranges(stream, block, stop):
        first = cutter.add(scan(without_head(data, place, look), before, dialect))
        if first is None:
            gathered.append(data if begun else b"")
        else:
            if begun:
                yield b"".join([*gathered, data[:first]])
            yield from [b""] * (waiting - begun)
            gathered, waiting, begun = [data[first:]], 0, True
        waiting += 1
        before = behind(before + data if dialect.masks else data, dialect)
        place += len(data)
    cutter.finish(lambda begin: rows_before(stream, look, begin))
    yield from [b"".join(gathered)] * begun
    yield from [b""] * (waiting - begun)


def rows_before(stream: IO[bytes], look: Look, stop: int) -> int | None:
    """Count the rows of a delimited text before the byte at which a record begins.

    None where that would take long, or the stream does not go back.
    """
    if stop > _COUNTED or not stream.seekable():
        return None
    stream.seek(0)
    return sum(len(Rows(block, look.dialect or LINES).start) for block in blocks(stream, look, stop=stop) if block)


def _ranges(stream: IO[bytes], block: int, stop: float) -> Iterator[bytes]:
    while data := _read(stream, int(min(block, stop))):
        yield data
        stop -= len(data)


def _read(stream: IO[bytes], size: int) -> bytes:
    """Read all of `size` bytes, fewer only at the end."""
    pieces = []
    while size and (piece := stream.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
