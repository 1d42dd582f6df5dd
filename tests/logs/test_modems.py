import copy
import re
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from anabranch.logs import modems

LINE = re.compile(" ".join(f"(?P<{name}>\\d+)" for name in ("modem", *modems.MEASURES)))
VALUES = st.lists(st.lists(st.integers(0, 3), min_size=7, max_size=7), max_size=12)


def figures(lines, first=0):
    found = {}
    for number, values in enumerate(lines, first):
        modems.add(found, LINE.search(" ".join(map(str, values))), f"T{number}")
    return found


def merged(*parts):
    def merge(left, right):
        modems.merge(left, right)
        return left

    return reduce(merge, copy.deepcopy(parts), {})


@given(VALUES, VALUES, VALUES)
def test_merging_is_associative_and_equals_reading_all(a, b, c):
    x, y, z = figures(a), figures(b, len(a)), figures(c, len(a) + len(b))

    assert merged(merged(x, y), z) == merged(x, merged(y, z)) == figures(a + b + c)


def test_the_first_of_equal_values_keeps_its_time_and_zero_is_no_highest():
    low, high = 2, 5
    lines = [[1, value, 0, 1, 1, 1, 1] for value in (high, low, high, low)]

    text = "".join(modems.summary(figures(lines)))

    assert "Potential Bandwidth (kbps) (L/H/A): 2 / 5 / 3.5\n\t\tTime of L: T1\n\t\tTime of H: T0\n" in text
    assert "Percent Loss (L/H/A): 0 / 0 / 0.0\n\t\tTime of L: T0\n\t\tTime of H: None\n" in text


def test_modems_are_sorted_as_text():
    text = "".join(modems.summary(figures([[number, 1, 1, 1, 1, 1, 1] for number in (2, 10, 1)])))

    assert re.findall(r"Modem (\d+)", text) == ["1", "10", "2"]


def test_an_absurd_number_is_no_measurement():
    assert figures([[1, 10**18, 1, 1, 1, 1, 1]]) == {}


def test_a_total_above_two_to_the_53_is_rounded_before_it_is_divided():
    lines = [[1, 3002399751580331, 0, 1, 1, 1, 1]] * 3

    text = "".join(modems.summary(figures(lines)))

    assert "Potential Bandwidth (kbps) (L/H/A): 3002399751580331 / 3002399751580331 / 3002399751580330.5\n" in text
