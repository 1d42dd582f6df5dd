"""Where Anabranch may work: cores and folders."""

import os

import pytest
from pydantic import ValidationError

from anabranch.core.config import RunOptions, cores, first_fault


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


@pytest.mark.parametrize(("given", "expected"), [
    ({"tolerate": "5x"}, ("tolerate", "is not of the form described (given: '5x')")),
    ({"workers": "0"}, ("workers", "Input should be greater than or equal to 1 (given: '0')")),
])  # fmt: skip
def test_the_first_fault_names_its_field_and_speaks_no_patterns(given, expected):
    with pytest.raises(ValidationError) as refused:
        RunOptions.model_validate(given)

    assert first_fault(refused.value) == expected
