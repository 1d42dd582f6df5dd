"""Find the files below a folder that fit a pattern, following links, but never in a circle."""

import errno
import fnmatch
import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

EVERY: tuple[str, ...] = ("**", "*")  # the pattern of all files below a folder


@dataclass(frozen=True, order=True, slots=True)
class Match:
    """A path that fits and is not a folder; or one that cannot be looked into, and why."""

    path: Path
    error: OSError | None = field(default=None, compare=False)


def split(pattern: Path) -> tuple[Path, tuple[str, ...]]:
    """Return the folder in which a pattern begins, and the pattern's words below it."""
    folder = next(parent for parent in pattern.parents if not glob.has_magic(str(parent)))
    words = pattern.relative_to(folder).parts
    return folder.absolute(), (*words, "*") if words[-1] == "**" else words


def walk(folder: Path, words: Sequence[str], above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Match]:
    """Yield what fits, in no order: each word fits one name, ** any folders; hidden names fit only words with a dot.

    `above` holds the device and inode of the folders that were come through.
    """
    try:
        here, entries = _opened(folder, above)
    except OSError as error:
        yield Match(folder, error)
        return
    yield from _fitting(entries, words, above | {here})


def _fitting(
    entries: Sequence[os.DirEntry[str]], words: Sequence[str], above: frozenset[tuple[int, int]]
) -> Iterator[Match]:
    """Yield what fits of a folder's entries, and of the folders among them."""
    word, *rest = words
    below = words if word == "**" else rest
    for entry in entries:
        if not _fits(entry.name, word):
            continue
        if not _is_folder(entry):
            if not rest:  # which ** has always
                yield Match(Path(entry.path))
        elif below:
            yield from walk(Path(entry.path), below, above)
    if word == "**":  # which fits no folder, too
        yield from _fitting(entries, rest, above)


def _opened(folder: Path, above: frozenset[tuple[int, int]]) -> tuple[tuple[int, int], list[os.DirEntry[str]]]:
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return here, list(os.scandir(folder))


def _fits(name: str, word: str) -> bool:
    if name.startswith(".") and not word.startswith("."):
        return False
    return word == "**" or fnmatch.fnmatchcase(name, word)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
