"""Which files are sent, and where to: what the user named becomes files with keys of one destination."""

import errno
import glob
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from anabranch.core.errors import SourceError, UsageError
from anabranch.core.storage import shown
from anabranch.core.words import PassedOver
from anabranch.sftp.addresses import SCHEME, parsed, without_user
from anabranch.sources.nothing import nothing_in
from anabranch.sources.walking import split
from anabranch.uploads.keys import normal_key, require_distinct
from anabranch.uploads.options import UploadOptions
from anabranch.uploads.ranges import Stamp
from anabranch.uploads.stores.base import Destination

_OURS = ".anabranch-upload"  # ends the names of the hidden folders that unfinished uploads into a folder leave


@dataclass(frozen=True, slots=True)
class Chosen:
    """A file to be sent."""

    path: str
    label: str
    key: str
    stamp: Stamp
    held: int  # bytes that the file system holds of it: fewer than its size where it is sparse


@dataclass(frozen=True, slots=True)
class Selection:
    """All files to be sent, what cannot be, links that were not followed, and why a folder or pattern gave nothing."""

    destination: Destination
    files: tuple[Chosen, ...]
    errors: tuple[SourceError, ...]
    links: tuple[str, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a run sends to: one key, or names below a prefix."""

    destination: Destination
    prefix: str  # of keys
    key: str = ""  # of the one file


def select(source: Sequence[str], output: str, options: UploadOptions) -> Selection:
    """List the files that the sources mean, with their keys; each file once.

    Raises UsageError for sources that are not there, destinations that are none, and two sources of one key.
    """
    named = [_Named(argument) for argument in source]
    single = len(named) == 1 and named[0].is_file
    target = _target(output, options, single=single)
    files: dict[tuple[str, str], Chosen] = {}
    errors, links = [], []
    for found in (each for one in named for each in one.files()):
        try:
            if found.is_link:
                links.append(shown(found.path))
            else:
                chosen = _chosen(found, target)
                files.setdefault((chosen.path, chosen.key), chosen)
        except SourceError as error:
            errors.append(error)
    require_distinct((chosen.key, chosen.label) for chosen in files.values())
    remarks = tuple(one.remark for one in named if one.remark)
    return Selection(target.destination, tuple(files.values()), tuple(errors), tuple(links), remarks)


def destination_of(output: str, options: UploadOptions) -> tuple[Destination, str]:
    """Return the destination that a user named, and the path below it: a key or a prefix."""
    scheme, mark, rest = output.partition("://")
    if not mark or scheme.lower() == "file":
        path = rest if mark else output
        return Destination("file", path), ""
    if scheme.lower() == "gdrive" and rest.partition("/")[0]:
        folder, _, path = rest.partition("/")
        return Destination("gdrive", folder, options.endpoint, options.credentials, options.requests_per_minute), path
    if scheme.lower() == "sftp":
        return _server(output, options)
    if scheme.lower() not in ("s3", "az", "gs"):
        raise UsageError(
            "destination-scheme",
            f"{scheme}:// is not a place to upload to",
            "Use s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, gdrive://folder, "
            "sftp://user@host/folder/ or a folder.",
        )
    bucket, _, path = rest.partition("/")
    if not bucket:
        raise UsageError("destination-scheme", "no bucket is named", "Write it as s3://bucket/prefix.")
    found = Destination(scheme.lower(), bucket, options.endpoint, options.credentials)
    in_order = found.kind == "gs" and options.mode == "sequential"
    return replace(found, discard_uncommitted=options.discard_uncommitted, in_order=in_order), path


def _server(output: str, options: UploadOptions) -> tuple[Destination, str]:
    """Return an SFTP server, with /~ where paths are below the account's own folder, and the path there."""
    server, path = parsed(output)
    try:
        text = path.decode()
    except UnicodeDecodeError:
        raise UsageError("bad-url", "the path is not valid UTF-8", "Name another one.", without_user(output)) from None
    place = f"{server}{'' if text.startswith('/') else '/~'}".removeprefix(SCHEME)
    choices = options.credentials, None, options.host_key, options.key_file, options.verify
    return Destination("sftp", place, None, *choices), text.lstrip("/")


def _target(output: str, options: UploadOptions, *, single: bool) -> _Target:
    destination, path = destination_of(output, options)
    if destination.kind == "file":
        folder = Path(destination.place)
        if single and not destination.place.endswith("/") and not folder.is_dir():
            return _Target(Destination("file", str(folder.parent)), "", folder.name)
        return _Target(Destination("file", str(folder)), "")
    if single and path and not path.endswith("/"):
        return _Target(destination, "", path)
    return _Target(destination, f"{path.rstrip('/')}/" if path.strip("/") else "")


@dataclass(frozen=True, slots=True)
class _Found:
    """A file, and its path below what was named."""

    path: str
    below: PurePath
    is_link: bool = False
    error: OSError | None = None


class _Named:
    """One argument: a file, a folder, or a pattern."""

    def __init__(self, argument: str) -> None:
        self._path = Path(argument.removeprefix("file://"))
        self._there = os.path.lexists(self._path)
        self.remark = ""  # why it gave no file; known once its files were listed
        if not self._there and not glob.has_magic(str(self._path)):
            raise _missing(self._path)

    @property
    def is_file(self) -> bool:
        """Whether it names one file."""
        return self._there and not self._path.is_dir()

    def files(self) -> Iterator[_Found]:
        """Yield the files, by name."""
        if self.is_file:
            yield _Found(str(self._path.absolute()), PurePath(self._path.name))
            return
        passed, nothing = PassedOver(), True
        for found in _below(self._path, self._path, passed) if self._there else self._matches(passed):
            nothing = nothing and found.is_link
            if found.is_link:
                passed.add("a link", shown(str(found.below)))
            yield found
        self.remark = passed.nothing_in(shown(str(self._path.absolute()))) if nothing else ""

    def _matches(self, passed: PassedOver) -> Iterator[_Found]:
        folder, words = split(self._path.absolute())
        matches = sorted(glob.glob(str(self._path.absolute()), recursive=True))  # noqa: PTH207  it names hidden files
        if not matches:
            if not folder.is_dir():
                raise _missing(self._path)
            reason = nothing_in(str(self._path), folder, words, "", lambda _: False)
            raise UsageError("source-missing", reason, "Check the pattern.")
        for match in map(Path, matches):
            if match.is_dir() and not match.is_symlink():
                passed.add("a folder", f"{shown(str(match.relative_to(folder)))}/")
                continue  # as a pattern's folders are not what it means; ** has the files in them
            yield _Found(str(match), match.relative_to(folder), match.is_symlink())


def _below(folder: Path, root: Path, passed: PassedOver) -> Iterator[_Found]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield _Found(str(folder), folder.relative_to(root), error=error)
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.is_symlink():
            yield _Found(entry.path, path.relative_to(root), is_link=True)
        elif entry.is_dir():
            if entry.name.endswith(_OURS):
                passed.add("an unfinished upload", f"{shown(str(path.relative_to(root)))}/")
            else:
                yield from _below(path, root, passed)
        else:
            yield _Found(str(path.absolute()), path.relative_to(root))


def _chosen(found: _Found, target: _Target) -> Chosen:
    label = shown(found.path)
    try:
        if found.error:
            raise found.error
        status = os.stat(found.path)  # noqa: PTH116
        if not stat.S_ISREG(status.st_mode):
            raise SourceError("source-not-a-file", f"this is {_kind(status.st_mode)}", "Leave it out.", label)
        if not os.access(found.path, os.R_OK, effective_ids=True):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        reason = error.strerror or str(error)
        raise SourceError("source-unreadable", reason, "Correct that, or leave it out.", label) from error
    key = normal_key("", PurePath(target.key)) if target.key else normal_key(target.prefix, found.below)
    stamp = Stamp(status.st_size, status.st_mtime_ns, status.st_ino)
    return Chosen(found.path, label, key, stamp, min(status.st_blocks * 512, status.st_size))


def _kind(mode: int) -> str:
    kinds = {"a socket": stat.S_ISSOCK, "a pipe": stat.S_ISFIFO, "a folder": stat.S_ISDIR}
    return next((name for name, fits in kinds.items() if fits(mode)), "a device")


def _missing(path: Path) -> UsageError:
    return UsageError("source-missing", "there is no such file or folder", "Check the path.", shown(str(path)))
