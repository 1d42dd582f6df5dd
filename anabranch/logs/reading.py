"""Read a log's bytes as `gzip -cdf` gives them, in blocks that end at a line break, within bounded memory."""

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from anabranch.sources.decoding import GZIP, INPUT, NAMES, damage_noticed, frames, inflate, sniff
from anabranch.sources.spans import Span, SpanFile

LONGEST_LINE = 8 << 20  # bytes; a longer one is passed over, since a line must fit into memory
TOO_LONG = b"\xff"  # takes the place of such a line: it counts as one that is not UTF-8
_BREAK = re.compile(rb"[\r\n]")
_NULS, _NULS_WITHIN = re.compile(rb"(^|[\r\n])\0+"), re.compile(rb"([\r\n])\0+")  # at the start of a line
_OUTPUT = 1 << 20  # bytes read at a time
_ZIP = b"PK\x03\x04"
OF_GZIP = ("gz", "zip")  # which `gzip -cdf` undoes
_HEAD = 16  # bytes by which a codec is detected


def blocks(spans: Sequence[Span], codec: str = "") -> Iterator[bytes]:
    """Yield the text of a log in blocks of whole lines; the last line may lack its break.

    Text is passed on as it is, gzip is inflated (one stream or several), and so is the first file of a zip, as `gzip`
    does it; what follows the last stream is text again. `.Z` files, which gzip would unpack too, pass as text, and so
    do bz2, xz, zst and lz4, which gzip does not know, unless they are named as the `codec`.
    NULs at the start of a line, which logrotate's copytruncate leaves, are passed over, and a line that is too long is
    replaced by one that no rule fits. Raises DamageError where the data end too early or fail their check.
    """
    with damage_noticed(), SpanFile(spans) as raw, io.BufferedReader(raw, INPUT) as file:
        is_zip = file.read(len(_ZIP)) == _ZIP
        file.seek(0)
        yield from _whole_lines(_unzipped(file) if is_zip else _decoded(file, codec))


def _decoded(file: IO[bytes], codec: str) -> Iterator[bytes]:
    return frames(file, codec) if codec in NAMES else inflate(file, codec or "gz")


def codec_of(spans: Sequence[Span]) -> str:
    """Name how a log is compressed: gz, zip, bz2, xz, zst or lz4; such a log is read from its start to its end."""
    with SpanFile(spans) as raw, io.BufferedReader(raw, _HEAD) as file:
        head = file.read(_HEAD)
    return "zip" if head.startswith(_ZIP) else "gz" if head.startswith(GZIP) else sniff(head)


def _whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    held, size = list[bytes](), 0  # the start of a line
    passing = False  # over the rest of a line that is too long
    for data in chunks:
        chunk = data
        if passing:
            found = _BREAK.search(data)
            if not found:
                continue
            chunk, passing = TOO_LONG + data[found.start() :], False
        if b"\0" in chunk:  # which is quickly found
            chunk = (_NULS_WITHIN if size else _NULS).sub(rb"\1", chunk)
        found = _BREAK.search(chunk) if size else None
        if found and size + found.start() > LONGEST_LINE:
            held, size, chunk = [], 0, TOO_LONG + chunk[found.start() :]
        cut = _after_last_break(chunk)
        if cut:
            yield b"".join((*held, chunk[:cut]))
            held, size = [], 0
        held.append(chunk[cut:])
        size += len(chunk) - cut
        if size > LONGEST_LINE:
            held, size, passing = [], 0, True
    if passing:
        yield TOO_LONG
    if size:
        yield b"".join(held)


def _after_last_break(chunk: bytes) -> int:
    r"""Return where the last whole line ends; a \r at the very end may be half of a \r\n."""
    return chunk.rfind(b"\n") + 1 or chunk.rfind(b"\r", 0, len(chunk) - 1) + 1


def _unzipped(file: IO[bytes]) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(file) as archive, archive.open(archive.infolist()[0]) as first:
            while data := first.read(_OUTPUT):
                yield data
    except (zipfile.BadZipFile, IndexError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"the zip cannot be read ({error})") from error
