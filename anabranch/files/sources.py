"""Find the files that a user named, and tell later whether one is still what it was."""

import errno
import glob
import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import NamedTuple

from anabranch.errors import SourceError, TemporaryError, UsageError
from anabranch.files import remote
from anabranch.files.model import Source
from anabranch.files.walking import EVERY, Match, split, walk
from anabranch.storage import fingerprint, shown

MANIFEST, QUARANTINE = "manifest.json", "quarantine"  # what a run leaves beside its outputs, and no source
_REMEDY = "Mend that, or leave it out, and run again."


class Found(NamedTuple):
    """The files to read, in the order of the arguments, and those that cannot be."""

    sources: tuple[Source, ...]
    errors: tuple[SourceError, ...]


def find(source: Sequence[str], output: str | None = None) -> Found:
    """List the files meant by files, folders, glob patterns and URLs: each once, those of one argument by name.

    Not taken from folders and patterns: hidden files, what a run leaves beside its outputs (manifest.json, quarantine),
    and `output` with all that is in it, where it lies below them. A path that cannot be read is an error of its own.
    Raises UsageError where an argument names nothing, or a protocol that cannot be spoken.
    """
    sources: dict[str, Source] = {}
    errors: dict[str, SourceError] = {}
    for argument in source:
        for found in _remote(argument) if remote.is_url(argument) else _local(argument, output):
            if isinstance(found, Source):
                sources.setdefault(found.path if remote.is_url(found.path) else str(_place(Path(found.path))), found)
            else:
                errors.setdefault(found.part, found)
    labels = labelled([one.path for one in sources.values()])
    named = (replace(one, label=label) for one, label in zip(sources.values(), labels, strict=True))
    return Found(tuple(named), tuple(errors.values()))


def require_unchanged(source: Source) -> None:
    """Raise SourceError where a file is another than when it was found."""
    try:
        stamp = remote.state(source.path).stamp if remote.is_url(source.path) else _stamp(source.path)
    except OSError:
        stamp = ""
    if stamp != source.stamp:
        raise SourceError("source-changed", "it changed during the run", "Run the same command again.", source.label)


def labelled(paths: Sequence[str]) -> list[str]:
    """Name each path by as many of its last words as tell it from the others."""
    words = [shown(remote.shown_url(path)).split("/") for path in paths]
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


def _local(argument: str, output: str | None) -> Iterator[Source | SourceError]:
    path = Path(remote.without_scheme(argument))
    if argument and path.is_dir():
        folder, words = path.absolute(), EVERY
    elif argument and os.path.lexists(path):
        yield _source(Match(path.absolute()), path.absolute().parent)
        return
    elif glob.has_magic(argument):
        folder, words = split(path)
    else:
        raise _missing(path)
    if not folder.is_dir():
        raise _missing(folder)
    within = _Below(folder, output)
    for match in sorted(set(walk(folder, words))):
        if not within.leaves_out(match.path):
            yield _source(match, folder)


def _remote(url: str) -> Iterator[Source | SourceError]:
    try:
        for file in remote.listing(url):
            words = PurePath(file.below).parts
            if not any(word.startswith(".") for word in words) and not _left_by_run(words):
                parent = "/".join(words[:-1])
                yield Source(file.url, remote.shown_url(file.url), file.size, file.stamp, parent)
    except TemporaryError as error:  # the other sources may answer
        yield SourceError(error.code, error.reason, error.remedy, error.part)


class _Below:
    """Say what is left out below a folder that a user named."""

    def __init__(self, folder: Path, output: str | None) -> None:
        self._folder = folder
        root, place = folder.resolve(), Path(output).resolve() if output and not remote.is_url(output) else None
        self._output = place if place and root in place.parents else None  # else it would leave out every source

    def leaves_out(self, path: Path) -> bool:
        place = _place(path)
        within = self._output is not None and (place == self._output or self._output in place.parents)
        return within or _left_by_run(path.relative_to(self._folder).parts)


def _left_by_run(words: Sequence[str]) -> bool:
    return bool(words) and (words[-1] == MANIFEST or QUARANTINE in words[:-1])


def _source(match: Match, folder: Path) -> Source | SourceError:
    """Note a file as it is now; a label is given to it when all are known."""
    path, label = str(match.path), shown(str(match.path))
    try:
        if match.error:
            raise match.error
        status = match.path.stat()
        if not stat.S_ISREG(status.st_mode):
            return SourceError("source-not-a-file", "this is neither a file nor a folder", _REMEDY, label)
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        return SourceError("source-unreadable", error.strerror or str(error), _REMEDY, label)
    parent = "" if match.path.parent == folder else str(match.path.parent.relative_to(folder))
    return Source(path, label, status.st_size, _stamp(path, status), parent)


def _stamp(path: str, status: os.stat_result | None = None) -> str:
    now = status or os.stat(path)  # noqa: PTH116  a text as good as a path
    return fingerprint(path, now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino)


def _place(path: Path) -> Path:
    """Name a file the same whatever links lead to its folder; a link is a file of its own."""
    return path.parent.resolve() / path.name


def _missing(path: Path) -> UsageError:
    return UsageError("source-missing", "there is no such file or folder", "Check the path.", shown(str(path)))
