"""With --new-only, archives whose reports are there are left alone; whatever changed is done again."""

import os
import shutil
from pathlib import Path

import pytest

from anabranch.core.here import on_threads
from anabranch.core.parts import Job
from anabranch.logs.options import LogOptions
from anabranch.logs.way import way

LOGS = Path(__file__).parents[1] / "data" / "logs"


@pytest.fixture
def parse(tmp_path):
    """Parse the inbox, of which two archives, and a damaged one, are done already; return the report."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for name in ("a", "b"):
        shutil.copy(LOGS / "s01_basic.tar.bz2", inbox / f"{name}.tar.bz2")

    def run(refresh=False, **options):
        given = LogOptions(**({"new_only": True, "mode": "known,bw"} | options))
        return way(Job([str(inbox)], f"{tmp_path}/out/", given, tmp_path / "work", 2, refresh), on_threads(2))

    (inbox / "damaged.tar.bz2").write_bytes((LOGS / "s01_basic.tar.bz2").read_bytes()[:-20])
    first = run()
    assert (len(first.errors), "unchanged" in first.items) == (1, False)
    (inbox / "damaged.tar.bz2").unlink()
    return run


def test_nothing_is_read_where_all_reports_are_there(parse):
    again = parse()

    assert (again.status, again.items, again.parts.total) == ("nothing_to_do", {"unchanged": 2}, 0)
    assert parse(new_only=False).status == "completed"
    assert parse(refresh=True).status == "completed"
    assert parse(mode="known").status == "completed"


@pytest.mark.parametrize(("change", "count"), [
    (lambda folder: shutil.copy(LOGS / "s01_basic.tar.bz2", folder / "inbox" / "c.tar.bz2"), 2),
    (lambda folder: os.utime(folder / "inbox" / "a.tar.bz2"), 1),
    (lambda folder: (folder / "out" / "a.tar.bz2.bw.txt").unlink(), 1),
    (lambda folder: (folder / "out" / "a.tar.bz2.bw.txt").write_text("edited"), 1),
])  # fmt: skip
def test_what_is_new_or_changed_is_done_again(parse, tmp_path, change, count):
    change(tmp_path)

    report = parse()
    assert (report.status, report.items["unchanged"]) == ("completed", count)
    expected = (LOGS / "expected" / "s01_basic.tar.bz2.known.UTC.txt").read_bytes()
    assert all(path.read_bytes() == expected for path in (tmp_path / "out").glob("[abc].tar.bz2.known.txt"))
    assert parse().status == "nothing_to_do"
