"""The examples in the docstrings of the public functions and options run, and print what they show."""

import doctest
import inspect

import pytest

import anabranch

ERRORS = {name for name in anabranch.__all__ if name.endswith("Error")} | {"PartlyFailed", "Stopped"}
PUBLIC = sorted(set(anabranch.__all__) - ERRORS)


@pytest.mark.parametrize("name", PUBLIC)
def test_the_examples_of_a_public_name_print_what_they_show(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = inspect.getdoc(getattr(anabranch, name))
    example = doctest.DocTestParser().get_doctest(text, {"anabranch": anabranch}, name, None, None)
    assert example.examples

    printed = []
    result = doctest.DocTestRunner(verbose=False).run(example, out=printed.append)

    assert not result.failed, "".join(printed)
