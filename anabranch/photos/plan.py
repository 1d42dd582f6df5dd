"""Plan the reading: list the photos, leave out what is known, and cut the rest into parts."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from types import MappingProxyType

from anabranch.core.batches import MOST_PARTS
from anabranch.core.errors import UsageError
from anabranch.core.outputs import require_writable
from anabranch.core.parts import Job, Part, Plan, WorkFile
from anabranch.core.storage import fingerprint, published, shown
from anabranch.core.words import many
from anabranch.photos.addresses import Place, place, place_label
from anabranch.photos.fetching import Manner, Photo
from anabranch.photos.known import Known, photos_key
from anabranch.photos.listing import Listed, RemoteListing, Rules, list_here, list_url
from anabranch.photos.options import PhotoOptions
from anabranch.photos.positions import Facts
from anabranch.sftp.addresses import Server
from anabranch.sftp.connecting import Access
from anabranch.sftp.hosts import Unlock, host

_PART = 600  # photos, at most, while there are few enough parts; the window of requests runs empty after each part
_FEW = 10  # photos for which a second connection would not pay
_CONNECTIONS = 4
# A connection reads so many photos in a round trip: 128 are in flight, of 2.4 round trips each, and a third is lost at
# the ends of parts. So it reads fewer a second than one process can where the round trip is longer than 12 ms.
_A_ROUND_TRIP = 35
_A_PROCESS = 3000  # photos a second
_SECONDS = 1e-3  # of work that a photo costs, most of it waiting
_PYTHON_SECONDS, _AT_URL = 2.5e-4, 6e-4  # of that with Python's lock held, and of a photo at a URL
FORMATS = (".csv", ".geojson", ".gpx", ".kml", ".parquet", "geo.txt", ".summary.json", ".html")
"""What the name of an output ends in, by which its format is known."""


@dataclass(frozen=True, slots=True)
class PhotoPart(Part):
    """Photos of one server, or of this machine, that are listed in a file."""

    todo: str
    folder: str
    server: Server | None
    access: Access
    manner: Manner
    connections: int
    photos: int


@dataclass(frozen=True, slots=True)
class Extraction(Plan[PhotoPart]):
    """All photos, what is known of them, and the parts that read the others."""

    counted = MappingProxyType({"photos": "photos", "ok": "positions"})

    places: tuple[Listed, ...] = ()
    photos: tuple[tuple[Server | None, Photo], ...] = ()  # in the order of the table
    known: tuple[dict[Photo, Facts], ...] = ()  # for each server of `servers`
    servers: tuple[Server | None, ...] = ()
    todo: tuple[tuple[Photo, ...], ...] = ()  # of each part
    options: PhotoOptions = field(default_factory=PhotoOptions)
    work_dir: Path = Path()
    output: str | None = None

    @property
    def targets(self) -> list[Path]:
        """The files that the run writes; without an output the first is a table in the plan's folder."""
        first = self.output or Path(self.folder) / f"{fingerprint(self.output)}.csv"
        return [Path(first), *map(Path, self.options.further_outputs)]

    def save(self) -> None:
        """Write the photos of each part into its file."""
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        for part, photos in zip(self.parts, self.todo, strict=True):
            with published(Path(part.todo), durable=False) as file:
                file.write(dumped(photos))

    def written(self, named: Sequence[Path]) -> Sequence[Path]:
        """Leave out the table where there is no photo."""
        return named if self.photos else ()

    def notes(self) -> Iterator[tuple[str, str]]:
        """Return how many photos each source has, how many are known, and what cannot be listed."""
        for listed in self.places:
            yield "photos", f"{len(listed.photos):,} in {many(listed.folders, 'folder')} of {listed.place.label}"
        known = sum(len(facts) for facts in self.known)
        if known:
            yield "known", f"{known:,} of them are unchanged since they were read"
        for listed in self.places:
            yield from (("warning", text) for text in listed.all_warnings)
            yield from (("fails", str(error)) for error in listed.errors)


def check(source: Sequence[str], output: str | None, options: PhotoOptions) -> list[Path]:
    """Return which files will be written, if any. Raises UsageError for what can be known before anything is read."""
    for one in source:
        named = place(one)
        if named.is_folder and not Path(os.fsdecode(named.folder)).is_dir():
            raise UsageError("source-missing", "there is no such folder", "Check the path.", named.label)
    if options.key_file and not Path(options.key_file).expanduser().is_file():
        raise UsageError("source-missing", "there is no such key", "Check --key-file.", options.key_file)
    outputs = [*([] if output is None else [output]), *options.further_outputs]
    for one in outputs:
        if not one.lower().endswith(FORMATS):
            names = ", ".join(FORMATS)
            raise UsageError("output-format", f"the output's name ends in none of {names}", "Name it so.", one)
        if one.lower().endswith(".html"):
            _require_plotly(one)
    paths = [Path(one) for one in outputs]
    require_writable(paths, [])
    for path, count in Counter(path.resolve() for path in paths).items():
        if count > 1:
            raise UsageError("same-output", "two outputs are the same file", "Name each once.", shown(str(path)))
    return paths


def _require_plotly(output: str) -> None:
    if not find_spec("plotly"):
        reason = "a page of flight paths needs the package plotly, which is not installed"
        raise UsageError("format-missing", reason, "pip install 'anabranch[maps]'", output)


