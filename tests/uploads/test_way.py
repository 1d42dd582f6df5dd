"""All steps together: the objects are the files, sent once, and again only where they changed."""

import os
import random
from pathlib import Path

import pytest

from anabranch.core.errors import UsageError
from anabranch.core.here import map_here
from anabranch.core.parts import Job
from anabranch.uploads.ledger import FOLDER
from anabranch.uploads.options import UploadOptions
from anabranch.uploads.plan import tasks
from anabranch.uploads.way import way
from tests.uploads.sending import KIB, PART, Crash, code_of, failure, upload


def write(path: Path, size: int, seed: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(random.Random(seed).randbytes(size))
    return path


@pytest.fixture(params=["file", "s3"])
def goal(request, tmp_path):
    """A destination, what it reads back, and the option that names its server."""

    class Goal:
        def __init__(self):
            if request.param == "file":
                self.folder = tmp_path / "goal"
                self.folder.mkdir()
                self.url, self.options = f"{self.folder}/", {}
            else:
                self.bucket = request.getfixturevalue("bucket")
                self.url, self.options = f"{self.bucket.url}/", {"endpoint": self.bucket.server.endpoint}

        def read(self, key):
            return self.bucket.read(key) if hasattr(self, "bucket") else (self.folder / key).read_bytes()

        def keys(self):
            if hasattr(self, "bucket"):
                return self.bucket.keys()
            return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())

        def unfinished(self):
            if hasattr(self, "bucket"):
                return self.bucket.unfinished()
            return [path.name for path in self.folder.rglob("*.anabranch-upload")]

    return Goal()


def test_files_of_every_size_become_equal_objects(goal, tmp_path):
    sizes = {"empty": 0, "one": 1, "just below": 64 * KIB - 1, "one part": 64 * KIB, "a b+ü&%.bin": 200 * KIB + 5}
    for name, size in sizes.items():
        write(tmp_path / "in" / "deep" / name, size)

    report = upload(tmp_path / "in", goal.url, tmp_path / "work", **goal.options)

    assert goal.keys() == sorted(f"deep/{name}" for name in sizes)
    assert all(goal.read(f"deep/{name}") == (tmp_path / "in" / "deep" / name).read_bytes() for name in sizes)
    assert report.items["sent"] == report.items["files"] == len(sizes)
    assert report.bytes_out == report.bytes_in == sum(sizes.values())
    assert goal.unfinished() == []


def test_what_is_there_already_is_not_sent_again_and_what_changed_is(goal, tmp_path):
    big, small = write(tmp_path / "in" / "big", 150 * KIB), write(tmp_path / "in" / "small", 1000)
    upload(tmp_path / "in", goal.url, tmp_path / "work", **goal.options)

    again = upload(tmp_path / "in", goal.url, tmp_path / "work", **goal.options)
    elsewhere = upload(tmp_path / "in", goal.url, tmp_path / "other work", **goal.options)
    assert again.items["unchanged"] == elsewhere.items["unchanged"] == 2
    assert again.bytes_out == elsewhere.bytes_out == 0

    write(big, 150 * KIB, seed=2)
    write(small, 1000, seed=3)
    changed = upload(tmp_path / "in", goal.url, tmp_path / "work", **goal.options)
    assert changed.items["sent"] == 2
    assert (goal.read("big"), goal.read("small")) == (big.read_bytes(), small.read_bytes())


@pytest.mark.parametrize("size", [1000, 150 * KIB])
@pytest.mark.parametrize(("policy", "how"), [("skip", "skipped"), ("fail", "failed"), ("overwrite", "sent")])
def test_each_policy_for_what_exists(goal, tmp_path, policy, how, size):
    source = write(tmp_path / "source", size)
    upload(source, goal.url, tmp_path / "work", **goal.options)
    write(source, size, seed=2)
    before = goal.read("source")

    report = upload(source, goal.url, tmp_path / "work", if_exists=policy, **goal.options)

    assert report.items[how] == 1
    assert [error.code for error in report.errors] == (["destination-exists"] if policy == "fail" else [])
    assert goal.read("source") == (source.read_bytes() if policy == "overwrite" else before)
    assert goal.unfinished() == []


@pytest.mark.parametrize("lost", ["nothing", "ledger", "machine"])
def test_a_killed_run_is_resumed_and_sends_only_what_is_missing(goal, tmp_path, lost):
    source = write(tmp_path / "source", 420 * KIB)
    with pytest.raises(Crash):
        upload(source, goal.url, tmp_path / "work", crash_after=4, **goal.options)
    assert len(goal.unfinished()) == 1
    if lost == "ledger":
        for ledger in (tmp_path / "work" / FOLDER).glob("*.json"):
            ledger.unlink()
    if lost == "machine":
        moved = tmp_path / "elsewhere" / "source"
        moved.parent.mkdir()
        moved.write_bytes(source.read_bytes())
        source = moved

    work = tmp_path / ("other work" if lost == "machine" else "work")
    report = upload(source, goal.url, work, **goal.options)

    assert goal.read("source") == source.read_bytes()
    assert report.items["parts_kept"] == 4
    assert report.bytes_out == 164 * KIB
    assert goal.unfinished() == []


