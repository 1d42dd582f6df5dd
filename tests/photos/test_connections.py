"""How many connections pay, by the round trip that the listing measures, and whether processes would help."""

import pytest

from anabranch.core.parts import Job
from anabranch.photos.options import PhotoOptions
from anabranch.photos.plan import connections_for, plan
from anabranch.sftp.hosts import no_blocks
from tests.photos.extracting import access


@pytest.mark.parametrize(("photos", "milliseconds", "threads", "expected"), [
    (10, 0.2, 2, (1, False)), (600, 0.2, 2, (2, False)), (5000, 0.2, 8, (4, False)), (5000, 0, 2, (2, False)),
    (600, 80, 2, (1, True)), (1300, 80, 2, (2, True)), (5000, 80, 2, (4, True)), (5000, 20, 8, (4, False)),
])  # fmt: skip
def test_connections_follow_the_round_trip_and_the_number_of_photos(photos, milliseconds, threads, expected):
    assert connections_for(photos, threads, milliseconds / 1000, PhotoOptions()) == expected
    assert connections_for(photos, threads, milliseconds / 1000, PhotoOptions(connections=7))[0] == 7


def test_the_listing_of_a_server_measures_its_round_trip_and_that_of_this_machine_has_none(sshd, album, tmp_path):
    found = [
        plan(Job([str(source)], None, PhotoOptions(**access(sshd)), tmp_path, 2), no_blocks).places[0].round_trip
        for source in (sshd.url(album[0]), album[0])
    ]
    assert found[0] > 0
    assert found[1] == 0
