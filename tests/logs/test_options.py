import pytest
from pydantic import ValidationError

from anabranch.logs.modes import FORMS
from anabranch.logs.options import LogOptions


@pytest.mark.parametrize(
    "mode", ["bw,known,bw", ["bw", "known", "bw"], ["bw,known", "known"], " bw , known ,", ("bw", "known")]
)
def test_modes_are_a_list_or_separated_by_commas_and_each_counts_once(mode):
    assert LogOptions(mode=mode).mode == ["bw", "known"]


def test_every_mode_may_be_chosen():
    assert LogOptions(mode=list(FORMS)).mode == list(FORMS)
    assert LogOptions().mode == ["known"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "all"},
        {"mode": []},
        {"mode": ","},
        {"mode": 7},
        {"timezone": "Foo/Bar"},
        {"timezone": "../../etc/passwd"},
        {"timezone": ""},
        {"begin": "garbage"},
        {"end": ""},
        {"begin": "2025-09-26 11:00", "end": "2025-09-26 10:00"},
        {"format": "csv"},
    ],
)
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ValidationError):
        LogOptions(**wrong)


def test_the_range_is_compared_as_instants():
    clock = LogOptions(timezone="US/Eastern", begin="2025-09-26 10:00", end="2025-09-26 14:00Z").clock()

    assert clock.begin == clock.end


def test_every_option_says_what_it_is_for():
    properties = LogOptions.model_json_schema()["properties"]

    assert all(option["description"].endswith(".") for option in properties.values())
