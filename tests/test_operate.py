"""The commands about the house that need no server."""

import resource
import subprocess
import sys

import pytest

from anabranch.command import operate
from anabranch.command.operate import doctor


def test_an_interrupted_demo_leaves_no_half_archive_to_the_next(tmp_path):
    limit = 200_000  # bytes of any file, far below the sample's 10 MB
    done = subprocess.run(
        [sys.executable, "-m", "anabranch.command.cli", "demo"],
        cwd=tmp_path, capture_output=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip

    assert done.returncode == 5
    assert b"[system-error]" in done.stderr
    assert [path.name for path in (tmp_path / "anabranch-demo").iterdir()] == [".part.unit.tar.bz2"]


def test_doctor_finds_nothing_wrong_here(capsys):
    assert doctor() == 0
    assert "FAIL" not in capsys.readouterr().out


@pytest.mark.parametrize("requirement", ["rich<1", "rich>=999", "no-such-package>=1"])
def test_doctor_names_a_package_that_is_missing_or_outside_our_limits(monkeypatch, capsys, requirement):
    monkeypatch.setattr(operate, "requires", lambda _: ["pydantic>=2", requirement])

    assert doctor() == 1
    assert f"FAIL  versions: {requirement} is needed" in capsys.readouterr().out
