"""Files at URLs, by fsspec: list them, get their state, open them; nothing shown contains a credential."""

import io
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, NamedTuple

from anabranch.core.config import RunOptions, work_dir
from anabranch.core.errors import AnabranchError, SourceError, TemporaryError, UsageError, is_full
from anabranch.core.storage import fingerprint, note_room

_URL = re.compile(r"[a-z][a-z0-9+.-]*(://|::)", re.IGNORECASE)
_LOCAL = re.compile(r"(file|local)://", re.IGNORECASE)
_MAGIC = re.compile(r"[*\[]")  # not the ? that begins a query
_SECRETS = re.compile(r"(?<=//)[^/\s'\"]*@|(?<=\?)[^\s'\"]*")  # user and password, and what signs a request
# What distinguishes one state of a file from another, under the names of the file systems.
_STATE = (
    "size", "ETag", "etag", "e_tag", "mtime", "LastModified", "last_modified", "Last-Modified", "updated", "modified",
    "created", "CRC", "date_time", "generation", "version_id", "versionId", "md5", "Content-MD5", "Digest",
    "content_hash",
)  # fmt: skip

_MODIFIED = ("mtime", "LastModified", "last_modified", "Last-Modified", "updated", "modified")
_AT_ONCE = 32  # files that are asked for at the same time in a listing


class File(NamedTuple):
    """A file at a URL."""

    url: str
    size: int
    stamp: str
    below: str = ""  # its path below the folder that was named
    modified: int | None = None  # when it was last changed, in seconds since 1970


class Range(NamedTuple):
    """Bytes of a file at a URL."""

    url: str
    offset: int
    length: int


def is_url(source: str) -> bool:
    """Whether fsspec is to read this; not so for local files, however they are named."""
    return bool(_URL.match(source)) and not _LOCAL.match(source)


def is_pattern(url: str) -> bool:
    """Whether a URL names files by a pattern."""
    return bool(_MAGIC.search(_links(url)[1]))


def without_scheme(source: str) -> str:
    """Return the local path that a file:// URL means."""
    return _LOCAL.sub("", source, count=1)


def shown_url(text: str) -> str:
    """Write a URL, or a text with URLs in it, without credentials."""
    return _SECRETS.sub("", text).replace("?", "") if "//" in text else text


def named(source: str) -> str:
    """Write the path or URL that names a file, without credentials: of zip://a.csv::http://h/b.zip the first."""
    return shown_url(_links(source)[1] if is_url(source) else source)


def state(url: str) -> File:
    """Return a file's current size and state."""
    with _reported(shown_url(url)):
        system, path = _system(url)
        system.invalidate_cache()
        info = _info(system, path)
        return _file(url, info) if info else File(url, 0, "")


