"""The benchmark of imports gives every way the same table and file, and holds what came out against what must."""

import pytest

from benchmarks import tables
from benchmarks.tables import Bench, prepare
from benchmarks.tables_others import WAYS
from tests.tables.postgres import running


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with running() as server:
        yield Bench(server, tmp_path_factory.mktemp("bench"), 0)


def test_our_engine_and_bare_copy_are_measured_on_equal_data(bench):
    expected = prepare(bench, 1_000)

    assert expected == 1_985
    for way in ("bare", "engine"):
        usage, figures = tables.once(bench, way, 1_000, expected)
        assert 0 < figures["seconds"] <= usage.wall
    with pytest.raises(SystemExit, match="left 1,985 rows, not 1,986"):
        tables.once(bench, "engine", 1_000, expected + 1)


def test_every_way_has_a_label():
    assert {*WAYS, "engine", "command"} == tables.LABELS.keys()
