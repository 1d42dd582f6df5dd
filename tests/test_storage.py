import hashlib
import os
import stat
import time

import pytest

from anabranch.core.errors import UsageError
from anabranch.core.storage import code_version, fingerprint, leave_hole, prune, published, touch, unchanged, work_file


def test_a_published_file_is_whole(tmp_path):
    target = tmp_path / "report.txt"

    with published(target) as file:
        file.write(b"all of it")

    assert target.read_bytes() == b"all of it"
    assert [path.name for path in tmp_path.iterdir()] == ["report.txt"]


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path):
    with published(tmp_path / ("ログ" * 42)) as file:  # 252 bytes
        file.write(b"whole")

    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"whole"]


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "report.txt"
    target.write_bytes(b"old")

    with pytest.raises(ZeroDivisionError), published(target) as file:
        file.write(b"%d" % (1 // 0))

    assert target.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(("text", "kept"), [(b"same", True), (b"sama", False), (b"longer", False), (b"", False)])
def test_a_file_of_the_same_bytes_keeps_its_time_where_that_is_asked_for(tmp_path, text, kept):
    target = tmp_path / "report.txt"
    target.write_bytes(b"same")
    os.utime(target, ns=(7, 7))

    with published(target, keep_equal=True) as file:
        file.write(text)

    assert target.read_bytes() == text
    assert (target.stat().st_mtime_ns == 7) == kept
    assert list(tmp_path.iterdir()) == [target]


def in_one_go(file):
    file.write(b"all " * 5000)


def in_pieces(file):
    for _ in range(5000):
        file.write(b"all ")


def with_a_hole(file):
    file.write(b"all ")
    leave_hole(file, 19_992)
    file.write(b"all ")


@pytest.mark.parametrize("write", [in_one_go, in_pieces, with_a_hole])
@pytest.mark.parametrize("equal", [False, True])
def test_what_was_written_is_noted_with_its_checksum(tmp_path, write, equal):
    target, noted = tmp_path / os.fsdecode(b"odd \xff\n%41.txt"), []
    for _ in range(1 + equal):
        noted.clear()
        with published(target, keep_equal=True, written=noted) as file:
            write(file)

    [one] = noted
    assert one.path == target
    assert (one.size, one.sha256) == (20_000, hashlib.sha256(target.read_bytes()).hexdigest())
    assert one.model_validate_json(one.model_dump_json()) == one


def test_what_could_not_be_written_is_not_noted(tmp_path):
    noted = []
    with pytest.raises(ZeroDivisionError), published(tmp_path / "a", written=noted) as file:
        file.write(b"%d" % (1 // 0))

    assert noted == []


def test_a_published_file_has_the_mode_that_the_user_asked_for(tmp_path):
    old = os.umask(0o027)
    try:
        with published(tmp_path / "report.txt"):
            pass
    finally:
        os.umask(old)

    assert stat.S_IMODE((tmp_path / "report.txt").stat().st_mode) == 0o640


@pytest.mark.parametrize("durable", [True, False])
def test_what_killed_writers_left_is_swept_away(tmp_path, durable):
    target = tmp_path / "report.txt"
    old, new = (tmp_path / f".{fingerprint('report.txt')}.{digit * 32}.part" for digit in "01")
    for path in (old, new):
        path.touch()
    os.utime(old, (0, time.time() - 4000))

    with published(target, durable=durable):
        pass

    assert sorted(tmp_path.iterdir()) == [new, target]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("elsewhere")])
def test_a_target_that_is_no_regular_file_is_refused(tmp_path, make):
    target = tmp_path / "target"
    make(target)

    with pytest.raises(UsageError, match="not a regular file"), published(target):
        pass

    assert len(list(tmp_path.iterdir())) == 1


def test_a_work_file_counts_as_unchanged_until_it_is_touched_or_gone(tmp_path):
    path = tmp_path / "part"
    path.write_bytes(b"12345")
    noted = work_file(path)
    assert unchanged(noted)

    os.utime(path, ns=(0, noted.modified_ns + 1))
    assert not unchanged(noted)

    path.unlink()
    assert not unchanged(noted)


def test_fingerprints_tell_every_fact_apart():
    facts = [(), ("a",), ("a", "b"), ("ab",), (b"a",), (1,), ("1",), (None,)]

    assert len({fingerprint(*fact) for fact in facts}) == len(facts)


def test_the_code_version_follows_the_source(tmp_path):
    (tmp_path / "rules.txt").write_text("one")
    before = code_version(tmp_path)
    assert code_version(tmp_path) == before

    (tmp_path / "rules.txt").write_text("two")
    assert code_version(tmp_path) != before


def test_the_code_version_follows_the_folders_below(tmp_path):
    inner = tmp_path / "formats" / "rules.txt"
    inner.parent.mkdir()
    inner.write_text("one")
    before = code_version(tmp_path)

    inner.write_text("two")
    assert code_version(tmp_path) != before


def test_the_code_version_does_not_follow_compiled_code(tmp_path):
    before = code_version(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "rules.cpython-311.pyc").write_bytes(b"compiled")

    assert code_version(tmp_path) == before


def test_prune_removes_only_what_was_not_used_lately(tmp_path):
    old, new = tmp_path / "logs" / "old", tmp_path / "logs" / "new"
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "slice").write_bytes(b"x")
    record, used = tmp_path / "results" / "record", tmp_path / "results" / "used"
    record.parent.mkdir()
    for path in (record, used):
        path.touch()
    for path in (old, record, used):
        os.utime(path, (0, time.time() - 1000))
    touch(used)

    prune(tmp_path, keep_seconds=500)

    assert not old.exists()
    assert not record.exists()
    assert new.exists()
    assert used.exists()
