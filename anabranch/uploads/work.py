"""Send one part of a plan: a range of a file, or some small files; may run anywhere, twice, in any order."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar, cast

from anabranch.core.errors import AnabranchError, Stopped, as_ours
from anabranch.core.moving import Say, say_moved
from anabranch.core.parts import Manifest
from anabranch.uploads.concurrency import concurrency_of
from anabranch.uploads.in_order import send_in_order
from anabranch.uploads.options import IfExists
from anabranch.uploads.pieces import Piece, SendPart, Sent
from anabranch.uploads.ranges import RangeFile, require_unchanged, summed
from anabranch.uploads.retrying import health_of, retried
from anabranch.uploads.stores.base import (
    ExistsError,
    Head,
    ParallelStore,
    SequentialStore,
    Stop,
    Upload,
    UploadGoneError,
)
from anabranch.uploads.stores.opening import open_store
from anabranch.uploads.stores.secrets import Unlock, no_blocks

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SendManifest(Manifest):
    """What a part sent."""

    sent: tuple[Sent, ...] = field(default=())


def work(part: SendPart, stop: Stop = lambda: False, unlock: Unlock = no_blocks) -> SendManifest:
    """Send the part's pieces, several at a time where they are small files of their own.

    A part of a big file raises what it fails with; of small files each has its own error in the manifest.
    """
    store = open_store(part.destination, unlock)
    if not store.in_order and (upload := part.pieces[0].upload):
        return SendManifest((), sent=_send_parts(store, part, upload, stop))

    absent = _absent(store, part, stop)

    def one(piece: Piece) -> Sent | AnabranchError:
        known = piece.key in absent
        return _failed_or(piece, lambda: _put(store, part, piece, stop, known_absent=known))

    if len(part.pieces) == 1:
        found = [one(part.pieces[0])]  # in this thread, which is listened to
    else:
        with ThreadPoolExecutor(min(part.in_flight, len(part.pieces))) as pool:
            contexts = [copy_context() for _ in part.pieces]  # by which blocks are found
            found = list(pool.map(lambda context, piece: context.run(one, piece), contexts, part.pieces))
    sent = tuple(each for each in found if isinstance(each, Sent))
    return SendManifest((), sent=sent, errors=tuple(each for each in found if isinstance(each, AnabranchError)))


def _absent(store: ParallelStore | SequentialStore, part: SendPart, stop: Stop) -> set[str]:
    """Ask once which objects are not there, where it does no harm to replace one of the same bytes by mistake."""
    if store.in_order or part.if_exists != "skip-same" or len(part.pieces) == 1:
        return set()
    return retried(lambda: store.absent([piece.key for piece in part.pieces]), health_of(part.run), stop)


def _failed_or(piece: Piece, send: Callable[[], T]) -> T | AnabranchError:
    try:
        return send()
    except Stopped:
        raise
    except Exception as error:  # noqa: BLE001  the other files can be sent
        ours = as_ours(error, piece.label)
        ours.part = piece.label
        return ours


def _send_parts(store: ParallelStore, part: SendPart, upload: Upload, stop: Stop) -> tuple[Sent, ...]:
    """Send the ranges one after another.

    Of several the store is asked first: a worker that died may have sent some of them, and this be the second time.
    """
    pieces, held = part.pieces, {piece.number: piece.held for piece in part.pieces}
    if len(pieces) > 1:
        numbers = range(pieces[0].number, pieces[-1].number + 1)
        with suppress(UploadGoneError):  # which the store will say of the first part, if it is so
            listed = retried(lambda: store.list_parts(upload, numbers), health_of(part.run), stop)
            held = {each.number: each for each in listed}
        pieces = tuple(replace(piece, held=held.get(piece.number)) for piece in pieces)
    say, before, sent = say_moved(), 0, []
    for piece in pieces:
        moved = partial(_say_after, say, before) if say else None
        sent.append(_send_part(store, part, piece, moved, stop))
        before += piece.length
    return tuple(sent)


def _say_after(say: Say, before: int, size: int) -> None:
    say(before + size)


def _send_part(store: ParallelStore, part: SendPart, piece: Piece, moved: Say | None, stop: Stop) -> Sent:
    """Send a range, unless the store holds exactly these bytes already."""
    attempts, upload, turns = 0, cast("Upload", piece.upload), concurrency_of(part)

    def send() -> Sent:
        nonlocal attempts
        attempts += 1
        require_unchanged(piece.path, piece.stamp, piece.label)
        with turns.reading(), RangeFile(piece.path, piece.offset, piece.length, stop) as body:
            total = summed(body)
            if piece.held and attempts == 1 and total.matches(piece.held):
                return Sent(piece.key, piece.number, total.size, "kept", total.md5, piece.held, 0)
            body.moved = moved
            with turns.sending(total.size) as turn:
                stored = store.put_part(upload, piece.number, piece.offset, body, total)
        return Sent(
            piece.key, piece.number, total.size, "sent", total.md5, stored, attempts,
            seconds=turn.seconds, in_flight=turn.in_flight,
        )  # fmt: skip

    return retried(send, health_of(part.run), stop)


def _put(
    store: ParallelStore | SequentialStore, part: SendPart, piece: Piece, stop: Stop, *, known_absent: bool
) -> Sent:
    """Send a small file whole, where `if_exists` wants it."""
    health = health_of(part.run)
    asks = part.if_exists != "overwrite" and not known_absent
    head = None if not asks else retried(lambda: store.head(piece.key), health, stop)
    if head and (how := existing(store, part.if_exists, piece, head, stop)):
        return Sent(piece.key, 1, piece.length, how, attempts=0, etag=head.etag)
    if store.in_order:
        return send_in_order(store, part, piece, health, stop)
    attempts, turns = 0, concurrency_of(part)

    def send() -> Sent:
        nonlocal attempts
        attempts += 1
        require_unchanged(piece.path, piece.stamp, piece.label)
        with turns.reading(), RangeFile(piece.path, 0, piece.length, stop) as body:
            total = summed(body)
            try:
                with turns.sending(total.size):
                    made = store.put(piece.key, body, total, new=part.if_exists in ("fail", "skip"))
            except ExistsError:
                found = store.head(piece.key)
                if attempts == 1 or not (found and found.etag == total.md5):  # else an answer of ours was lost
                    if part.if_exists == "skip":
                        return Sent(piece.key, 1, piece.length, "skipped", attempts=attempts)
                    raise
                made = found
        return Sent(piece.key, 1, total.size, "sent", total.md5, attempts=attempts, etag=made.etag)

    return retried(send, health, stop)


def existing(store: ParallelStore | SequentialStore, if_exists: IfExists, piece: Piece, head: Head, stop: Stop) -> str:
    """Return skipped or unchanged where nothing is to be sent, else nothing; ExistsError with `if_exists` fail.

    The piece is the file's first.
    """
    if if_exists == "fail":
        raise ExistsError("destination-exists", "the object exists", "Choose another --if-exists.", piece.label)
    if if_exists == "skip":
        return "skipped"
    if if_exists == "skip-same" and store.same(piece.key, head, piece.path, piece.length, stop):
        return "unchanged"
    return ""
