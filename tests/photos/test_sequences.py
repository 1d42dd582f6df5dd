"""Any sequence of what happens to a server's photos between and during runs: the table tells what is there."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from anabranch.photos import sample
from anabranch.sftp import hosts
from tests.examples import SOAK_EXAMPLES
from tests.photos import servers
from tests.photos.extracting import access, extract, rows
from tests.photos.servers import PASSWORD, FaultyServer


class Restless(servers.Sftp):
    """Drop the connection at the OPENs that the machine names."""

    def open_file(self, number, name):
        if self.counts["opens"] in self.server.drops:
            self.server.drops.discard(self.counts["opens"])
            self.channel.get_transport().close()
            return
        super().open_file(number, name)


class Photos(RuleBasedStateMachine):
    """A folder behind a server, and what a table of it must say."""

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp())
        (self.folder / "served").mkdir()
        self.server = FaultyServer(self.folder / "served", Restless)
        self.server.drops = set()
        self.model, self.known, self.table, self.count = {}, {}, None, 0
        os.environ["SFTP_PASSWORD"] = PASSWORD

    def write(self, name, shot):
        path = self.folder / "served" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(sample.jpeg(sample.tiff(shot), sample.drone_xmp(shot)))
        self.count += 1
        os.utime(path, (self.count, self.count))  # a second later than any before
        self.model[name] = (shot.lat, self.count)

    @rule(folder=st.sampled_from("abc"), photos=st.integers(1, 15), lat=st.integers(1, 80))
    def add(self, folder, photos, lat):
        for _ in range(photos):
            self.write(f"{folder}/{self.count:05}.jpg", sample.Shot(lat + self.count / 1e5, 7.5))

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def change(self, data):
        self.write(data.draw(st.sampled_from(sorted(self.model))), sample.Shot(-1.5 - self.count / 1e5, 7.5))

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data):
        name = data.draw(st.sampled_from(sorted(self.model)))
        (self.folder / "served" / name).unlink()
        del self.model[name]

    @rule(after=st.lists(st.integers(1, 12), max_size=2))
    def drop_soon(self, after):
        self.server.drops = {self.server.counts["opens"] + count for count in after}

    @rule(connections=st.integers(1, 3))
    def run(self, connections):
        before = self.server.counts["reads"]
        report = extract(
            self.server.url("/"), self.folder / "p.csv", self.folder / "work", connections=connections,
            photo_timeout=5, **access(self.server),
        )  # fmt: skip
        unknown = [name for name, state in self.model.items() if self.known.get(name) != state]
        assert report.errors == []
        assert (report.items["photos"], report.items["read"]) == (len(self.model), len(unknown))
        assert self.server.counts["reads"] - before <= 3 * len(unknown)
        if self.model:
            found = {row["path"].lstrip("/"): float(row["lat"]) for row in rows(self.folder / "p.csv")}
            assert found == {name: pytest.approx(lat, abs=1e-7) for name, (lat, _) in self.model.items()}
        self.known |= self.model
        self.server.drops = set()

    @invariant()
    def no_file_is_left_half_written(self):
        if hasattr(self, "folder"):
            assert not list(self.folder.glob(".*.part"))

    def teardown(self):
        if hasattr(self, "server"):
            hosts.close_idle()
            self.server.close()
            shutil.rmtree(self.folder)


TestPhotos = Photos.TestCase
TestPhotos.settings = settings(max_examples=4, stateful_step_count=8)


@pytest.mark.soak
def test_long_sequences():
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(Photos, settings=settings(max_examples=min(SOAK_EXAMPLES, 200), stateful_step_count=25))