@pytest.mark.parametrize("goal", ["file", pytest.param("s3", marks=pytest.mark.soak)], indirect=True)
def test_a_task_of_several_parts_that_is_carried_out_again_sends_none_of_them_again(goal, tmp_path):
    source = write(tmp_path / "source", 40 * 64 * KIB)
    options = UploadOptions(part_size=PART, parts_in_flight=1, **goal.options)

    def twice(work, plan):
        def repeated(part, stop):
            work(part, stop)
            return work(part, stop)

        return map_here(repeated, plan, 1)

    report = way(Job([str(source)], goal.url, options, tmp_path / "work", 1), twice)

    assert goal.read("source") == source.read_bytes()
    assert report.parts.total < 40
    alone = sum(count == 1 for count in tasks(40, 1))
    assert report.items["parts_kept"] == 40 - alone


def test_a_resumed_run_keeps_the_size_of_the_parts_that_are_there(goal, tmp_path):
    source = write(tmp_path / "source", 420 * KIB)
    with pytest.raises(Crash):
        upload(source, goal.url, tmp_path / "work", crash_after=4, **goal.options)

    report = upload(source, goal.url, tmp_path / "other", **goal.options | {"part_size": f"{100 * KIB}"})

    assert report.items["parts_kept"] == 4
    assert goal.read("source") == source.read_bytes()


def test_an_unfinished_upload_of_other_bytes_is_left_alone(goal, tmp_path):
    theirs, ours = write(tmp_path / "theirs" / "source", 150 * KIB), write(tmp_path / "source", 150 * KIB, seed=2)
    with pytest.raises(Crash):
        upload(theirs, goal.url, tmp_path / "their work", crash_after=2, **goal.options)

    report = upload(ours, goal.url, tmp_path / "work", **goal.options)

    assert report.items["parts_kept"] == 0
    assert goal.read("source") == ours.read_bytes()
    assert len(goal.unfinished()) == 1


@pytest.mark.parametrize("change", ["grow", "cut", "touch", "replace"])
def test_a_file_that_changes_while_it_is_sent_fails_and_leaves_the_former_object(goal, tmp_path, change):
    source = write(tmp_path / "source", 150 * KIB)
    upload(source, goal.url, tmp_path / "work", **goal.options)
    before = source.read_bytes()
    write(source, 150 * KIB, seed=2)

    def changed(path):
        if change == "replace":
            write(tmp_path / "new", 150 * KIB, seed=3).rename(path)
        elif change == "touch":
            os.utime(path, ns=(1, 1))
        else:
            os.truncate(path, (160 if change == "grow" else 70) * KIB)

    report = _upload_while(source, goal, tmp_path, changed)

    assert failure(report) == "source-changed"
    assert report.status == "completed"  # until the flow's end counts the errors
    assert goal.read("source") == before
    assert goal.unfinished() == []


def _upload_while(source, goal, tmp_path, change):
    """Send a file, and change it once its first part is sent."""
    todo = [change]

    def seen(_):
        if todo:
            todo.pop()(source)

    options = UploadOptions(part_size=PART, **goal.options)
    job = Job([str(source)], goal.url, options, tmp_path / "work", 1)
    return way(job, lambda work, plan: map_here(work, plan, 1, seen))


def test_two_files_of_one_key_are_refused_before_anything_is_sent(goal, tmp_path):
    first, second = write(tmp_path / "a" / "\u00fc", 10), write(tmp_path / "b" / "u\u0308", 10)

    with pytest.raises(UsageError, match="same-key"):
        upload([first.parent, second.parent], goal.url, tmp_path / "work", **goal.options)

    assert goal.keys() == []


def test_a_bucket_that_is_missing_ends_the_run(bucket, tmp_path):
    source = write(tmp_path / "source", 150 * KIB)

    def run():
        return upload(source, "s3://no-such-bucket/", tmp_path / "work", endpoint=bucket.server.endpoint)

    assert code_of(run) == "destination-missing"


def test_wrong_credentials_end_the_run_at_once(bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("WRONG_ACCESS_KEY_ID", "test:tester")
    monkeypatch.setenv("WRONG_SECRET_ACCESS_KEY", "wrong")
    source = write(tmp_path / "source", 150 * KIB)

    def run():
        return upload(
            source, f"{bucket.url}/", tmp_path / "work", endpoint=bucket.server.endpoint, credentials="env:WRONG"
        )

    assert code_of(run) == "destination-refused"
