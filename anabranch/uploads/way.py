"""The steps of an upload, however parts are mapped: choose files; in rounds begin, send, complete and check them."""

import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from copy import copy
from typing import cast

from anabranch.core.errors import AnabranchError, SetupError, Stopped, TemporaryError
from anabranch.core.here import Mapped
from anabranch.core.parts import Job, Outcome, Report
from anabranch.core.storage import fingerprint
from anabranch.core.tally import FAILED, Tally
from anabranch.uploads.admission import Slots, Unlimited
from anabranch.uploads.beginning import begin
from anabranch.uploads.context import Context
from anabranch.uploads.finishing import cancel, finish, give_up
from anabranch.uploads.join import File, join
from anabranch.uploads.memory import used_percent
from anabranch.uploads.options import UploadOptions
from anabranch.uploads.pieces import SendPart
from anabranch.uploads.plan import Opened, Unit, round_of, units
from anabranch.uploads.select import Chosen, select
from anabranch.uploads.stores.base import Stop, UploadGoneError
from anabranch.uploads.stores.opening import open_store
from anabranch.uploads.work import work

MOST_UNITS = 20  # that one round takes, where places are not limited
MEMORY_SECONDS = 600  # to wait for memory
_ENDS_THE_RUN = ("destination-away", "destination-full", "destination-missing", "credentials-missing", "clock-skew")


def way(
    job: Job[UploadOptions],
    mapped: Mapped,
    slots: Slots | None = None,
    stop: Stop = lambda: False,
    tally: Tally | None = None,
) -> Report:
    """Send all files, and report what became of each; `tally` says meanwhile how far they are.

    Raises UsageError for what can be told before anything is sent, TemporaryError "destination-away" and
    "destination-full" and SetupError where nothing more can be sent; then, as after Stopped, the parts that were sent
    stay at the store, and the same run resumes.
    """
    selection = select(job.source, job.output or "", job.options)
    context = Context(job, selection, open_store(selection.destination), stop, tally or Tally())
    for file in selection.files:
        context.tally.expect(file.key, file.label, file.stamp.size)
    waiting, rounds = deque(_units(context)), _Rounds(context, mapped, slots)
    while waiting:
        rounds.one(waiting)
    return join(selection, rounds.files, rounds.outcomes, rounds.notes)


def _units(context: Context) -> list[Unit]:
    store = context.store
    return units(context.selection.files, context.options, store.limits, in_order=store.in_order)


class _Rounds:
    """Rounds of sending, and what became of the files so far."""

    def __init__(self, context: Context, mapped: Mapped, slots: Slots | None) -> None:
        self._context, self._mapped, self._slots = context, mapped, slots or Unlimited()
        self._by_key = {file.key: file for file in context.selection.files}
        self.files: list[File] = []
        self.outcomes: list[Outcome] = []
        self.notes: list[str] = []

    def one(self, waiting: deque[Unit]) -> None:
        """Send as many of the waiting units as places are granted for, one at least."""
        self._await_memory()
        with ExitStack() as held:
            admitted = self._admitted(waiting, held)
            opened = [one for unit in admitted if unit.is_big for one in self._begun(unit)]
            try:
                outcomes = self._sent(opened, [unit for unit in admitted if not unit.is_big])
                again = self._finished(opened, outcomes)
                self._finished(again, self._sent(again, []), last=True)
            except BaseException as error:
                if self._context.options.on_cancel == "abort" and (
                    isinstance(error, Stopped) or not isinstance(error, Exception)
                ):
                    for each in opened:
                        give_up(self._context, each)
                    for unit in admitted:
                        cancel(self._context, unit)
                raise

    def _await_memory(self) -> None:
        """Begin no further file while more of the memory is in use than the run may see."""
        most, end = self._context.options.max_memory_percent, time.monotonic() + MEMORY_SECONDS
        while (used := used_percent()) > most:
            if self._context.stop():
                raise Stopped
            if time.monotonic() > end:
                raise TemporaryError(
                    "memory-short",
                    f"{used:.0f}% of the memory is in use, and no file is started above {most:.0f}%",
                    "Free some, or choose another --max-memory, and run the same command again.",
                )
            self._note(f"Files waited for memory: more than {most:.0f}% was in use.")
            time.sleep(1)

    def _admitted(self, waiting: deque[Unit], held: ExitStack) -> list[Unit]:
        """Take units from the queue: wait for the first, and take others only where they can begin at once.

        A run that waits holds nothing that others wait for, but the lock of its first file; so none waits for ever.
        """
        admitted: list[Unit] = []
        for _ in range(min(MOST_UNITS, len(waiting))):
            unit, first = waiting[0], not admitted
            with ExitStack() as taken:
                if not self._takes(unit, taken, wait=first):
                    break
                held.push(taken.pop_all())
            admitted.append(waiting.popleft())
        return admitted

    def _takes(self, unit: Unit, taken: ExitStack, *, wait: bool) -> bool:
        locked = unit.files if unit.is_big or self._context.store.in_order else ()
        for file in sorted(locked, key=lambda file: file.key):  # the same order everywhere, so that none waits for ever
            if not taken.enter_context(self._context.ledger(file).locked(self._context.stop, wait=wait)):
                return False
        return taken.enter_context(self._slots.take(wait=wait))

    def _begun(self, unit: Unit) -> list[Opened]:
        """Open a big file's upload; nothing where it need not be sent, or fails."""
        (file,) = unit.files
        try:
            begun = begin(self._context, unit)
        except AnabranchError as error:
            self._fail(file, error)
            return []
        if isinstance(begun, str):
            self._ended(File(file, begun))
            return []
        self._context.tally.begin(file.key, -(-file.stamp.size // begun.part_size))
        if begun.upload.checksum == "md5" and self._context.selection.destination.kind == "s3":
            self._note("The server does not know CRC64NVME: parts are verified by their MD5.")
        return [begun]

    def _sent(self, opened: Sequence[Opened], groups: Sequence[Unit]) -> list[Outcome]:
        """Map the parts of one round, and note what became of the small files."""
        if not (opened or groups):
            return []
        folder = self._context.job.work_dir / "plans" / fingerprint(self._context.run)
        for file in (file for unit in groups for file in unit.files):
            self._context.tally.begin(file.key, 1)
        outcomes = self._mapped(work, round_of(self._context, opened, groups, str(folder)))
        self.outcomes += outcomes
        for outcome in outcomes:
            self._note_small_files(outcome)
        return outcomes

    def _note_small_files(self, outcome: Outcome) -> None:
        pieces = cast("SendPart", outcome.part).pieces
        if pieces[0].upload:
            return
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

    def _finished(self, opened: Sequence[Opened], outcomes: Sequence[Outcome], *, last: bool = False) -> list[Opened]:
        """Complete the files whose parts are all there; return those whose upload was gone, begun once more."""
        again: list[Opened] = []
        for one in opened:
            own = [each for each in outcomes if cast("SendPart", each.part).pieces[0].upload == one.upload]
            try:
                self._ended(finish(self._context, one, own))
            except UploadGoneError as error:
                if last:
                    self._fail(one.file, error)
                else:
                    give_up(self._context, one)
                    again += self._begun(Unit((one.file,), one.part_size))
            except AnabranchError as error:
                self._fail(one.file, error)
        return again

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
