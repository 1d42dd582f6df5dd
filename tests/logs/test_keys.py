"""A part's key changes with all that its result depends on, and with nothing else."""

import zoneinfo
from importlib.resources import files

import pytest

from anabranch.logs.options import LogOptions
from anabranch.logs.plan import plan
from anabranch.logs.unpack import survey
from tests.logs.archives import flow, tar_of

HERE = "US/Eastern"


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
    """Give a folder for time zones, which are looked for there first."""
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=[str(tmp_path / "zones")])
    yield tmp_path / "zones"
    zoneinfo.reset_tzpath(to=before)


def test_an_update_of_the_time_zones_rules_changes_the_key(key, zones):
    package_only = key(timezone=HERE)
    (zones / "US").mkdir(parents=True)
    (zones / HERE).write_bytes((files("tzdata") / "zoneinfo" / "US" / "Central").read_bytes())
    changed = key(timezone=HERE)
    (zones / HERE).unlink()

    assert changed != package_only == key(timezone=HERE)


def test_another_mode_or_range_or_zone_changes_the_key(key):
    keys = [key(), key(mode=["bw"]), key(begin="2025-09-26"), key(end="2025-09-26"), key(timezone=HERE)]

    assert len(set(keys)) == len(keys)
    assert key() == keys[0]
