"""List the rotated logs in a tar archive, in the order of time, from names that are never used as paths."""

import io
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from anabranch.core.storage import shown
from anabranch.sources.spans import Span, SpanFile, within

_NAME = "messages.log"
_NEAR = re.compile(r"messages(\.log)?([-.]\d+)*(\.(gz|bz2|xz|zst|lz4|zip|z))?", re.IGNORECASE)
_ZEROS = "/dev/zero"
_LARGEST_SPARSE = 64 << 30  # bytes; a header may declare any size, and holes take time, too
_MOST_LINKS = 40  # one after the other, as the system follows them
_FEW = 5  # names in a remark
TAR_BLOCK = 512  # bytes
_LARGEST_HEADER = 1 << 20  # bytes; tarfile reads extended headers at once, whatever size they declare


class Member(NamedTuple):
    """One log: where its bytes begin in the tar stream, and how many there are; none for anything but a regular file.

    Of a sparse one, of which `size` bytes are stored, `sparse` has where each run of them belongs, and how many they
    are; in order, and at last the size of the whole.
    """

    name: str
    start: int
    size: int
    regular: bool = True
    sparse: tuple[tuple[int, int], ...] = ()
    link: str = ""  # the member that a symbolic link leads to

    def spans(self, stream: Sequence[Span]) -> list[Span]:
        """Return where its bytes lie, given those of the tar stream; holes are read as zeros."""
        if not self.sparse:
            return within(stream, self.start, self.size)
        found, stored = list[Span](), self.start
        for (place, size), (following, _) in pairwise([(0, 0), *self.sparse, (self.sparse[-1][0], 0)]):
            run = within(stream, stored, size)
            hole = following - place - size
            found += [*run, *([Span(_ZEROS, 0, hole)] if hole > 0 else [])]
            stored += size
        return found


class Listing(NamedTuple):
    """The logs of an archive; `fault` says why there may be more of them than could be found."""

    members: list[Member]
    fault: str = ""
    remarks: tuple[str, ...] = ()  # on what was read in a doubtful order, or not at all


def listing(spans: Sequence[Span]) -> Listing:
    """List the logs in the tar stream that the spans hold, oldest first; files in folders do not count."""
    found: dict[str, Member] = {}
    fault, outside, ends = "it is not a tar archive", list[str](), list[str]()
    with SpanFile(spans) as raw, _Headers(raw, TAR_BLOCK) as file:
        try:
            for member in _members(file, raw.size, found, outside):
                found[member.name] = member  # the last of two equal names is the one that tar leaves on the disk
            fault, ends = "", list(_end(file))
        except (tarfile.TarError, ValueError, OverflowError) as error:
            fault = str(error)
    members, remarks = _oldest_first([_followed(member, found) for name, member in found.items() if is_log(name)])
    remarks += remarks_on(found, "no member", any_log=bool(members or fault))
    if outside:
        remarks.append(f"names that lead out of the archive are left out: {_some(outside)}")
    return Listing(members, fault, (*remarks, *ends))


class _Headers(io.BufferedReader):
    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _LARGEST_HEADER:
            raise tarfile.ReadError(f"a header says that it is {size} bytes long")
        return super().read(size)


