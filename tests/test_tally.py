"""Figures of a run's files: bytes, parts, speed and time left, whatever the order in which parts end."""

from hypothesis import given
from hypothesis import strategies as st

from anabranch.core.tally import ACTIVE, FAILED, MOST_STEPS, Tally


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def tally_of(**sizes):
    clock = Clock()
    tally = Tally(clock)
    for key, size in sizes.items():
        tally.expect(key, f"/in/{key}", size)
    return tally, clock


def test_what_is_left_is_told_from_what_was_moved_so_far_not_from_what_was_there_before():
    tally, clock = tally_of(a=1000, b=500)
    tally.begin("a", 10)
    tally.add("a", 1, 100, 0)  # the store held it
    tally.add("a", 2, 100, 100)
    clock.now += 2
    tally.moving("a", 3, 100)

    a, b = tally.files(99)

    assert (a.name, a.state, a.done, a.parts, a.bytes_so_far, a.fraction) == ("/in/a", ACTIVE, 2, 10, 300, 0.3)
    assert (a.seconds, a.bytes_per_second, a.parts_per_second, a.seconds_left) == (2, 100, 1, 7)
    assert (b.state, b.fraction, b.seconds_left) == ("waiting", 0, None)
    assert (tally.all.bytes_so_far, tally.all.size, tally.all.seconds_left) == (300, 1500, 12)


def test_a_file_that_fails_leaves_nothing_to_wait_for_and_keeps_what_was_counted():
    tally, clock = tally_of(a=1000, b=500)
    tally.begin("a", 2)
    tally.add("a", 1, 500, 500)
    tally.fail("a", 2)
    clock.now += 5
    tally.end("a", FAILED)
    clock.now += 5

    a, _ = tally.files(99)

    assert (a.state, a.done, a.failed, a.bytes_so_far, a.seconds, a.seconds_left) == (FAILED, 1, 1, 500, 5, None)
    assert tally.all.seconds_left == 500 / (500 / 10)  # of b alone


def test_a_file_that_is_begun_again_counts_from_the_start():
    tally, _ = tally_of(a=1000)
    tally.begin("a", 2)
    tally.add("a", 1, 500, 500)
    tally.fail("a", 2)
    tally.begin("a", 2)

    assert (tally.all.done, tally.all.failed, tally.all.bytes_done, tally.all.parts) == (0, 0, 0, 2)


def test_a_file_of_no_bytes_is_done_when_it_has_ended():
    tally, _ = tally_of(a=0)
    before = tally.files(99)[0].fraction
    tally.begin("a", 1)
    tally.add("a", 1, 0, 0)
    tally.end("a", "sent")

    assert (before, tally.files(99)[0].fraction) == (0, 1)


def test_what_is_said_of_a_part_after_its_end_does_not_count():
    tally, _ = tally_of(a=1000)
    tally.begin("a", 2)
    tally.moving("a", 1, 100)
    tally.add("a", 1, 500, 500)
    tally.moving("a", 1, 400)
    tally.moving("a", 2, 300)
    tally.fail("a", 2)
    tally.moving("a", 2, 300)

    assert tally.all.bytes_so_far == 500


EVENTS = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.sampled_from(["begin", "moving", "add", "fail", "end"]),
        st.integers(1, 5), st.integers(0, 100), st.floats(0, 500),
    ),
    max_size=60,
)  # fmt: skip


@given(EVENTS)
def test_all_files_together_are_the_sum_of_each_and_no_byte_of_the_speed_is_lost(events):
    tally, clock = tally_of(a=500, b=500, c=500)
    noted, over, moved = {}, set(), 0
    for key, what, part, size, seconds in events:
        clock.now += seconds
        active = next(file for file in tally.files(99) if file.name == f"/in/{key}").state == ACTIVE
        if what == "begin":
            tally.begin(key, 5)
            over = {place for place in over if place[0] != key}
            noted = {place: known for place, known in noted.items() if place[0] != key}
        elif what == "end":
            tally.end(key, "sent")
            over = {place for place in over if place[0] != key}
            noted = {place: known for place, known in noted.items() if place[0] != key}
        elif what == "fail":
            tally.fail(key, part)
            noted.pop((key, part), None)
            over.add((key, part))
        elif what == "moving":
            if active and (key, part) not in over:
                moved += max(size - noted.get((key, part), 0), 0)
                noted[key, part] = size
            tally.moving(key, part, size)
        elif what == "add":
            if (key, part) not in over:  # a part is counted once
                moved += max(size - noted.pop((key, part), 0), 0)
            over.add((key, part))
            tally.add(key, part, size, size)

    every, files = tally.all, tally.files(99)
    for name in ("parts", "done", "failed", "bytes_done", "bytes_moved", "bytes_moving"):
        assert getattr(every, name) == sum(getattr(file, name) for file in files)
    step, speeds = tally.speeds()
    assert len(speeds) <= MOST_STEPS
    assert abs(sum(speeds) * step - moved) < 1e-6 * max(moved, 1)


def test_the_memory_of_a_long_run_is_kept_in_a_bounded_number_of_points():
    now = [0.0]
    tally = Tally(clock=lambda: now[0])
    tally.expect("a", "a", 1 << 40)
    tally.begin("a", 1)
    for second in range(100_000):
        now[0] = float(second)
        tally.note_memory(second % 100)
        tally.moving("a", 1, second)

    seconds = [since for since, _ in tally.memory()]
    assert len(seconds) <= 2 * MOST_STEPS
    assert seconds == sorted(seconds)
    assert seconds[0] == 0
    assert 100_000 - seconds[-1] < 100_000 / 50
