"""What every step of one run shares: its job, its store, and a name by which its parts know one another."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from anabranch.core.parts import Job
from anabranch.core.tally import Tally
from anabranch.uploads.ledger import Ledger
from anabranch.uploads.measuring import Measured
from anabranch.uploads.options import UploadOptions
from anabranch.uploads.retrying import health_of, retried
from anabranch.uploads.select import Chosen, Selection
from anabranch.uploads.stores.base import ParallelStore, SequentialStore, Stop

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Context:
    """One run, as the process that plans it sees it."""

    job: Job[UploadOptions]
    selection: Selection
    store: ParallelStore | SequentialStore
    stop: Stop = lambda: False
    tally: Tally = field(default_factory=Tally)
    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    measured: Measured = field(default_factory=Measured)

    @property
    def options(self) -> UploadOptions:
        """The user's choices."""
        return self.job.options

    @property
    def parts(self) -> ParallelStore:
        """The store, of a file that is sent in parts."""
        if self.store.in_order:
            raise TypeError("this store takes the bytes of a file in order")
        return self.store

    def ask(self, send: Callable[[], T]) -> T:
        """Ask the store, again and again where it is busy."""
        return retried(send, health_of(self.run), self.stop)

    def ledger(self, file: Chosen) -> Ledger:
        """Return the ledger of a file's key."""
        return Ledger(self.job.work_dir, self.selection.destination, file.key)