def plan(job: Job[PhotoOptions], unlock: Unlock) -> Extraction:
    """List the sources, and plan the reading of what is not known.

    Raises UsageError where a source is missing, SetupError where a server is not the right one or refuses the login,
    and TemporaryError where it does not answer. A folder that cannot be listed is an error of its source.
    """
    options = job.options
    key_file = options.key_file and str(Path(options.key_file).expanduser())
    access = Access(options.host_key, key_file, options.credentials)
    places = tuple(_listed(named, job, access, unlock) for named in dict.fromkeys(place(one) for one in job.source))
    photos = list(dict.fromkeys((listed.place.server, photo) for listed in places for photo in listed.photos))
    servers = tuple(dict.fromkeys(server for server, _ in photos))
    folder = job.work_dir / "photos" / fingerprint(photos_key(), job.source, options.model_dump())
    manner = Manner(options.thin, options.assume or "", options.photo_timeout)
    known: list[dict[Photo, Facts]] = []
    parts: list[PhotoPart] = []
    todo: list[tuple[Photo, ...]] = []
    python_seconds, at_once = 0.0, 0
    for server in servers:
        those = [photo for where, photo in photos if where == server]
        facts = {} if job.refresh else Known(job.work_dir, server, options.assume or "").find(those)
        known.append(facts)
        left = [photo for photo in those if photo not in facts]
        round_trip = min(listed.round_trip for listed in places if listed.place.server == server)
        connections, waits = connections_for(len(left), job.threads, round_trip, options)
        if not waits:
            python_seconds += sum(_AT_URL if photo.url else _PYTHON_SECONDS for photo in left)
        at_once = max(at_once, connections if connections > job.threads else 0)
        for run in _runs(len(left), connections if server else job.threads):
            todo.append(tuple(left[run.start : run.stop]))
            template = PhotoPart(len(parts), "", 0, "", "", str(folder), server, access, manner, connections, 0)
            parts.append(_part(template, todo[-1], photos_key()))
    return Extraction(
        tuple(parts),
        str(folder),
        python_seconds=python_seconds,
        at_once=at_once,
        reads=_reads([photo for server, photo in photos if server is None and not photo.url]),
        places=places,
        photos=tuple(photos),
        known=tuple(known),
        servers=servers,
        todo=tuple(todo),
        options=options,
        work_dir=job.work_dir,
        output=job.output,
    )


def _reads(photos: Sequence[Photo]) -> tuple[WorkFile, ...]:
    """Return the first and the last photo of this machine: a cluster's workers must see them, or they would be gone."""
    ends = dict.fromkeys((photos[0], photos[-1]) if photos else ())
    return tuple(
        WorkFile(os.fsdecode(photo.path), photo.size or 0, (photo.mtime or 0) * 1_000_000_000) for photo in ends
    )


def _listed(named: Place, job: Job[PhotoOptions], access: Access, unlock: Unlock) -> Listed:
    options = job.options
    rules = Rules(options.all_files, options.depth, options.most_photos)
    if named.server is None:
        return list_here(named, rules) if named.is_folder else list_url(named, rules)
    listing = RemoteListing(named, rules, options.photo_timeout)
    host(named.server, access).carry_out(listing, unlock, lambda: False, options.connections or _CONNECTIONS)
    return listing.listed


def connections_for(photos: int, threads: int, round_trip: float, options: PhotoOptions) -> tuple[int, bool]:
    """Return how many connections to a server pay, and whether all of them wait more than one process works.

    Each takes several round trips to open, one after another; `round_trip` is in seconds.
    """
    to_fill_a_process = round_trip * _A_PROCESS / _A_ROUND_TRIP
    if options.connections:
        connections = options.connections
    elif to_fill_a_process <= 1:
        connections = 1 if photos <= _FEW else min(_CONNECTIONS, threads)
    else:
        connections = max(1, min(_CONNECTIONS, photos // _PART))
    return connections, connections < to_fill_a_process


def _runs(photos: int, at_once: int) -> list[range]:
    """Cut the photos into parts of equal size: for each connection one, and none above 600 photos, but 200 in all."""
    if not photos:
        return []
    count = min(max(ceil(photos / _PART), min(at_once, ceil(photos / _FEW))), MOST_PARTS)
    ends = [photos * index // count for index in range(count + 1)]
    return [range(ends[index], ends[index + 1]) for index in range(count)]


def _part(template: PhotoPart, photos: Sequence[Photo], code: str) -> PhotoPart:
    """Complete a part that has its place and its server."""
    key = fingerprint("photos", code, template.server, photos, template.manner.assume)
    more = f" and {len(photos) - 1:,} more" if len(photos) > 1 else ""
    return replace(
        template,
        label=place_label(template.server, photos[0].path) + more,
        cost=len(photos) * _SECONDS,
        key=key,
        todo=str(Path(template.folder) / f"{key}.todo.json"),
        photos=len(photos),
    )


def dumped(photos: Sequence[Photo]) -> bytes:
    """Write photos as JSON."""
    return json.dumps([photo.row for photo in photos], separators=(",", ":")).encode()


def loaded(data: bytes) -> list[Photo]:
    """Read what `dumped` wrote."""
    return [Photo.of(row) for row in json.loads(data)]


def path_facts(pattern: re.Pattern[str], path: str) -> dict[str, str]:
    """Take site, date and pilot from a path; a date written MM-DD-YYYY becomes YYYY-MM-DD."""
    match = pattern.search(path)
    found = {name: text or "" for name, text in match.groupdict().items()} if match else {}
    date = re.fullmatch(r"(\d{2})-(\d{2})-(\d{4})", found.get("date", ""))
    return found | ({"date": f"{date[3]}-{date[1]}-{date[2]}"} if date else {})
