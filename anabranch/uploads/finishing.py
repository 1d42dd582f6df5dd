"""Finish the upload of a big file: complete it, and hold the object against what was sent."""

from collections.abc import Sequence
from contextlib import suppress

from anabranch.core.errors import AnabranchError, SourceError, TemporaryError
from anabranch.core.parts import Outcome
from anabranch.uploads.context import Context
from anabranch.uploads.join import File
from anabranch.uploads.ledger import Entry
from anabranch.uploads.pieces import Sent
from anabranch.uploads.plan import Opened, Unit
from anabranch.uploads.ranges import require_unchanged
from anabranch.uploads.stores.base import ExistsError, Head, UploadGoneError
from anabranch.uploads.tags import joined_tag


def finish(context: Context, opened: Opened, outcomes: Sequence[Outcome]) -> File:
    """Complete the upload once all its parts are there, and note it in the ledger.

    Raises what a part failed with; UploadGoneError where the store has lost the upload and the object is not ours. A
    source that changed drops the upload, and the former object stays.
    """
    file = opened.file
    try:
        _raise_first(outcomes)
        require_unchanged(file.path, file.stamp, file.label)
    except SourceError:
        give_up(context, opened)
        raise
    sent = sorted((one for outcome in outcomes for one in outcome.manifest.sent), key=lambda one: one.number)
    wanted = Head(file.stamp.size, joined_tag([one.md5 for one in sent]))
    try:
        head = _completed(context, opened, sent, wanted)
    except ExistsError:
        give_up(context, opened)
        if context.options.if_exists != "skip":
            raise
        return File(file, "skipped")
    context.ledger(file).write(Entry(file.path, file.stamp, opened.part_size, etag=head.etag or wanted.etag))
    return File(
        file, "sent", head.etag or wanted.etag, sum(one.size for one in sent if one.how == "sent"),
        parts=len(sent), kept=sum(one.how == "kept" for one in sent), attempts=sum(one.attempts for one in sent),
        part_size=opened.part_size,
    )  # fmt: skip


def give_up(context: Context, opened: Opened) -> None:
    """Drop the upload and forget it; a store that does not answer keeps it, and the next run finds it."""
    with suppress(AnabranchError):
        context.parts.abort(opened.upload)
    context.ledger(opened.file).remove()


def cancel(context: Context, unit: Unit) -> None:
    """Drop the sessions of a unit's files at a store that takes bytes in order."""
    if context.store.in_order:
        for ledger in map(context.ledger, unit.files):
            if (entry := ledger.read()) and entry.session:
                with suppress(AnabranchError):
                    context.store.cancel(entry.session)
                ledger.remove()


def _raise_first(outcomes: Sequence[Outcome]) -> None:
    """Raise the weightiest error: what ends the run before what ends the file."""
    errors = [error for outcome in outcomes for error in outcome.errors]
    for kind in (TemporaryError, SourceError, UploadGoneError, AnabranchError):
        for error in errors:
            if isinstance(error, kind):
                raise error


def _completed(context: Context, opened: Opened, sent: Sequence[Sent], wanted: Head) -> Head:
    """Complete, and ask what the object is.

    An answer may be lost, and then a second try finds no upload any more, or an object that exists: where that is what
    we sent, it is success.
    """
    parts, key = [one.part for one in sent if one.part], opened.file.key
    new, failure = context.options.if_exists in ("fail", "skip"), None
    try:
        context.ask(lambda: context.parts.complete(opened.upload, parts, new=new))
    except (UploadGoneError, ExistsError) as error:
        failure = error
    head = context.ask(lambda: context.store.head(key))
    if head and _is_ours(head, wanted, opened) and (not failure or _shows_ours(context, head, wanted, opened)):
        return head
    raise failure or AnabranchError(
        "object-differs",
        f"the object at the destination is not what was sent (its tag is {head.etag if head else 'missing'}, "
        f"and {wanted.etag} was expected)",
        "Another program may have replaced it: run the same command again.",
        opened.file.label,
    )


def _is_ours(head: Head, wanted: Head, opened: Opened) -> bool:
    comparable = opened.upload.md5_etags and head.etag
    return head.size == wanted.size and (not comparable or head.etag == wanted.etag)


def _shows_ours(context: Context, head: Head, wanted: Head, opened: Opened) -> bool:
    """Whether the bytes of an object are ours, which another program may have made: its tag tells, or they are read."""
    file, size = opened.file, opened.part_size
    same = context.store.same
    return head.etag == wanted.etag or context.ask(lambda: same(file.key, head, file.path, size, context.stop))
