import inspect
import pickle

import pytest

from anabranch.core import errors
from anabranch.core.errors import AnabranchError, PartlyFailed, Stopped
from anabranch.core.parts import Report

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, AnabranchError)]


def example(cls):
    if cls is PartlyFailed:
        return cls(Report(flow="parse-logs", outputs=["out"]))
    return cls("too late") if cls is Stopped else cls("code", "it broke", "Mend it.", "part 3", "line 7")


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_survives_pickle(cls):
    error = example(cls)
    error.attempt = 3

    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is cls
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_an_error_says_which_part_why_and_what_to_do():
    assert str(example(AnabranchError)) == "part 3: line 7: it broke. Mend it. [code]"


def test_every_class_stands_in_the_tree_of_the_docstring():
    assert all(cls.__name__ in errors.__doc__ for cls in CLASSES)
