"""Count in the run's tally what becomes of each part, as it arrives, and how far those in flight are."""

from collections.abc import Callable
from typing import cast

from anabranch.core.here import Seen
from anabranch.core.parts import Outcome, Part
from anabranch.core.tally import Tally
from anabranch.uploads.pieces import SendPart


def counting(tally: Tally) -> Seen:
    """Return what is to be called with each outcome."""

    def seen(outcome: Outcome) -> None:
        pieces = cast("SendPart", outcome.part).pieces
        left = {(piece.key, piece.number) for piece in pieces}
        for sent in outcome.manifest.sent if outcome.done else ():
            left.remove((sent.key, sent.number))
            tally.add(sent.key, sent.number, sent.size, sent.size if sent.how == "sent" else 0)
        for key, number in left:
            tally.fail(key, number)

    return seen


def noting(tally: Tally) -> Callable[[Part, int], None]:
    """Return what is to be called with how many bytes of its pieces, one after another, a part has moved."""

    def moved(part: Part, size: int) -> None:
        pieces = cast("SendPart", part).pieces
        for piece in pieces if pieces[0].upload else pieces[:1]:
            if size <= piece.length:
                tally.moving(piece.key, piece.number, size)
                return
            tally.add(piece.key, piece.number, piece.length, piece.length)  # since the next one has begun
            size -= piece.length

    return moved
