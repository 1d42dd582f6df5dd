"""A destination that keeps failing is left in peace for a while, and then asked by one call at a time."""

import random
import threading
import time

import pytest

from anabranch.core.errors import AnabranchError, Stopped, TemporaryError
from anabranch.uploads import retrying
from anabranch.uploads.retrying import TRIPS, Health, retried
from anabranch.uploads.stores.base import BusyError
from anabranch.uploads.tags import file_tag
from tests.uploads.faulty import CUT, PASS, Faulty
from tests.uploads.sending import PART, upload

PART_BYTES = int(PART)


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(retrying, "LONGEST_WAIT", 0.05)


class Destination:
    """Fails the first calls, and counts how many there were, and how many at the same time while it failed."""

    def __init__(self, faults):
        self.faults, self.calls, self.active, self.most = faults, 0, 0, 0
        self._lock = threading.Lock()

    def send(self):
        with self._lock:
            self.calls += 1
            fails = self.calls <= self.faults
            self.active += fails
            self.most = max(self.most, self.active)
        if fails:
            time.sleep(0.005)  # in which another call would be seen
            with self._lock:
                self.active -= 1
            raise BusyError("away")
        return "sent"


def open_breaker():
    health = Health()
    for _ in range(TRIPS):
        health.failed(BusyError("away"), probe=False)
    return health


def test_one_call_at_a_time_probes_and_once_it_succeeds_all_are_sent():
    health, destination, found = open_breaker(), Destination(faults=4), []
    threads = [threading.Thread(target=lambda: found.append(retried(destination.send, health))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == ["sent"] * 20
    assert destination.most == 1
    assert destination.calls == 4 + 20


def test_fewer_faults_in_a_row_let_everything_through():
    health = Health()
    for _ in range(3):
        for _ in range(TRIPS - 1):
            assert not health.failed(BusyError("busy"), probe=False)
        health.succeeded()
    assert health.admit(lambda: False) is False


def test_a_probe_that_ends_without_an_answer_leaves_the_next_one_its_turn():
    health = open_breaker()

    def changed():
        raise AnabranchError("source-changed", "it grew", "Run again.")

    for _ in range(2):
        with pytest.raises(AnabranchError, match="source-changed"):
            retried(changed, health)
    assert retried(lambda: "sent", health) == "sent"


def test_a_wait_of_an_open_breaker_can_be_stopped():
    health, looks = open_breaker(), iter([False, True, True])
    health.failed(BusyError("come back in an hour", after=3600), probe=True)

    with pytest.raises(Stopped):
        retried(lambda: "sent", health, lambda: next(looks))


def test_after_two_minutes_without_success_every_further_call_ends_at_once(monkeypatch):
    monkeypatch.setattr(retrying, "PATIENCE", 0)
    health, destination = Health(), Destination(faults=99)

    for _ in range(5):
        with pytest.raises(TemporaryError, match="destination-away"):
            retried(destination.send, health)
    assert destination.calls == 1


def test_a_dead_destination_is_asked_a_few_times_for_all_parts_of_a_run(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(retrying, "PATIENCE", 0.3)
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.05)
    source = tmp_path / "source"
    source.write_bytes(random.Random(1).randbytes(60 * PART_BYTES))

    with Faulty(
        bucket.server.port, lambda request: CUT if request.kind == "part" and request.count > 10 else PASS
    ) as proxy:
        with pytest.raises(AnabranchError) as caught:
            upload(source, f"{bucket.url}/", tmp_path / "work", endpoint=proxy.endpoint)
        asked = proxy.seen["part"] - 10

    assert (caught.value.code, caught.value.exit_code) == ("destination-away", 5)
    assert asked <= 40, "fewer than the 50 parts that were left"
    report = upload(source, f"{bucket.url}/", tmp_path / "work", endpoint=bucket.server.endpoint)
    assert report.items["parts_kept"] == 10
    assert bucket.tag("source") == file_tag(str(source), 60 * PART_BYTES, PART_BYTES, bool)
