"""Find the files that a user named, and check later whether one has changed."""

import errno
import glob
import os
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path, PurePath
from typing import NamedTuple

from anabranch.core.errors import SourceError, TemporaryError, UsageError
from anabranch.core.once import once
from anabranch.core.outputs import QUARANTINE, RECORD
from anabranch.core.storage import fingerprint, shown
from anabranch.core.words import PassedOver
from anabranch.sources import remote
from anabranch.sources.nothing import HIDDEN, nothing_in
from anabranch.sources.source import Source
from anabranch.sources.walking import EVERY, Match, split, walk

_RECORD_START = b'{\n "anabranch":'  # how a run's record begins
_REMEDY = "Fix that, or leave it out, and run again."


class Found(NamedTuple):
    """The files to read, in the order of the arguments, those that cannot be, and remarks on what names no file."""

    sources: tuple[Source, ...]
    errors: tuple[SourceError, ...]
    remarks: tuple[str, ...] = ()


class Wanted(NamedTuple):
    """Which files are taken from a folder that is named: those right in it whose name fits."""

    fits: Callable[[str], bool]
    kind: str  # as what they are named, for people


def find(named: Sequence[str], *, leave_out: Collection[Path] = (), wanted: Wanted | None = None) -> Found:
    """List the files meant by files, folders, glob patterns and URLs: each once, those of one argument by name.

    Not taken from folders and patterns: hidden files, the records that runs leave beside their outputs, and the files
    and folders of `leave_out` that lie below them, with all that is in those. A path that cannot be read is an error
    of its own. With `wanted` a folder gives only those files right in it. A folder or pattern that gives nothing gets
    a remark that says why. One run lists its sources once, see `core.once`. Raises UsageError where an argument names
    nothing, or a protocol that cannot be spoken.
    """
    return _find(tuple(named), frozenset(map(_place, leave_out)), wanted)


@once
def _find(named: tuple[str, ...], leave_out: frozenset[Path], wanted: Wanted | None) -> Found:
    sources: dict[str, Source] = {}
    errors: dict[str, SourceError] = {}
    remarks: dict[str, None] = {}
    for argument in named:
        for found in _remote(argument, wanted) if remote.is_url(argument) else _local(argument, leave_out, wanted):
            if isinstance(found, str):
                remarks[found] = None
            elif isinstance(found, Source):
                sources.setdefault(found.path if remote.is_url(found.path) else str(_place(Path(found.path))), found)
            else:
                errors.setdefault(found.part, found)
    labels = labelled([one.path for one in sources.values()])
    labelled_ones = (replace(one, label=label) for one, label in zip(sources.values(), labels, strict=True))
    return Found(tuple(labelled_ones), tuple(errors.values()), tuple(remarks))


def require_unchanged(source: Source) -> None:
    """Raise SourceError if a file has changed since it was found."""
    try:
        stamp = remote.state(source.path).stamp if remote.is_url(source.path) else _stamp(source.path)
    except OSError:
        stamp = ""
    if stamp != source.stamp:
        raise SourceError("source-changed", "it changed during the run", "Run the same command again.", source.label)


def labelled(paths: Sequence[str]) -> list[str]:
    """Name each path by as many of its last parts as distinguish it from the others."""
    words = [shown(remote.named(path)).split("/") for path in paths]
    depths = [1] * len(paths)
    while True:
        labels = ["/".join(each[-depth:]) for each, depth in zip(words, depths, strict=True)]
        count = Counter(labels)
        alike = [index for index, label in enumerate(labels) if count[label] > 1]
        longer = [index for index in alike if depths[index] < len(words[index])]
        if not longer:
            break
        for index in longer:
            depths[index] += 1
    for number, index in enumerate(alike, 1):  # which differ only in what is not shown
        labels[index] += f" ({number})"
    return labels


# what an argument means: files, those that cannot be read, or, where there are none, a remark that says why
_Meant = Iterator[Source | SourceError | str]