def listing(url: str, wanted: Callable[[str], bool] = bool) -> Iterator[File]:
    """List the files that a URL means: one, those below a folder, or those that a pattern fits.

    Of those below a folder or that fit a pattern, only the paths that are `wanted` count. Raises UsageError if there is
    none or the protocol's package is missing, and SourceError if no server answers.
    """
    with _reported(shown_url(url)):
        system, path = _system(url)
        before, link, behind = _links(url)
        found = _info(system, path)
        if found and found["type"] == "file" and not link.endswith("/"):
            yield _file(url, found)
            return
        if not found and not _MAGIC.search(link):
            raise UsageError("source-missing", "there is no such file or folder", "Check the URL.", shown_url(url))
        folder = link if found else re.split(r"[^/]*[*\[]", link, maxsplit=1)[0]
        # as fsspec's own file systems do
        root = "" if folder.endswith("://") else system._strip_protocol(folder).rstrip("/")  # noqa: SLF001
        base = folder if folder.endswith("://") else f"{folder.rstrip('/')}/"
        names = sorted(system.find(path) if found else system.glob(path))
        names = [name for name in names if name.startswith(root) and wanted(name)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:  # HTTP's asks the server for each
            infos = (pool.map if getattr(system, "async_impl", False) else map)(system.info, names)
            for name, info in zip(names, infos, strict=True):
                if info["type"] == "file":
                    below = name.removeprefix(root).lstrip("/")
                    yield _file(f"{before}{base}{below}{behind}", info, below)


def open_file(url: str, label: str, work: str = "") -> IO[bytes]:
    """Open a remote file, seekable; one that its server gives only from start to end is copied into `work` first."""
    with _reported(label):
        system, path = _system(url)
        file = system.open(path, "rb")
        if not file.seekable() or getattr(file, "size", 0) is None:  # HTTP's claims to be, and is not without a length
            with file:
                return copied(file, work)
        return io.BufferedReader(_Remote(file, label, work, lambda: system.open(path, "rb", block_size=0)), 1 << 20)


def read_ranges(ranges: Sequence[Range]) -> list[bytes | AnabranchError]:
    """Read ranges of files, many at the same time where the protocol allows it; an error takes the place of its bytes.

    A range has fewer bytes where the file ends, and more where the server gives whole files only. Errors are
    SourceError for a file that is gone or refused, else TemporaryError. Raises UsageError as `listing`.
    """
    by_system: dict[int, tuple[Any, list[tuple[int, str]]]] = {}
    for index, one in enumerate(ranges):
        system, path = _system(one.url)
        by_system.setdefault(id(system), (system, []))[1].append((index, path))
    found: dict[int, bytes | AnabranchError] = {}
    for system, those in by_system.values():
        spans = [ranges[index] for index, _ in those]
        starts, ends = [one.offset for one in spans], [one.offset + one.length for one in spans]
        answers = system.cat_ranges([path for _, path in those], starts, ends, on_error="return")
        found |= {index: _answer(ranges[index], answer) for (index, _), answer in zip(those, answers, strict=True)}
    return [found[index] for index in range(len(ranges))]


def _answer(wanted: Range, answer: Any) -> bytes | AnabranchError:
    if not isinstance(answer, BaseException):
        return bytes(answer)
    if getattr(answer, "status", 0) == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return b""
    if getattr(answer, "status", 0) in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        answer = PermissionError(f"the server refuses access: {answer}")
    try:
        with _reported(shown_url(wanted.url)):
            raise answer
    except AnabranchError as error:
        return error


class _Remote(io.RawIOBase):
    """Name the file, and nothing secret, where reading fails; copy it where its server turns out to give no ranges."""

    def __init__(self, file: IO[bytes], label: str, work: str, streamed: Callable[[], IO[bytes]]) -> None:
        self._file, self._label, self._work, self._streamed = file, label, work, streamed

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        with _reported(self._label):
            data = self._read(memoryview(buffer).nbytes)
        memoryview(buffer)[: len(data)] = data
        return len(data)

    def _read(self, size: int) -> bytes:
        place = self._file.tell()
        try:
            return self._file.read(size)
        except ValueError:  # which fsspec raises where it asked for a range and got the whole
            with self._file, self._streamed() as stream:
                self._file = copied(stream, self._work)
            self._file.seek(place)
            return self._file.read(size)

    def close(self) -> None:
        self._file.close()
        super().close()


def _system(url: str) -> tuple[Any, str]:
    import fsspec  # noqa: PLC0415  which takes 0.1 s, and is of no use to local files

    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise _missing(url, str(error)) from error
    except ValueError as error:
        raise UsageError("protocol-unknown", shown_url(str(error)), "Check the URL.", shown_url(url)) from None
    return system, path


def _links(url: str) -> tuple[str, str, str]:
    """Part a chain of URLs at the link that names the file: the first with a path."""
    links = url.split("::")
    place = next((place for place, link in enumerate(links) if "://" in link), 0)
    return "".join(f"{link}::" for link in links[:place]), links[place], "".join(f"::{x}" for x in links[place + 1 :])


def _missing(url: str, why: str) -> UsageError:
    from fsspec.registry import known_implementations  # noqa: PLC0415  as above

    protocol = (_URL.match(url) or [""])[0].rstrip(":/").lower()
    package = str(known_implementations.get(protocol, {}).get("class", "fsspec")).split(".")[0]
    if package == "fsspec":
        package = f"fsspec[{protocol.removesuffix('s') if protocol == 'https' else protocol}]"
    return UsageError("protocol-missing", why, f"Install it: pip install '{package}'.", shown_url(url))


def _info(system: Any, path: str) -> dict[str, Any] | None:
    try:
        return dict(system.info(path))
    except FileNotFoundError as error:  # which HTTP's raises for everything
        cause = error.__cause__
        if isinstance(cause, OSError) or getattr(cause, "status", HTTPStatus.NOT_FOUND) != HTTPStatus.NOT_FOUND:
            raise cause or error from None
        return None


def _file(url: str, info: dict[str, Any], below: str = "") -> File:
    state = [str(info[key]) for key in _STATE if info.get(key) is not None]
    return File(url, int(info.get("size") or 0), fingerprint(url, *state), below, _modified(info))


def _modified(info: dict[str, Any]) -> int | None:
    for name in _MODIFIED:
        with suppress(ValueError, TypeError):
            value = info.get(name)
            time = parsedate_to_datetime(value) if isinstance(value, str) else value
            if time is not None:
                return int(time.timestamp() if isinstance(time, datetime) else time)
    return None


@contextmanager
def _reported(label: str) -> Iterator[None]:
    """Turn whatever a file system raises into an error of ours, without credentials."""
    try:
        yield
    except AnabranchError:
        raise
    except FileNotFoundError:
        raise SourceError("source-changed", "it no longer exists", "Run the same command again.", label) from None
    except PermissionError as error:
        reason = shown_url(str(error)) or "the server refuses access"
        raise SourceError("source-unreadable", reason, "Check the credentials.", label) from None
    except Exception as error:  # each file system has errors of its own
        if is_full(error):
            raise
        reason = shown_url(f"{type(error).__name__}: {error}")
        raise TemporaryError("source-unreachable", reason, "Check the URL and the network.", label) from None


def copied(stream: IO[bytes], folder: str = "") -> IO[bytes]:
    """Copy a stream into a file that is gone when it is closed; it lies in the job's folder, or in one of its own.

    Where the system cannot make it without a name, a killed process leaves it there, and it is pruned.
    """
    place = Path(folder) if folder else work_dir(RunOptions()) / "scratch"
    place.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryFile(dir=place))
        try:
            shutil.copyfileobj(stream, file, 1 << 20)
            file.flush()
        except OSError as error:
            if is_full(error):
                note_room(error, place / "copy", os.fstat(file.fileno()).st_size)
            raise
        file.seek(0)
        stack.pop_all()
    return file
