"""What a run wrote, compared with what is there later."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.core.parts import Written
from anabranch.core.storage import published
from anabranch.core.verifying import sample, verify_file

TEXT = b"known 1\nknown 2\n"


@pytest.mark.parametrize(("there", "state"), [
    (TEXT, "as_recorded"),
    (TEXT.replace(b"2", b"3"), "changed"),
    (TEXT + b"\n", "changed"),
    (TEXT[:-1], "changed"),
    (b"", "changed"),
    (None, "missing"),
])  # fmt: skip
def test_a_file_is_held_against_its_size_and_checksum(tmp_path, there, state):
    target, noted = tmp_path / "reports" / "a.txt", []
    target.parent.mkdir()
    with published(target, written=noted) as file:
        file.write(TEXT)

    if there is None:
        target.unlink()
        target.parent.rmdir()
    else:
        target.write_bytes(there)

    assert verify_file(noted[0]).state == state


@given(st.integers(0, 50), st.integers(1, 100), st.text("abcdef", min_size=1, max_size=3))
def test_a_sample_has_its_share_and_is_the_same_for_the_same_run(count, percent, run):
    written = [Written(name=str(number), place=f"file:///{number}") for number in range(count)]
    chosen = sample(written, Fraction(percent, 100), run)

    assert len(chosen) == -(-count * percent // 100)
    assert chosen == [one for one in written if one in chosen]
    assert [one.place for one in sample(written[::-1], Fraction(percent, 100), run)] == [
        one.place for one in chosen[::-1]
    ]
