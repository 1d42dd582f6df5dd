"""Find the archives a user named, detect how each is compressed, and fingerprint its bytes."""

import glob
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from anabranch.core.errors import SourceError, UsageError
from anabranch.core.storage import shown
from anabranch.sources import codecs, remote
from anabranch.sources.finding import Found, find
from anabranch.sources.source import Source
from anabranch.sources.unpack import MAGIC
from anabranch.sources.walking import split

_CHUNK = 1 << 20  # bytes read at a time
_SUFFIXES = {
    ".tar.bz2": "bz2",
    ".tbz2": "bz2",
    ".bz2": "bz2",
    ".tar.gz": "gz",
    ".tgz": "gz",
    ".gz": "gz",
}
_LISTED = (*_SUFFIXES, ".tar", ".tar.xz", ".txz", ".tar.zst", ".tzst")  # what is taken from a folder


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive of rotated logs."""

    source: Source
    codec: str  # none for a plain tar
    digest: str  # of its content; at a URL of its state

    @property
    def label(self) -> str:
        """Its base name, as it can be shown."""
        return self.source.label

    @property
    def is_read_itself(self) -> bool:
        """Whether its logs are read from the file, which is not unpacked first."""
        return not self.codec and not remote.is_url(self.source.path)


def name_of(source: Source) -> str:
    """Return the base name of an archive; a run has each only once."""
    return PurePath(remote.named(source.path)).name


def archives(named: Sequence[str]) -> Found:
    """List the archives meant by files, folders, glob patterns and URLs; those that cannot be read are errors.

    Raises UsageError for a missing file, a folder that cannot be listed, or an equal name.
    """
    found = find(named, endings=_LISTED)
    places = {shown(str(place)) for argument in named if not remote.is_url(argument) for place in _places(argument)}
    for error in found.errors:
        if error.part in places:  # which is named, or the folder of a pattern
            raise UsageError(error.code, error.reason, error.remedy, error.part)
    names: dict[str, Source] = {}
    for source in found.sources:
        other = names.setdefault(name_of(source), source)
        if other != source:
            raise UsageError(
                "same-name",
                f"{remote.shown_url(other.path)} and {remote.shown_url(source.path)} have the same name, and reports "
                "bear the archive's name",
                "Rename one, or parse them in two runs.",
            )
    errors = (SourceError(error.code, error.reason, error.remedy, PurePath(error.part).name) for error in found.errors)
    return Found(found.sources, tuple(errors))


def look(source: Source) -> Archive:
    """Read an archive once for its fingerprint, unless it lies at a URL; OSError where it cannot be read."""
    with codecs.open_source(source) as file:
        codec = codec_of(name_of(source), file.read(MAGIC))
        if remote.is_url(source.path):
            return Archive(source, codec, source.stamp)
        file.seek(0)
        digest = hashlib.blake2b(digest_size=16)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return Archive(source, codec, digest.hexdigest())


def codec_of(name: str, head: bytes) -> str:
    """Return how an archive is compressed: the suffix decides for bz2 and gz, the first bytes for all others."""
    return next((codec for suffix, codec in _SUFFIXES.items() if name.endswith(suffix)), "") or codecs.sniff(head)


def _places(argument: str) -> list[Path]:
    """Name the path of an argument, and the folder in which its pattern begins."""
    path = Path(remote.without_scheme(argument))
    return [path.absolute(), split(path)[0]] if glob.has_magic(argument) else [path.absolute()]
