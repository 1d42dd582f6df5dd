"""Users' functions: found, asked what they take, kept here or sent."""

import functools
import sys
import threading

import pytest

from anabranch.core.errors import UsageError
from anabranch.files.pipeline.functions import code_of, load_function, reference_to, takes_state, why_here, why_not_sent
from tests.files.pipeline import steps


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("nowhere.at_all:f", "nowhere.at_all cannot be imported (ModuleNotFoundError"),
        ("tests.files.pipeline.steps:g", "has no g"),
        ("tests.files.pipeline.steps:calls", "cannot be called"),
    ],
)
def test_what_cannot_be_called_is_refused_by_name(reference, reason):
    with pytest.raises(UsageError) as refused:
        load_function(reference)

    assert reason in refused.value.reason
    assert refused.value.code == "function-missing"


def test_a_module_of_the_current_folder_is_found_and_its_code_is_part_of_keys(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    module = tmp_path / "of_this_folder.py"
    module.write_text("def f(record): return record\n")

    assert load_function("of_this_folder:f")({}) == {}
    before = code_of(["of_this_folder:f"])
    assert before == code_of(["of_this_folder:f"])
    module.write_text("def f(record): return None\n")
    assert before != code_of(["of_this_folder:f"])


def test_only_a_second_argument_that_must_be_given_is_a_state():
    assert takes_state(lambda _record, _state: None)
    assert takes_state(lambda _record, state=None: state)
    assert not takes_state(lambda _record: None)
    assert not takes_state(lambda _record, scale=2: scale)
    assert not takes_state(lambda *_all: None)
    assert not takes_state(dict)


def test_what_another_process_cannot_get_is_told_in_words():
    def closure(record):
        return record

    lock = threading.Lock()

    assert why_here([steps.score, None, functools.partial(steps.score)]) == ""
    assert why_here([lambda record: record]).endswith("is a lambda")
    assert "closure is a closure" in why_here([closure])
    assert "cannot be pickled" in why_here([functools.partial(steps.score, lock)])
    assert why_not_sent([lambda record: record, closure, None]) == ""
    assert "cannot be pickled" in why_not_sent([lambda record: lock])
    assert reference_to(steps.score) == "tests.files.pipeline.steps:score"
    assert reference_to(closure) is None