def _members(file: io.BufferedReader, size: int, before: Mapping[str, Member], outside: list[str]) -> Iterator[Member]:
    """Yield all members, then raise ReadError unless the archive ends as it should; leave the file at its end.

    A hard link is what the member of that name was, which came `before` it. Names that lead out of the archive are
    added to `outside`.
    """
    with tarfile.open(fileobj=file, mode="r:") as tar:
        stop = 0
        while (info := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # else a million members stay in memory
            if info.offset < stop or info.size < 0:
                raise tarfile.ReadError("a header points backwards")
            stop = info.offset_data
            name, runs = _extracted(info.name), _runs(info)
            if not name and ".." in info.name:
                outside.append(info.name)
            stored = sum(length for _, length in runs) if info.issparse() else info.size
            available = max(min(stored, size - info.offset_data), 0)
            if info.islnk():
                yield before.get(_extracted(info.linkname), Member(name, 0, 0, regular=False))._replace(name=name)
            elif info.isreg():
                whole = (*runs, (info.size, 0)) if info.issparse() else ()
                read = not whole or info.size <= _LARGEST_SPARSE
                yield Member(name, info.offset_data, available if read else 0, read, whole if read else ())
                if available < stored:
                    raise tarfile.ReadError(f"it ends within {info.name}")
            else:
                link = _target(name, info.linkname) if info.issym() else ""
                yield Member(name, info.offset_data, 0, regular=False, link=link)
        file.seek(tar.offset)
        block = file.read(TAR_BLOCK)
        if block.strip(b"\0"):
            raise tarfile.ReadError("a header is damaged" if len(block) == TAR_BLOCK else "it ends within a header")
        file.seek(tar.offset)


def _end(file: io.BufferedReader) -> Iterator[str]:
    """Yield what is odd about the end of the archive, which the file has reached; zeros up to its end are not."""
    if not file.read(1):
        yield "it has no end mark, so it may have been cut between two members"
    while data := file.read(_LARGEST_HEADER):
        if left := data.lstrip(b"\0"):
            yield f"what follows its end, from byte {file.tell() - len(left):,} on, is not read"
            return


def _runs(info: tarfile.TarInfo) -> tuple[tuple[int, int], ...]:
    """Return where the stored bytes of a sparse member belong, and how many they are; none of any other member."""
    runs: Any = info.sparse  # which its stub calls bytes
    return tuple((place, size) for place, size in runs or () if size)


def _extracted(name: str) -> str:
    """Return the path below the current folder to which GNU tar extracts a member; none where it refuses to."""
    words = PurePosixPath(name).parts
    return "" if ".." in words else "/".join(word for word in words if word.strip("/"))


def _target(name: str, link: str) -> str:
    """Return the member that a symbolic link leads to; none where it leads out of the archive."""
    path = PurePosixPath(name).parent / link
    return "" if path.is_absolute() else _extracted(str(path))


def _followed(member: Member, found: Mapping[str, Member]) -> Member:
    """Return what a symbolic link leads to, under the name of the link; the link itself where that is nothing."""
    last = member
    for _ in range(_MOST_LINKS):
        if not last.link or last.link not in found:
            break
        last = found[last.link]
    return last._replace(name=member.name) if last.regular else member


def remarks_on(names: Iterable[str], none: str, *, any_log: bool) -> list[str]:
    """Tell which names are like those of logs but are others; where there is no log, what there is instead."""
    near = [name for name in names if PurePosixPath(name).name.lower().startswith("messages") and not is_log(name)]
    if near:
        return [f"not read, since their names are not {_NAME} or {_NAME}.N: {_some(near)}"]
    has = _some(filter(None, names)) or "no files"
    return [] if any_log else [f"{none} is named {_NAME} or {_NAME}.N; it has {has}"]


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _FEW:,} more" if len(listed) > _FEW else ""
    return ", ".join(map(shown, listed[:_FEW])) + more


def beside(logs: Sequence[tuple[str, int]]) -> Listing:
    """List logs that lie in a folder, as if they followed one another in a stream; each by its name and size."""
    starts = [0, *accumulate(size for _, size in logs)]
    members, remarks = _oldest_first(
        [Member(name, start, size) for (name, size), start in zip(logs, starts, strict=False)]
    )
    return Listing(members, remarks=tuple(remarks))


def is_log(name: str) -> bool:
    """Whether a file of this name, in no folder, is a log or a rotated one."""
    return "/" not in name and (name == _NAME or name.startswith(_NAME + "."))


def is_near_miss(name: str) -> bool:
    """Whether a file of this name is likely to be a log, but is not named as one: messages-20250926.gz."""
    return bool(_NEAR.fullmatch(name)) and not is_log(name)


def _oldest_first(logs: Sequence[Member]) -> tuple[list[Member], list[str]]:
    """Order by rotation number, highest first, equal ones by name; the log without a number is the newest.

    Remarks tell which have a name without a number, and are read before the others.
    """
    rotated = sorted(member for member in logs if member.name != _NAME)
    numbered = [member for member in rotated if _rotation(member) is not None]
    odd = [member for member in rotated if _rotation(member) is None]
    numbered.sort(key=lambda member: -(_rotation(member) or 0))
    newest = [member for member in logs if member.name == _NAME]
    told = odd if len(rotated) > 1 else []
    remarks = [f"{shown(member.name)} has no rotation number, and is read first" for member in told]
    return [*odd, *numbered, *newest], remarks


def _rotation(member: Member) -> int | None:
    try:
        return int(member.name.split(".")[2])
    except ValueError:
        return None
