"""Find the archives a user named, and logs that lie in folders; detect compression, and fingerprint their bytes."""

import glob
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import NamedTuple

from anabranch.core.errors import SourceError, UsageError
from anabranch.core.storage import fingerprint, shown
from anabranch.logs.members import is_log, is_near_miss, remarks_on
from anabranch.sources import codecs, remote
from anabranch.sources.finding import Wanted, find
from anabranch.sources.source import Source
from anabranch.sources.unpack import MAGIC
from anabranch.sources.walking import split, walk

_CHUNK = 1 << 20  # bytes read at a time
_SUFFIXES = {
    ".tar.bz2": "bz2",
    ".tbz2": "bz2",
    ".bz2": "bz2",
    ".tar.gz": "gz",
    ".tgz": "gz",
    ".gz": "gz",
}
_TARS = (".tar.bz2", ".tbz2", ".tar.gz", ".tgz", ".tar", ".tar.xz", ".txz", ".tar.zst", ".tzst")
_DEEPEST = 3  # folders below one that is named in which logs are looked for that are not read
_LISTED = (*_TARS, ".bz2", ".gz")  # what is taken from a folder, beside logs


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive of rotated logs, or a folder in which they lie."""

    source: Source  # of logs in a folder: that folder, or the only log
    codec: str  # none for a plain tar
    digest: str  # of its content; at a URL of its state
    logs: tuple[Source, ...] = ()  # the files, where it is not an archive

    @property
    def label(self) -> str:
        """Its base name, as it can be shown."""
        return self.source.label

    @property
    def files(self) -> tuple[Source, ...]:
        """The files that hold its bytes."""
        return self.logs or (self.source,)

    @property
    def is_read_itself(self) -> bool:
        """Whether its logs are read from the file, which is not unpacked first."""
        return not self.codec and not remote.is_url(self.source.path)


def name_of(source: Source) -> str:
    """Return the base name of an archive; a run has each only once."""
    return PurePath(remote.named(source.path)).name


class Named(NamedTuple):
    """The archives and folders of logs, in the order of the arguments; what cannot be read; each folder's logs.

    `remarks` tell which files in the folders may be logs but are not read, and why a folder or pattern gave nothing.
    """

    sources: tuple[Source, ...]
    errors: tuple[SourceError, ...]
    logs: Mapping[Source, tuple[Source, ...]]
    remarks: tuple[str, ...] = ()


def archives(named: Sequence[str]) -> Named:
    """List the archives meant by files, folders, glob patterns and URLs; those that cannot be read are errors.

    Files of this machine that are named as logs are those of their folder, which takes the place of an archive. Raises
    UsageError for a missing file, a folder that cannot be listed, or an equal name.
    """
    found = find(named, wanted=_WANTED)
    places = {shown(str(place)) for argument in named if not remote.is_url(argument) for place in _places(argument)}
    for error in found.errors:
        if error.part in places:  # which is named, or the folder of a pattern
            raise UsageError(error.code, error.reason, error.remedy, error.part)
    logs = _by_folder(found.sources)
    folders = {log: folder for folder, own in logs.items() for log in own}
    sources = tuple(dict.fromkeys(folders.get(source, source) for source in found.sources))
    names: dict[str, Source] = {}
    for source in sources:
        other = names.setdefault(name_of(source), source)
        if other != source:
            raise UsageError(
                "same-name",
                f"{remote.shown_url(other.path)} and {remote.shown_url(source.path)} have the same name, and reports "
                "bear the archive's name",
                "Rename one, or parse them in two runs.",
            )
    errors = (SourceError(error.code, error.reason, error.remedy, PurePath(error.part).name) for error in found.errors)
    remarks = [remark for argument in named if not remote.is_url(argument) for remark in _remarks(argument)]
    return Named(sources, tuple(errors), logs, (*found.remarks, *remarks))


def _remarks(argument: str) -> Iterator[str]:
    """Tell which files in a folder, and in those in it, may be logs but are not read."""
    folder = Path(remote.without_scheme(argument)).absolute()
    if not argument or not folder.is_dir():
        return
    here = sorted(match.path.name for match in walk(folder, ("*",)) if not match.error)
    below = [match.path for depth in range(_DEEPEST) for match in walk(folder, (*["*"] * (depth + 1), "[mM]essages*"))]
    nested = [str(path.relative_to(folder)) for path in sorted(below) if is_near_miss(path.name) or is_log(path.name)]
    names = [name for name in here if is_near_miss(name)] + nested
    remarks = remarks_on(names, "", any_log=True)
    yield from (f"{shown(folder.name)}: {remark}" for remark in remarks)


def _by_folder(sources: Sequence[Source]) -> dict[Source, tuple[Source, ...]]:
    """Group the logs that lie in folders: by their folder, or by itself for a log that is alone there."""
    beside: dict[str, list[Source]] = {}
    for source in sources:
        if _is_loose(PurePath(source.path).name) and not remote.is_url(source.path):
            beside.setdefault(str(PurePath(source.path).parent), []).append(source)
    return {_folder(folder, logs) if len(logs) > 1 else logs[0]: tuple(logs) for folder, logs in beside.items()}


def _folder(path: str, logs: Sequence[Source]) -> Source:
    size, stamp = sum(log.size for log in logs), fingerprint(*(log.stamp for log in logs))
    return Source(path, shown(PurePath(path).name), size, stamp)


def _is_listed(name: str) -> bool:
    return (name.lower().endswith(_LISTED) and not is_near_miss(name)) or _is_loose(name)


def _is_loose(name: str) -> bool:
    return is_log(name) and not name.lower().endswith(_TARS)


_WANTED = Wanted(_is_listed, "an archive or a log")


def look(source: Source, logs: Sequence[Source] = ()) -> Archive:
    """Read an archive once for its fingerprint, unless it lies at a URL; OSError where it cannot be read."""
    if logs:
        content = [(PurePath(log.path).name, _digest(log)) for log in logs]
        return Archive(source, "", fingerprint(*content), tuple(logs))
    with codecs.open_source(source) as file:
        codec = codec_of(name_of(source), file.read(MAGIC))
        if remote.is_url(source.path):
            return Archive(source, codec, source.stamp)
    return Archive(source, codec, _digest(source))


def _digest(source: Source) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with codecs.open_source(source) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def codec_of(name: str, head: bytes) -> str:
    """Return how an archive is compressed: the suffix decides for bz2 and gz, the first bytes for all others."""
    return next((codec for suffix, codec in _SUFFIXES.items() if name.endswith(suffix)), "") or codecs.sniff(head)


def _places(argument: str) -> list[Path]:
    """Name the path of an argument, and the folder in which its pattern begins."""
    path = Path(remote.without_scheme(argument))
    return [path.absolute(), split(path)[0]] if glob.has_magic(argument) else [path.absolute()]
