"""Read one part: its photos' metadata, over a connection of this process or from this machine."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from anabranch.core.errors import Stopped
from anabranch.core.parts import Manifest, WorkFile
from anabranch.core.storage import published, work_file
from anabranch.photos.fetching import Fetch, Manner, Photo
from anabranch.photos.plan import PhotoPart, loaded
from anabranch.photos.positions import Facts
from anabranch.photos.reading import Reader
from anabranch.photos.urls import read_urls
from anabranch.sftp.hosts import Unlock, host, no_blocks
from anabranch.sftp.session import Stop


def work(part: PhotoPart, stop: Stop = lambda: False, unlock: Unlock = no_blocks) -> Manifest:
    """Read the part's photos, and write what each says into the plan's folder.

    The manifest's counts are of photos by status, of positions, reads and bytes. A photo that cannot be read is a row
    with its reason, no error. Raises Stopped when `stop` says so, and TemporaryError where the server ends connections.
    """
    photos = loaded(Path(part.todo).read_bytes())
    if part.server is None:
        found, counts = _read_here([photo for photo in photos if not photo.url], part.manner, stop)
        at_urls, more = read_urls([photo for photo in photos if photo.url], part.manner, stop)
        found, counts = {**found, **at_urls}, counts + more
    else:
        found, counts = _read_there(part, photos, stop, unlock)
    path = Path(part.folder) / f"{part.key}.facts.jsonl"
    with published(path, durable=False) as file:
        for photo in photos:
            file.write(json.dumps([photo.row, found[photo]], separators=(",", ":")).encode() + b"\n")
    counts.update(facts.status for facts in found.values())
    counts["photos"] = len(photos)
    return Manifest((work_file(path),), counts)


def results(file: WorkFile) -> Iterator[tuple[Photo, Facts]]:
    """Read what `work` wrote."""
    with Path(file.path).open("rb") as lines:
        for line in lines:
            row, facts = json.loads(line)
            yield Photo.of(row), Facts(*facts)


def _read_there(
    part: PhotoPart, photos: Sequence[Photo], stop: Stop, unlock: Unlock
) -> tuple[Mapping[Photo, Facts], Counter[str]]:
    fetch = Fetch(photos, part.manner)
    if part.server is not None:
        host(part.server, part.access).carry_out(fetch, unlock, stop, part.connections)
    return fetch.done, Counter(reads=fetch.reads, bytes=fetch.bytes)


def _read_here(photos: Sequence[Photo], manner: Manner, stop: Stop) -> tuple[Mapping[Photo, Facts], Counter[str]]:
    found: dict[Photo, Facts] = {}
    counts = Counter[str]()
    for photo in photos:
        if stop():
            raise Stopped
        reader = Reader(photo.size, thin=manner.thin, assume=manner.assume)
        found[photo] = _from_file(photo, reader)
        counts.update(reads=reader.reads, bytes=reader.bytes)
    return found, counts


def _from_file(photo: Photo, reader: Reader) -> Facts:
    try:
        with open(photo.path, "rb", buffering=0) as file:  # noqa: PTH123  the path is bytes
            while reader.wanted is not None:
                offset, length = reader.wanted
                file.seek(offset)
                data = file.read(length)
                reader.feed(data, ended=len(data) < length)
    except FileNotFoundError:
        return Facts("vanished", "it was listed, but no longer exists")
    except OSError as error:
        return Facts("unreadable", f"the server does not open it: {error.strerror}")
    return reader.facts or Facts("unreadable", "its metadata was not found")
