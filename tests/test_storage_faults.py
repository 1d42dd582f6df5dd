"""Whatever system call fails or kills, a published file is the old one or the new one, never a part of it."""

import pytest

from tests.faults import BROKEN, FULL, KILL, injected

pytestmark = pytest.mark.faults

OLD, NEW = b"old " * 10, b"new " * 30_000
PROGRAM = """
import sys
from pathlib import Path
from anabranch.core.storage import published
with published(Path(sys.argv[1])) as file:
    for _ in range(3):
        file.write(b"new " * 10_000)
"""


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
@pytest.mark.parametrize("fault", [KILL, FULL, BROKEN])
def test_a_fault_at_any_call_leaves_the_old_file_or_the_new_one(tmp_path, call, fault):
    target = tmp_path / "target"
    count = 0

    for run in injected(["-c", PROGRAM, str(target)], call, fault, tmp_path / "trace"):
        count += 1
        assert run.returncode != 0
        assert not target.exists() or target.read_bytes() in (OLD, NEW)
        target.write_bytes(OLD)

    assert count >= 1
    assert target.read_bytes() == NEW  # the last run had no fault


def test_a_write_that_loses_bytes_is_noticed_before_the_rename(tmp_path):
    """The injected call says that it wrote three bytes, and wrote none."""
    target = tmp_path / "target"

    runs = list(injected(["-c", PROGRAM, str(target)], "write", "retval=3", tmp_path / "trace"))

    assert runs
    assert all("fewer bytes than were written" in run.stderr for run in runs)
    assert target.read_bytes() == NEW
