"""Presets set several limits at once; what is set by itself wins."""

import pytest
from pydantic import ValidationError

from anabranch.core.errors import UsageError
from anabranch.uploads.options import UploadOptions

VARIABLES = (
    "ANABRANCH_UPLOADS_PRESET", "ANABRANCH_UPLOADS", "ANABRANCH_UPLOADS_PER_USER", "ANABRANCH_MAX_MEMORY",
    "ANABRANCH_PARTS_IN_FLIGHT",
)  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def limits(**chosen):
    """Files of all runs, files of each user, percent of the memory, and parts in flight at first and at most."""
    options = UploadOptions(**chosen)
    user, everyone = options.places
    return everyone[2], user[2], options.max_memory_percent, options.in_flight


@pytest.mark.parametrize(("preset", "wanted"), [
    (None, (20, 3, 80, (8, 8))),
    ("conservative", (15, 6, 70, (8, 8))),
    ("balanced", (20, 8, 80, (8, 32))),
    ("aggressive", (30, 12, 85, (8, 32))),
])  # fmt: skip
def test_each_preset_has_its_limits(preset, wanted, monkeypatch):
    assert limits(preset=preset) == wanted
    if preset:
        monkeypatch.setenv("ANABRANCH_UPLOADS_PRESET", preset)
        assert limits() == wanted
        assert limits(preset=None) == (20, 3, 80, (8, 8))


def test_what_is_set_by_itself_wins(monkeypatch):
    assert limits(preset="aggressive", max_memory="50%", parts_in_flight=4) == (30, 12, 50, (4, 4))
    assert limits(preset="conservative", parts_in_flight="auto") == (15, 6, 70, (8, 32))

    for variable, value in zip(VARIABLES, ("aggressive", "5", "2", "60%", "3"), strict=True):
        monkeypatch.setenv(variable, value)
    assert limits() == (5, 2, 60, (3, 3))
    assert limits(preset="balanced") == (5, 2, 60, (3, 3))
    assert limits(max_memory="70%", parts_in_flight=9) == (5, 2, 70, (9, 9))


def test_only_chosen_limits_replace_those_of_the_server(monkeypatch):
    assert [chosen for *_, chosen in UploadOptions().places] == [False, False]
    assert [chosen for *_, chosen in UploadOptions(preset="balanced").places] == [True, True]
    monkeypatch.setenv("ANABRANCH_UPLOADS", "5")
    assert [chosen for *_, chosen in UploadOptions().places] == [False, True]


@pytest.mark.parametrize(("variable", "value"), [
    ("ANABRANCH_UPLOADS_PRESET", "wild"), ("ANABRANCH_MAX_MEMORY", "lots"), ("ANABRANCH_PARTS_IN_FLIGHT", "0"),
])  # fmt: skip
def test_a_variable_that_means_nothing_is_refused(variable, value, monkeypatch):
    monkeypatch.setenv(variable, value)

    with pytest.raises(ValidationError, match=value):
        UploadOptions()


@pytest.mark.parametrize("variable", ["ANABRANCH_UPLOADS", "ANABRANCH_UPLOADS_PER_USER"])
@pytest.mark.parametrize("value", ["abc", "0", "-1", "2.5"])
def test_a_limit_that_is_no_number_is_refused(variable, value, monkeypatch):
    monkeypatch.setenv(variable, value)

    with pytest.raises(UsageError, match=f"{variable}: it is '{value}'"):
        _ = UploadOptions().places


def test_sequential_sends_one_part_at_a_time():
    assert limits(mode="sequential", preset="aggressive")[3] == (1, 1)
