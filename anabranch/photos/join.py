"""Join what the parts found with what was known: one table in the order of the listing, and the report."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anabranch.core.errors import AnabranchError
from anabranch.core.parts import ErrorLine, Outcome, PartCounts, Report, Written
from anabranch.core.storage import published
from anabranch.photos import outputs
from anabranch.photos.fetching import Photo
from anabranch.photos.known import Known, lasting
from anabranch.photos.layers import left_out_of_geo, write
from anabranch.photos.maps import flight_paths
from anabranch.photos.options import PhotoOptions
from anabranch.photos.plan import Extraction, PhotoPart
from anabranch.photos.positions import STATUSES, Facts
from anabranch.photos.sites import Site, by_folder, sites
from anabranch.photos.summary import figures, in_words
from anabranch.photos.work import results
from anabranch.sftp.addresses import Server

_MOST_WARNINGS = 50  # photos that are named; the table has them all


@dataclass(slots=True)
class _Found:
    """What is known of every photo."""

    facts: dict[Server | None, dict[Photo, Facts]] = field(default_factory=dict)
    known: int = 0
    failed: int = 0  # photos of parts that failed


def join(plan: Extraction, outcomes: Sequence[Outcome], seconds: float = 0.0) -> Report:
    """Write the table, whatever the order in which the outcomes came; done again, it writes the same bytes.

    Keeps what was read for later runs. Where a part failed nothing is published, since a whole table may be there.
    """
    ordered = sorted(outcomes, key=lambda outcome: outcome.part.index)
    found = _gathered(plan, ordered)
    rows = list(_rows(plan, found))
    _account(plan, rows, found)
    found_sites = sites(rows, plan.options)
    targets = plan.targets if plan.photos and not found.failed else []
    written = _write(targets, rows, found_sites, plan.options)
    read = _read(ordered)
    report = _report(plan, ordered, rows, read)
    report.items |= {"photos": len(rows) + found.failed, "known": found.known}
    report.bytes_out = sum(one.size for one in written)
    report.outputs, report.written = [one.name for one in written], written
    report.pictures = flight_paths(found_sites, plan.options)
    report.details = _details(found_sites) | {"positions": _positions(found_sites, read, seconds)}
    return report


def _write(
    targets: Sequence[Path], rows: Sequence[outputs.Row], found: Sequence[Site], options: PhotoOptions
) -> list[Written]:
    """Write all outputs aside, and put them in their places once each of them is whole."""
    written: list[Written] = []
    with ExitStack() as stack:
        for target in targets:
            target.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(published(target, keep_equal=True, written=written))
            write(target, file, rows, found, options)
    return written[::-1]  # in the order of the targets; the last is put in its place first


def _gathered(plan: Extraction, outcomes: Sequence[Outcome]) -> _Found:
    found = _Found(known=sum(len(facts) for facts in plan.known))
    fresh: dict[Server | None, dict[Photo, Facts]] = {}
    for outcome in outcomes:
        if not isinstance(outcome.part, PhotoPart):
            continue
        if not outcome.done:
            found.failed += outcome.part.photos
            continue
        [file] = outcome.manifest.files
        facts = dict(results(file))
        fresh.setdefault(outcome.part.server, {}).update(facts)
        if not all(lasting(one) for one in facts.values()):
            os.utime(file.path, (0, 0))  # no later run takes this part from the cache
    for server, known in zip(plan.servers, plan.known, strict=True):
        found.facts[server] = known | fresh.get(server, {})
        Known(plan.work_dir, server, plan.options.assume or "").add(fresh.get(server, {}))
    return found


def _rows(plan: Extraction, found: _Found) -> Iterator[outputs.Row]:
    pattern = re.compile(plan.options.path_pattern)
    several = len(plan.servers) > 1
    for server, photo in plan.photos:
        facts = found.facts[server].get(photo)
        if facts is None:
            continue
        if facts.status == "not_a_photo":
            if plan.options.all_files:
                continue
            facts = facts._replace(status="unreadable")
        yield outputs.row(photo, facts, pattern, str(server) if several and server else "")


def _account(plan: Extraction, rows: Sequence[outputs.Row], found: _Found) -> None:
    """Raise unless every photo that was listed has a row, is known not to be a photo, or is in a part that failed."""
    others = sum(facts.status == "not_a_photo" for server in plan.servers for facts in found.facts[server].values())
    expected = len(rows) + found.failed + (others if plan.options.all_files else 0)
    if expected != len(plan.photos):
        raise AnabranchError(
            "accounting",
            f"{len(plan.photos)} photos were listed, {len(rows)} have a row, {found.failed} failed",
            "This is a defect of Anabranch: nothing was written. Please report it.",
        )


def _read(outcomes: Sequence[Outcome]) -> Counter[str]:
    """Sum what this run itself read: photos by status, reads and bytes."""
    read = Counter[str]()
    for outcome in outcomes:
        if outcome.done and not outcome.cached:
            read.update(outcome.manifest.counts)
    return read


def _report(
    plan: Extraction, outcomes: Sequence[Outcome], rows: Sequence[outputs.Row], read: Mapping[str, int]
) -> Report:
    unlisted = [error for listed in plan.places for error in listed.errors]
    failed = [error for outcome in outcomes for error in outcome.errors]
    parts = PartCounts.of(outcomes)
    parts.total += len(unlisted)
    parts.failed += len(unlisted)
    counts = Counter(one["status"] for one in rows)
    items: dict[str, int] = {"photos": 0, **{status: counts.get(status, 0) for status in STATUSES}}
    items |= {"folders": sum(listed.folders for listed in plan.places), "known": 0, "read": read.get("photos", 0)}
    if plan.options.all_files:
        items["other_files"] = len(plan.photos) - len(rows)
    return Report(
        flow="extract-gps",
        status="completed" if plan.photos or unlisted else "nothing_to_do",
        parts=parts,
        items=items,
        bytes_in=read.get("bytes", 0),
        errors=[ErrorLine.of(error) for error in [*unlisted, *failed]],
        warnings=[*(text for listed in plan.places for text in listed.all_warnings), *_warnings(plan, rows)],
    )


def _warnings(plan: Extraction, rows: Sequence[outputs.Row]) -> Iterator[str]:
    odd = [
        f"{one['path']} is {one['status']}: {one['reason']}"
        for one in rows
        if one["status"] in ("unreadable", "timeout", "vanished")
    ]
    yield from _first(odd, "each with its reason in the table")
    if any(target.name.lower().endswith("geo.txt") for target in plan.targets):
        yield from _first(list(left_out_of_geo(rows)), "which are not in geo.txt either")


def _first(lines: Sequence[str], more: str) -> Iterator[str]:
    yield from lines[:_MOST_WARNINGS]
    if len(lines) > _MOST_WARNINGS:
        yield f"and {len(lines) - _MOST_WARNINGS:,} more photos, {more}"


def _details(found: Sequence[Site]) -> dict[str, dict[str, Any]]:
    """Sum up each folder."""
    folders = by_folder(photo for site in found for photo in site.photos)
    return {folder: in_words(photos) for folder, photos in folders.items()}


def _positions(found: Sequence[Site], read: Mapping[str, int], seconds: float) -> dict[str, Any]:
    """Sum up all photos, and tell how fast they were read."""
    known = figures([photo for site in found for photo in site.photos])
    if read.get("photos"):
        known["kb_per_photo"] = round(read["bytes"] / read["photos"] / 1000, 1)
        known["reading_seconds"] = round(seconds, 3)
        known["photos_per_second"] = round(read["photos"] / seconds) if seconds else None
    return known
