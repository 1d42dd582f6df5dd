"""A part's key changes with all that its result depends on, and with nothing else."""

import zoneinfo
from datetime import datetime
from importlib.resources import files

import pytest

from anabranch.logs.options import LogOptions
from anabranch.logs.plan import plan
from anabranch.logs.unpack import survey
from anabranch.logs.zones import zone_of
from tests.logs.archives import flow, tar_of

HERE = "US/Eastern"
NOON = datetime(2025, 9, 26, 12)  # noqa: DTZ001  a local time


@pytest.fixture
def key(tmp_path):
    """Plan the reading of one small log; return the key of its part."""
    source = tmp_path / "unit.tar"
    source.write_bytes(tar_of({"messages.log": flow(1)}))

    def planned(**options):
        slices = survey([str(source)], tmp_path / "work", threads=1)
        return plan(slices, [], LogOptions(**options), threads=1).parts[0].key

    return planned


@pytest.fixture
def zones(tmp_path):
    """Return a folder in which the zone of the tests has the rules of another one."""
    (tmp_path / "zoneinfo" / "US").mkdir(parents=True)
    (tmp_path / "zoneinfo" / HERE).write_bytes((files("tzdata") / "zoneinfo" / "US" / "Central").read_bytes())
    return tmp_path


def test_the_time_zones_of_the_system_change_nothing(key, zones):
    zone_of.cache_clear()
    before, expected, path = key(timezone=HERE), zone_of(HERE).utcoffset(NOON), zoneinfo.TZPATH
    zone_of.cache_clear()
    zoneinfo.reset_tzpath(to=[str(zones / "zoneinfo")])
    try:
        assert key(timezone=HERE) == before
        assert zone_of(HERE).utcoffset(NOON) == expected
    finally:
        zoneinfo.reset_tzpath(to=path)


def test_an_update_of_the_package_of_time_zones_changes_the_key(key, zones, monkeypatch):
    before = key(timezone=HERE)
    monkeypatch.setattr("anabranch.logs.zones.files", lambda _: zones)

    assert key(timezone=HERE) != before


def test_another_mode_or_range_or_zone_changes_the_key(key):
    keys = [key(), key(mode=["bw"]), key(begin="2025-09-26"), key(end="2025-09-26"), key(timezone=HERE)]

    assert len(set(keys)) == len(keys)
    assert key() == keys[0]
