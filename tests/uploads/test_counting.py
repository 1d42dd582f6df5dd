"""What a run counts while it sends: bytes and parts of every file, and how far the parts in flight are."""

import random
from contextlib import suppress
from pathlib import Path

from anabranch.core.here import map_here
from anabranch.core.moving import listening
from anabranch.core.parts import Job
from anabranch.core.tally import Tally
from anabranch.uploads import retrying
from anabranch.uploads.counting import counting, noting
from anabranch.uploads.options import UploadOptions
from anabranch.uploads.way import way
from tests.uploads.drive import QUANTUM, Drive
from tests.uploads.faulty import PASS, Faulty, error
from tests.uploads.sending import KIB, Crash


def count(source, output, work_dir, *, crash_after=0, **options):
    """Send as the flow does; return the figures of each file by name, and what each part said of how far it was."""
    chosen = UploadOptions(**{"part_size": f"{64 * KIB}", **options})
    tally, said = Tally(), {}
    seen, moved = counting(tally), noting(tally)

    def told(work):
        def worked(part, stop):
            def say(size):
                said.setdefault(part.label, []).append(size)
                moved(part, size)

            with listening(say):
                return work(part, stop)

        return worked

    def counted(outcome):
        seen(outcome)
        if tally.all.done == crash_after:
            raise Crash

    job = Job([str(source)], str(output), chosen, work_dir, 1)
    with suppress(Crash):
        way(job, lambda work, plan: map_here(told(work), plan, 1, counted), tally=tally)
    return {Path(file.name).name: file for file in tally.files(99)}, said


def write(path, size):
    path.write_bytes(random.Random(size).randbytes(size))
    return path


def test_parts_and_bytes_are_counted_as_they_are_sent(tmp_path):
    (tmp_path / "in").mkdir()
    for name, size in (("big", 200 * KIB), ("small", 10), ("empty", 0)):
        write(tmp_path / "in" / name, size)

    files, said = count(tmp_path / "in", f"{tmp_path}/out/", tmp_path / "work")

    figures = {name: (file.state, file.parts, file.done, file.failed, file.bytes_done) for name, file in files.items()}
    assert figures == {
        "big": ("sent", 4, 4, 0, 200 * KIB), "small": ("sent", 1, 1, 0, 10), "empty": ("sent", 1, 1, 0, 0)
    }  # fmt: skip
    assert all(file.bytes_moved == file.size and file.bytes_moving == 0 for file in files.values())
    assert sorted(sizes[-1] for sizes in said.values()) == [8 * KIB, 64 * KIB, 64 * KIB, 64 * KIB]


def test_what_the_store_held_counts_as_done_but_not_as_moved(tmp_path):
    source = write(tmp_path / "big", 200 * KIB)
    stopped, _ = count(source, f"{tmp_path}/out/", tmp_path / "work", crash_after=2)

    files, said = count(source, f"{tmp_path}/out/", tmp_path / "work")
    again, _ = count(source, f"{tmp_path}/out/", tmp_path / "work")

    assert (stopped["big"].state, stopped["big"].done) == ("active", 2)
    assert (files["big"].state, files["big"].done, files["big"].bytes_done) == ("sent", 4, 200 * KIB)
    assert (
        files["big"].bytes_moved == 200 * KIB - stopped["big"].bytes_moved == sum(max(sizes) for sizes in said.values())
    )
    assert (again["big"].state, again["big"].parts, again["big"].fraction) == ("unchanged", 0, 1)


def test_a_file_that_changes_while_it_is_sent_has_parts_that_failed(tmp_path):
    source = write(tmp_path / "big", 200 * KIB)
    seen = []

    class Grows(Tally):
        def add(self, *figures):
            super().add(*figures)
            if not seen.append(figures) and len(seen) == 2:
                source.write_bytes(b"other")

    job = Job([str(source)], f"{tmp_path}/out/", UploadOptions(part_size=f"{64 * KIB}"), tmp_path / "work", 1)
    tally = Grows()
    way(job, lambda work, plan: map_here(work, plan, 1, counting(tally)), tally=tally)

    (file,) = tally.files(99)
    assert (file.state, file.done, file.failed, file.bytes_done) == ("failed", 2, 2, 128 * KIB)
    assert file.bytes_given_up == 72 * KIB


def test_a_file_that_is_sent_in_order_says_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_ACCESS_TOKEN", "secret-token")
    source = write(tmp_path / "big", 16 * (1 << 20) + 1)
    with Drive() as drive:
        files, said = count(source, "gdrive://folder", tmp_path / "work", endpoint=drive.endpoint,
                            credentials="env:TEST", part_size=f"{16 * QUANTUM}")  # fmt: skip

    (sizes,) = said.values()
    assert sizes == sorted(sizes)
    assert sizes[-1] == files["big"].bytes_done == 16 * (1 << 20) + 1
    assert len(sizes) > 5


def test_of_a_part_that_is_refused_nothing_counts_until_it_is_sent_again(tmp_path, bucket, monkeypatch):
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.001)
    source = write(tmp_path / "big", 128 * KIB)

    def refuse(request):
        return error("SlowDown", "503 Slow Down") if request.kind == "part" and request.count == 1 else PASS

    with Faulty(bucket.server.port, refuse) as proxy:
        files, said = count(source, f"{bucket.url}/", tmp_path / "work", endpoint=proxy.endpoint)

    first, second = said[f"part 1 of {source}"], said[f"part 2 of {source}"]
    assert first[first.index(0) - 1] == first[-1] == second[-1] == 64 * KIB
    assert 0 not in second
    assert files["big"].bytes_done == 128 * KIB
