"""The steps of an upload, however parts are mapped: choose files, and begin, send, complete and check each."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from anabranch.core.errors import AnabranchError, SetupError, Stopped
from anabranch.core.here import Mapped
from anabranch.core.parts import Job, Outcome, Report
from anabranch.core.storage import fingerprint
from anabranch.core.tally import FAILED, Tally
from anabranch.uploads.admission import Admission, Admitted, Slots, Unlimited
from anabranch.uploads.context import Context
from anabranch.uploads.finishing import cancel, finish, give_up
from anabranch.uploads.join import File, join
from anabranch.uploads.options import UploadOptions
from anabranch.uploads.pieces import SendPart
from anabranch.uploads.plan import Opened, SendPlan, Unit, parts_of, reads, units
from anabranch.uploads.select import Chosen, select
from anabranch.uploads.stores import local
from anabranch.uploads.stores.base import Stop, UploadGoneError
from anabranch.uploads.stores.opening import open_store
from anabranch.uploads.stores.secrets import Unlock, no_blocks
from anabranch.uploads.work import work

MOMENT = 0.2  # seconds that the map waits at a time while no file is under way
_ENDS_THE_RUN = (
    "destination-away",
    "destination-full",
    "destination-missing",
    "credentials-missing",
    "clock-skew",
    "disk-full",
)


def way(
    job: Job[UploadOptions],
    mapped: Mapped,
    slots: Slots | None = None,
    stop: Stop = lambda: False,
    tally: Tally | None = None,
    *,
    unlock: Unlock = no_blocks,
) -> Report:
    """Send all files, and report what became of each; `tally` says meanwhile how far they are.

    `unlock` returns what a block holds that the options name.

    Raises UsageError for what can be known before anything is sent, TemporaryError "destination-away" and
    "destination-full" and SetupError where nothing more can be sent; then, as after Stopped, the parts that were sent
    stay at the store, and the same run resumes.
    """
    selection = select(job.source, job.output or "", job.options)
    context = Context(job, selection, open_store(selection.destination, unlock), stop, tally or Tally())
    if selection.destination.kind == "file":
        sizes = {file.key: file.stamp.size for file in selection.files}
        local.require_room(Path(selection.destination.place), sizes)
    for file in selection.files:
        context.tally.expect(file.key, file.label, file.stamp.size)
    sending = _Sending(context, slots or Unlimited())
    sending.carry_out(mapped)
    in_flight, _ = job.options.in_flight
    notes = [*sending.notes, *context.measured.suggestions(in_flight)]
    return join(selection, sending.files, sending.outcomes, notes)


@dataclass(slots=True)
class _Flight:
    """A unit under way: its parts that have not ended, and what became of the others."""

    admitted: Admitted
    opened: Opened | None
    left: int
    outcomes: list[Outcome] = field(default_factory=list)
    last: bool = False  # whether its upload was begun once more already


class _Sending:
    """The files under way, and what became of the others."""

    def __init__(self, context: Context, slots: Slots) -> None:
        store = context.store
        every = units(context.selection.files, context.options, store.limits, in_order=store.in_order)
        self._context, self._admission = context, Admission(context, every, slots, self._note)
        self._by_key = {file.key: file for file in context.selection.files}
        self._flights: dict[int, _Flight] = {}  # by the index of a part
        self._parts = 0
        self.files: list[File] = []
        self.outcomes: list[Outcome] = []
        self.notes: list[str] = []

    def carry_out(self, mapped: Mapped) -> None:
        """Send everything, in one map that gets the parts of a file once it is admitted."""
        folder = self._context.job.work_dir / "plans" / fingerprint(self._context.run)
        plan = SendPlan((), str(folder), reads=reads(self._context.selection.files), grow=self._further)
        with self._admission:
            try:
                mapped(work, plan)
            except BaseException as error:
                if self._context.options.on_cancel == "abort" and (
                    isinstance(error, Stopped) or not isinstance(error, Exception)
                ):
                    self._admission.close()
                    self._abort()
                raise

    def _abort(self) -> None:
        for admitted in self._admission.active.values():
            if isinstance(admitted.begun, Opened):
                give_up(self._context, admitted.begun)
            cancel(self._context, admitted.unit)

    def _further(self, ended: Outcome | None) -> Sequence[SendPart] | None:
        """Note what became of a part, and return those that may be sent now; None once there will be no more."""
        parts = [*self._settled(ended)] if ended else []
        while admitted := self._admission.next(0 if parts or self._flights else MOMENT):
            parts += self._started(admitted)
        if not self._admission.ended or parts or self._flights:
            return parts
        if self._admission.error:  # what was under way has ended first
            raise self._admission.error
        return None

    def _started(self, admitted: Admitted) -> Sequence[SendPart]:
        """Return the parts of a unit that was admitted; none where nothing of it need be sent, or it failed."""
        if not admitted.unit.is_big:
            for file in admitted.unit.files:
                self._context.tally.begin(file.key, 1)
            return self._flying(admitted, admitted.unit)
        if (opened := self._opened(admitted)) is not None:
            return self._flying(admitted, opened)
        self._admission.release(admitted)
        return ()

    def _opened(self, admitted: Admitted) -> Opened | None:
        (file,), begun = admitted.unit.files, admitted.begun
        if isinstance(begun, AnabranchError):
            self._fail(file, begun)
        elif isinstance(begun, str):
            self._ended(File(file, begun))
        elif begun:
            self._context.tally.begin(file.key, -(-file.stamp.size // begun.part_size))
            if begun.upload.checksum == "md5" and self._context.selection.destination.kind == "s3":
                self._note("The server does not know CRC64NVME: parts are verified by their MD5.")
            return begun
        return None

    def _flying(self, admitted: Admitted, what: Opened | Unit, *, last: bool = False) -> Sequence[SendPart]:
        parts = parts_of(self._context, [what], self._parts)
        self._parts += len(parts)
        flight = _Flight(admitted, what if isinstance(what, Opened) else None, len(parts), last=last)
        self._flights |= {part.index: flight for part in parts}
        return parts

    def _settled(self, outcome: Outcome) -> Sequence[SendPart]:
        """Note what became of a part; finish its unit where that was the last, and give back its place."""
        flight = self._flights.pop(outcome.part.index)
        if outcome.done:
            self._context.measured.add(outcome.manifest.sent)
        self.outcomes.append(outcome)
        flight.outcomes.append(outcome)
        flight.left -= 1
        if flight.opened is None:
            self._note_small_files(outcome)
        if flight.left:
            return ()
        if flight.opened and (again := self._finished(flight, flight.opened)):
            return self._flying(flight.admitted, again, last=True)
        self._admission.release(flight.admitted)
        return ()

    def _note_small_files(self, outcome: Outcome) -> None:
        pieces = cast("SendPart", outcome.part).pieces
        if outcome.error:
            for piece in pieces:
                self._fail(self._by_key[piece.key], outcome.error)
            return
        for sent in outcome.manifest.sent:
            size = sent.size if sent.how == "sent" else 0
            self._ended(File(self._by_key[sent.key], sent.how, sent.etag, size, attempts=sent.attempts))
        keys = {piece.label: piece.key for piece in pieces}
        for error in outcome.manifest.errors:
            self._fail(self._by_key[keys[error.part]], error)

    def _finished(self, flight: _Flight, opened: Opened) -> Opened | None:
        """Complete a file whose parts have all ended; where its upload was gone, begin it once more."""
        try:
            self._ended(finish(self._context, opened, flight.outcomes))
        except UploadGoneError as error:
            if not flight.last:
                give_up(self._context, opened)
                flight.admitted.begun = self._admission.begun(flight.admitted.unit)
                return self._opened(flight.admitted)
            self._fail(opened.file, error)
        except AnabranchError as error:
            self._fail(opened.file, error)
        return None

    def _fail(self, file: Chosen, error: AnabranchError) -> None:
        """Note that a file failed; raise where all others would fail alike."""
        if error.code in _ENDS_THE_RUN or (isinstance(error, SetupError) and not self.files):
            raise error
        own = copy(error)  # of a group's files each has its own
        own.part = file.label
        self._ended(File(file, FAILED, error=own))

    def _ended(self, one: File) -> None:
        self.files.append(one)
        self._context.tally.end(one.file.key, one.how)

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
