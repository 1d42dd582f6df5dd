"""Any sequence of what can happen to an upload: the object is the file or the former one, and little is sent twice."""

import random
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from anabranch.core.errors import Stopped
from anabranch.core.here import map_here
from anabranch.core.parts import Job
from anabranch.uploads.ledger import FOLDER
from anabranch.uploads.options import UploadOptions
from anabranch.uploads.stores.local import FolderStore
from anabranch.uploads.way import way
from tests.uploads.sending import Crash

PART = 100  # bytes
LARGEST = 8  # parts
SIZES = st.one_of(st.integers(3 * PART, LARGEST * PART), st.integers(0, PART))  # mostly of several parts
MACHINES = st.sampled_from([1, 2])


BETWEEN = ("lose_the_ledgers", "change_one_byte_of_the_source", "unfinished_uploads_are_swept_away")


class Uploads(RuleBasedStateMachine):
    """One file, one destination, two machines with a work folder each."""

    def __init__(self):
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="uploads-"))
        self.source, self.target = self.root / "source", self.root / "store" / "key"
        self.target.parent.mkdir()
        self.version = 0
        self.allowed = {None}  # what the object may be
        self.held = set()  # the parts' bytes that the store has accepted since the object was made last

    def teardown(self):
        shutil.rmtree(self.root)

    @initialize(size=SIZES)
    def first_file(self, size):
        self._write(size)

    def _write(self, size):
        self.version += 1
        self.source.write_bytes(random.Random(self.version).randbytes(size))

    def _send(self, machine, seen):
        options = UploadOptions(part_size=str(PART), parts_in_flight=1)
        job = Job([str(self.source)], str(self.target), options, self.root / f"work{machine}", 1)
        return way(job, lambda work, plan: map_here(work, plan, 1, seen))

    @rule(
        machine=MACHINES, parts=st.integers(1, 3), then=st.lists(st.sampled_from(BETWEEN), max_size=2), data=st.data()
    )
    def crash_and_resume(self, machine, parts, then, data):
        """Hypothesis tries few rules together, so what matters most is one rule of its own."""
        self.send_some_and_crash(machine, parts, Crash)
        for name in then:
            if name == "change_one_byte_of_the_source":
                if self.source.stat().st_size:
                    self.change_one_byte_of_the_source(data)
            elif name == "lose_the_ledgers":
                self.lose_the_ledgers(machine)
            else:
                getattr(self, name)()
        self.send_all(data.draw(MACHINES))

    @rule(machine=MACHINES)
    def send_all(self, machine):
        sent = []
        report = self._send(machine, lambda outcome: sent.extend(outcome.manifest.sent))

        data = self.source.read_bytes()
        assert report.errors == []
        assert self.target.read_bytes() == data
        again = [one for one in sent if one.how == "sent" and self._key(data, one) in self.held]
        assert again == [], "what the store had accepted was sent again"
        self.allowed, self.held = {data}, set()

    @rule(machine=MACHINES, parts=st.integers(1, 3), how=st.sampled_from([Crash, Stopped]))
    def send_some_and_crash(self, machine, parts, how):
        data, count = self.source.read_bytes(), 0

        def seen(outcome):
            nonlocal count
            for one in outcome.manifest.sent:
                if len(data) >= PART:
                    self.held.add(self._key(data, one))
            count += 1
            if count >= parts:
                raise how

        try:
            report = self._send(machine, seen)
        except (Crash, Stopped):
            if len(data) < PART:  # it was sent whole before the crash
                self.allowed.add(data)
            return
        assert report.errors == []
        self.allowed, self.held = {data}, set()

    @rule(size=SIZES)
    def change_the_source(self, size):
        self._write(size)
        self.held = set()  # it may count for nothing now

    @precondition(lambda self: self.source.stat().st_size)
    @rule(data=st.data())
    def change_one_byte_of_the_source(self, data):
        text = bytearray(self.source.read_bytes())
        text[data.draw(st.integers(0, len(text) - 1))] ^= 1
        self.source.write_bytes(text)
        self.held = set()

    @rule(more=st.binary(min_size=1, max_size=PART))
    def change_the_source_while_it_is_sent(self, more):
        def seen(_):
            with self.source.open("ab") as file:
                file.write(more)

        before = self.source.read_bytes()
        if self.target.exists() and self.target.read_bytes() == before:
            return
        report = self._send(1, seen)
        if len(before) >= PART:
            assert [error.code for error in report.errors] == ["source-changed"]
        else:
            self.allowed.add(before)
        self.held = set()

    @precondition(lambda self: self.held)
    @rule(machine=MACHINES)
    def lose_the_ledgers(self, machine):
        shutil.rmtree(self.root / f"work{machine}" / FOLDER, ignore_errors=True)

    @precondition(lambda self: self.target.exists())
    @rule(data=st.binary(max_size=PART * 2))
    def somebody_else_writes_the_object(self, data):
        self.target.write_bytes(data)
        self.allowed = {data}

    @precondition(lambda self: self.held)
    @rule()
    def unfinished_uploads_are_swept_away(self):
        for folder in self.target.parent.glob(".*.anabranch-upload"):
            shutil.rmtree(folder)
        self.held = set()

    @rule(data=st.binary(min_size=PART, max_size=PART * 3))
    def another_program_begins_an_upload_of_other_bytes(self, data):
        from anabranch.uploads.ranges import RangeFile, summed
        from anabranch.uploads.stores.base import Destination

        other = self.root / "other"
        other.write_bytes(data)
        store = FolderStore(Destination("file", str(self.target.parent)))
        with RangeFile(str(other), 0, PART) as body:
            store.put_part(store.create("key"), 1, 0, body, summed(body))

    @invariant()
    def the_object_is_the_file_or_the_former_one(self):
        found = self.target.read_bytes() if self.target.exists() else None
        assert found in self.allowed

    def _key(self, data, one):
        return one.number, data[(one.number - 1) * PART :][:PART]


TestUploads = Uploads.TestCase
TestUploads.settings = settings(max_examples=max(25, settings().max_examples // 4), stateful_step_count=6)
