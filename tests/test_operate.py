"""The commands about the house that need no server."""

import pytest

from anabranch.command import operate
from anabranch.command.operate import doctor


def test_doctor_finds_nothing_wrong_here(capsys):
    assert doctor() == 0
    assert "FAIL" not in capsys.readouterr().out


@pytest.mark.parametrize("requirement", ["rich<1", "rich>=999", "no-such-package>=1"])
def test_doctor_names_a_package_that_is_missing_or_outside_our_limits(monkeypatch, capsys, requirement):
    monkeypatch.setattr(operate, "requires", lambda _: ["pydantic>=2", requirement])

    assert doctor() == 1
    assert f"FAIL  versions: {requirement} is needed" in capsys.readouterr().out
