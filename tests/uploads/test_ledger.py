"""The ledger: whole or not there, of one key, held by one run at a time."""

import threading

import pytest

from anabranch.core.errors import Stopped
from anabranch.uploads.ledger import Entry, Ledger
from anabranch.uploads.ranges import Stamp
from anabranch.uploads.stores.base import Destination, Upload

BUCKET = Destination("s3", "bucket", "http://127.0.0.1:1")
ENTRY = Entry("/a", Stamp(3, 4, 5), 16, Upload("key", "id", "crc64"))


def test_an_entry_is_read_as_it_was_written(tmp_path):
    ledger = Ledger(tmp_path, BUCKET, "key")
    assert ledger.read() is None

    ledger.write(ENTRY)

    assert ledger.read() == ENTRY
    assert Ledger(tmp_path, BUCKET, "other key").read() is None
    assert Ledger(tmp_path, Destination("s3", "bucket"), "key").read() is None
    assert ledger.path.stat().st_mode & 0o777 == 0o600
    ledger.remove()
    assert ledger.read() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"upload": null}', '{"stamp": {}, "upload": {}}'])
def test_an_entry_that_cannot_be_read_is_none(tmp_path, text):
    ledger = Ledger(tmp_path, BUCKET, "key")
    ledger.write(ENTRY)
    ledger.path.write_text(text)

    assert ledger.read() is None


def test_one_run_at_a_time_holds_the_lock_and_others_wait_for_it(tmp_path):
    ledger, order = Ledger(tmp_path, BUCKET, "key"), []

    def other():
        with Ledger(tmp_path, BUCKET, "key").locked():
            order.append("other")

    with ledger.locked():
        waiting = threading.Thread(target=other)
        waiting.start()
        order.append("first")
    waiting.join()

    assert order == ["first", "other"]


def test_a_run_that_waits_can_be_stopped(tmp_path):
    ledger = Ledger(tmp_path, BUCKET, "key")
    with ledger.locked(), pytest.raises(Stopped), Ledger(tmp_path, BUCKET, "key").locked(lambda: True):
        pass
