from hypothesis import given
from hypothesis import strategies as st

from anabranch.core.batches import MOST_PARTS, contiguous, part_count

costs = st.lists(st.floats(0, 1e6), max_size=60)


@given(costs, st.integers(1, 20))
def test_runs_cover_every_item_once_in_order(costs, count):
    runs = contiguous(costs, count)

    assert [i for run in runs for i in run] == list(range(len(costs)))
    assert len(runs) <= count
    assert all(runs)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=9), st.integers(1, 4))
def test_no_other_cut_has_a_cheaper_dearest_run(costs, count):
    def best(start, left):
        if left == 1:
            return sum(costs[start:])
        return min(max(sum(costs[start:end]), best(end, left - 1)) for end in range(start, len(costs) + 1))

    dearest = max(sum(costs[i] for i in run) for run in contiguous(costs, count))

    assert dearest <= best(0, count) + 1e-6


def test_little_work_makes_few_parts():
    assert part_count(0.0, threads=2) == 1
    assert part_count(0.5, threads=2) == 2


def test_much_work_makes_several_waves_but_never_too_many_parts():
    assert part_count(10, threads=2) == 8
    assert part_count(90, threads=2) == 30
    assert part_count(1e9, threads=2) == MOST_PARTS
