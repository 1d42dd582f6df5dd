"""Begin the upload of a big file, or find the one that an earlier run began, here or on another machine."""

from collections.abc import Iterator, Sequence

from anabranch.core.errors import SetupError
from anabranch.uploads.context import Context
from anabranch.uploads.ledger import Entry
from anabranch.uploads.parts import ranges
from anabranch.uploads.pieces import Piece
from anabranch.uploads.plan import Opened, Unit
from anabranch.uploads.ranges import RangeFile, summed
from anabranch.uploads.select import Chosen
from anabranch.uploads.stores.base import Head, Stop, StoredPart, Upload, UploadGoneError
from anabranch.uploads.work import existing


def begin(context: Context, unit: Unit) -> Opened | str:
    """Return the file's opened upload, or skipped or unchanged where the object exists and is not to be replaced.

    An unfinished upload is taken up where the ledger of this file names it, or where the store lists one of exactly
    this key of which at least one part holds the bytes of the file; any other is left alone.
    """
    (file,) = unit.files
    ledger, refresh = context.ledger(file), context.job.refresh
    entry = None if refresh else ledger.read()
    head = context.ask(lambda: context.store.head(file.key))
    if head and (how := _existing(context, unit, head, entry)):
        return how
    opened = None if refresh else _found(context, file, unit.part_size, entry)
    if opened is None:
        opened = Opened(file, context.ask(lambda: context.parts.create(file.key)), _part_size(context, unit), {})
    ledger.write(Entry(file.path, file.stamp, opened.part_size, opened.upload))
    return opened


def _part_size(context: Context, unit: Unit) -> int:
    """Return what the user chose, or what suits the size of the file and the connections as this run has seen them."""
    if context.options.part_bytes:
        return unit.part_size
    in_flight, _ = context.options.in_flight
    return context.measured.part_size(unit.size, unit.part_size, context.store.limits.smallest_part, in_flight)


def _existing(context: Context, unit: Unit, head: Head, entry: Entry | None) -> str:
    """Return what the object that exists means; it may be the end of our own upload, whose answer was lost."""
    (file,) = unit.files
    policy, mine = context.options.if_exists, entry is not None and entry.stamp == file.stamp
    if mine and entry and entry.done and policy == "skip-same" and head.etag == entry.etag:
        return "unchanged"
    piece = Piece(file.path, file.label, file.key, file.stamp, length=unit.part_size)
    unfinished = mine and entry is not None and not entry.done
    if unfinished and policy == "fail" and existing(context.store, "skip-same", piece, head, context.stop):
        return "unchanged"
    return existing(context.store, policy, piece, head, context.stop)


def _found(context: Context, file: Chosen, wanted: int, entry: Entry | None) -> Opened | None:
    """Find an unfinished upload of which parts can be kept."""
    known = entry.upload if entry else None
    for upload in _candidates(context, file.key, known):
        try:
            held = context.ask(lambda upload=upload: context.parts.list_parts(upload))  # type: ignore[misc]
        except UploadGoneError:
            continue
        by_number = {part.number: part for part in held}
        if upload == known and entry and entry.stamp == file.stamp:
            return Opened(file, upload, entry.part_size, by_number)
        size = size_of_parts(held, wanted, file.stamp.size)
        if size and _holds_some(file, size, held, context.stop):
            return Opened(file, upload, size, by_number)
        if upload == known:
            context.ask(lambda upload=upload: context.parts.abort(upload))  # type: ignore[misc]  # ours, of former bytes
    return None


def _candidates(context: Context, key: str, known: Upload | None) -> Iterator[Upload]:
    """Yield the upload of our ledger, and then those of exactly this key that the store lists, newest first."""
    if known:
        yield known
    try:
        listed = context.ask(lambda: [upload for upload, _ in context.parts.list_uploads(key)])
    except SetupError:  # no right to list: then only the ledger resumes
        return
    yield from (upload for upload in listed if upload.key == key and (not known or upload.id != known.id))


def size_of_parts(held: Sequence[StoredPart], wanted: int, size: int) -> int:
    """Tell the size of the parts from those that are held; 0 where they are not the parts of a file of that size."""
    if not held:
        return 0
    for part_size in (max(part.size for part in held), wanted):
        lengths = {number: length for number, _, length in ranges(size, part_size)}
        if all(lengths.get(part.number) == part.size for part in held):
            return part_size
    return 0


def _holds_some(file: Chosen, part_size: int, held: Sequence[StoredPart], stop: Stop) -> bool:
    """Whether the first part that is held has the bytes of the file; each of the others is compared when it is sent."""
    first = held[0]
    with RangeFile(file.path, (first.number - 1) * part_size, first.size, stop) as body:
        return summed(body).matches(first)
