"""List the rotated logs in a tar archive, in the order of time, from names that are never used as paths."""

import io
import tarfile
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from anabranch.sources.spans import Span, SpanFile

_NAME = "messages.log"
TAR_BLOCK = 512  # bytes
_LARGEST_HEADER = 1 << 20  # bytes; tarfile reads extended headers at once, whatever size they declare


class Member(NamedTuple):
    """One log: where its bytes begin in the tar stream, and how many there are; none for what is no regular file."""

    name: str
    start: int
    size: int
    regular: bool = True


class Listing(NamedTuple):
    """The logs of an archive; `fault` says why there may be more of them than could be found."""

    members: list[Member]
    fault: str = ""
    odd: tuple[str, ...] = ()  # names without a rotation number, read before the numbered ones


def listing(spans: Sequence[Span]) -> Listing:
    """List the logs in the tar stream that the spans hold, oldest first; a log in a folder is none."""
    found: dict[str, Member] = {}
    fault = "it is not a tar archive"
    with SpanFile(spans) as raw, _Headers(raw, TAR_BLOCK) as file:
        try:
            for member in _members(file, raw.size):
                found[member.name] = member  # the last of two equal names is the one that tar leaves on the disk
            fault = ""
        except (tarfile.TarError, ValueError, OverflowError) as error:
            fault = str(error)
    members, odd = _oldest_first([member for name, member in found.items() if _is_log(name)])
    return Listing(members, fault, odd)


class _Headers(io.BufferedReader):
    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _LARGEST_HEADER:
            raise tarfile.ReadError(f"a header says that it is {size} bytes long")
        return super().read(size)


def _members(file: io.BufferedReader, size: int) -> Iterator[Member]:
    """Yield all top-level members, then raise ReadError unless the archive ends as it should."""
    with tarfile.open(fileobj=file, mode="r:") as tar:
        stop = 0
        while (info := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # else a million members stay in memory
            if info.offset < stop or info.size < 0:
                raise tarfile.ReadError("a header points backwards")
            stop = info.offset_data
            available = max(min(info.size, size - info.offset_data), 0)
            regular = info.isreg() and not info.issparse()
            yield Member(info.name.removeprefix("./"), info.offset_data, available if regular else 0, regular)
            if info.isreg() and available < info.size:
                raise tarfile.ReadError(f"it ends within {info.name}")
        _check_end(file, tar.offset)


def _check_end(file: io.BufferedReader, offset: int) -> None:
    file.seek(offset)
    block = file.read(TAR_BLOCK)
    if block.strip(b"\0"):
        raise tarfile.ReadError("a header is damaged" if len(block) == TAR_BLOCK else "it ends within a header")


def _is_log(name: str) -> bool:
    return "/" not in name and (name == _NAME or name.startswith(_NAME + "."))


def _oldest_first(logs: Sequence[Member]) -> tuple[list[Member], tuple[str, ...]]:
    """Order by rotation number, highest first, equal ones by name; the log without a number is the newest."""
    rotated = sorted(member for member in logs if member.name != _NAME)
    numbered = [member for member in rotated if _rotation(member) is not None]
    odd = [member for member in rotated if _rotation(member) is None]
    numbered.sort(key=lambda member: -(_rotation(member) or 0))
    newest = [member for member in logs if member.name == _NAME]
    return [*odd, *numbered, *newest], tuple(member.name for member in odd if len(rotated) > 1)


def _rotation(member: Member) -> int | None:
    try:
        return int(member.name.split(".")[2])
    except ValueError:
        return None