def _local(argument: str, leave_out: AbstractSet[Path], wanted: Wanted | None) -> _Meant:
    path = Path(remote.without_scheme(argument))
    try:
        yield from _meant(path, argument, leave_out, wanted)
    except OSError as error:  # of a folder above, which may not be entered
        yield _unreadable(error, shown(str(path.absolute())))


def _meant(path: Path, argument: str, leave_out: AbstractSet[Path], wanted: Wanted | None) -> _Meant:
    if argument and path.is_dir():
        folder, words = path.absolute(), EVERY[-1:] if wanted else EVERY
    elif argument and os.path.lexists(path):
        yield _source(Match(path.absolute()), path.absolute().parent)
        return
    elif glob.has_magic(argument):
        (folder, words), wanted = split(path), None
    else:
        raise _missing(path)
    if not folder.is_dir():
        raise _missing(folder)
    root = folder.resolve()
    left_out = {path for path in leave_out if root in path.parents}
    nothing = True
    for match in sorted(set(walk(folder, words))):
        if wanted and not match.error and not wanted.fits(match.path.name):
            continue
        if not _of_runs(match.path, left_out):
            nothing = False
            yield _source(match, folder)
    if nothing:
        yield nothing_in(
            str(path.absolute()), folder, words, wanted.kind if wanted else "", lambda one: _of_runs(one, left_out)
        )


def _of_runs(path: Path, left_out: AbstractSet[Path]) -> bool:
    place = _place(path)
    return _of_a_run(path) or place in left_out or not left_out.isdisjoint(place.parents)


def _of_a_run(path: Path) -> bool:
    if path.name.endswith(QUARANTINE):
        return True
    if not path.name.endswith(RECORD) or not path.is_file():  # a pipe would be waited for
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(_RECORD_START)) == _RECORD_START
    except OSError:
        return False


def _remote(url: str, wanted: Wanted | None) -> _Meant:
    every, passed, nothing = wanted is None or remote.is_pattern(url), PassedOver(), True
    try:
        for file in remote.listing(url):
            words = PurePath(file.below).parts
            if any(word.startswith(".") for word in words):
                passed.add(HIDDEN, shown(file.below))
            elif words and wanted and not every and (words[1:] or not wanted.fits(words[0])):
                passed.add(f"not named as {wanted.kind}" if not words[1:] else "in a folder below", shown(file.below))
            else:
                nothing = False
                yield Source(file.url, remote.shown_url(file.url), file.size, file.stamp, "/".join(words[:-1]))
        if nothing:
            yield passed.nothing_in(remote.shown_url(url))
    except TemporaryError as error:  # the other sources may answer
        yield SourceError(error.code, error.reason, error.remedy, error.part)


def _source(match: Match, folder: Path) -> Source | SourceError:
    """Note a file as it is now; a label is given to it when all are known."""
    path, label = str(match.path), shown(str(match.path))
    try:
        if match.error:
            raise match.error
        status = match.path.stat()
        if not stat.S_ISREG(status.st_mode):
            return SourceError("source-not-a-file", "this is neither a file nor a folder", _REMEDY, label)
        if not os.access(path, os.R_OK, effective_ids=True):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        return _unreadable(error, label)
    parent = "" if match.path.parent == folder else str(match.path.parent.relative_to(folder))
    return Source(path, label, status.st_size, _stamp(path, status), parent)


def _unreadable(error: OSError, label: str) -> SourceError:
    return SourceError("source-unreadable", error.strerror or str(error), _REMEDY, label)


def _stamp(path: str, status: os.stat_result | None = None) -> str:
    now = status or os.stat(path)  # noqa: PTH116  a text as good as a path
    return fingerprint(path, now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino)


def _place(path: Path) -> Path:
    """Name a file the same whatever links lead to its folder; a link is a file of its own."""
    return path.parent.resolve() / path.name


def _missing(path: Path) -> UsageError:
    return UsageError("source-missing", "there is no such file or folder", "Check the path.", shown(str(path)))
