"""Where Anabranch may work: cores and folders."""

import os

import pytest

from anabranch.config import cores


@pytest.mark.parametrize(("cpu_max", "most"), [
    ("100000 100000\n", 1),
    ("50000 100000\n", 1),
    ("150000 100000\n", 2),
    ("6400000 100000\n", 64),
    ("max 100000\n", 10**6),
])  # fmt: skip
def test_a_containers_share_limits_the_cores(tmp_path, cpu_max, most):
    file = tmp_path / "cpu.max"
    file.write_text(cpu_max)

    assert cores(file) == min(most, len(os.sched_getaffinity(0)))


def test_without_a_container_every_core_counts(tmp_path):
    assert cores(tmp_path / "cpu.max") == len(os.sched_getaffinity(0))
