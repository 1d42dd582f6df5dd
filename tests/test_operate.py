"""The commands about the house that need no server."""

import subprocess
import sys

import pytest
from packaging.requirements import Requirement

from anabranch.command import operate
from anabranch.command.operate import doctor, explain, unmet
from anabranch.core.errors import UsageError


def test_doctor_finds_nothing_wrong_here(capsys):
    assert doctor() == 0
    assert "FAIL" not in capsys.readouterr().out


def test_an_error_code_is_explained_as_in_the_docs(capsys):
    assert explain("disk-full") == 0
    assert "disk" in capsys.readouterr().out.partition("\n")[2]


def test_an_error_code_that_does_not_exist_names_the_nearest():
    with pytest.raises(UsageError, match="Did you mean disk-full"):
        explain("disk-fulll")


@pytest.mark.parametrize(("typed", "completed"), [
    ("anabranch parse-l", {"parse-logs"}),
    ("anabranch parse-logs --time", {"--timezone"}),
    ("anabranch uploads ", {"list", "abort"}),
])  # fmt: skip
def test_bash_completes_commands_and_options(typed, completed):
    asked = [typed, *typed.split(" ")]
    script = (
        'eval "$("$0" -m anabranch.command.cli completion bash)"; COMP_LINE=$1; shift; COMP_WORDS=("$@"); '
        'COMP_CWORD=$(($# - 1)); _anabranch; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script, sys.executable, *asked], capture_output=True, text=True, check=True)

    assert completed <= {word.strip() for word in done.stdout.splitlines()}


@pytest.mark.parametrize(("requirement", "missing"), [
    ("rich>=13", False),
    ("rich<1", True),
    ("rich>=999", True),
    ("no-such-package>=1", True),
    ("no-such-package>=1; sys_platform == 'linux'", True),
    ("no-such-package>=1; sys_platform == 'linux' or extra == 'formats'", True),
    ("no-such-package>=1; extra == 'formats'", False),
    ("rich>=999; extra == 'formats'", False),
    ("no-such-package>=1; sys_platform == 'win32'", False),
    ("no-such-package>=1; python_version < '3'", False),
])  # fmt: skip
def test_a_plain_installation_must_meet_what_its_markers_ask_of_it(requirement, missing):
    assert [str(needed) for needed, _ in unmet(["pydantic>=2", requirement])] == [
        str(Requirement(requirement))
    ] * missing


def test_doctor_names_a_package_outside_our_limits(monkeypatch, capsys):
    monkeypatch.setattr(operate, "requires", lambda _: ["rich<1"])

    assert doctor() == 1
    assert "FAIL  versions: rich<1 is needed" in capsys.readouterr().out
