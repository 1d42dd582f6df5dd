"""The names of objects: normal, distinct, and none that a store could take for a path elsewhere."""

from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.core.errors import SourceError, UsageError
from anabranch.uploads.keys import LONGEST_KEY, normal_key, require_distinct


@pytest.mark.parametrize(("prefix", "below", "key"), [
    ("", "a.bin", "a.bin"),
    ("2026/", "deep/a b+ü&%.bin", "2026/deep/a b+ü&%.bin"),
    ("", "u\u0308", "\u00fc"),
    ("", "ファイル", "ファイル"),
])  # fmt: skip
def test_a_key_is_the_path_below_the_prefix_in_normal_form(prefix, below, key):
    assert normal_key(prefix, PurePath(below)) == key


@pytest.mark.parametrize(("prefix", "below", "reason"), [
    ("", "../up", "empty part, or one that is"),
    ("", "/root", "empty part"),
    ("a//", "b", "empty part"),
    ("a/../", "b", "empty part, or one that is"),
    ("", "line\nbreak", "control characters"),
    ("", "nul\0", "control characters"),
    ("", "\udcff.bin", "not valid UTF-8"),
    ("", "ä" * (LONGEST_KEY // 2) + "b", "1,025 bytes"),
])  # fmt: skip
def test_a_name_that_no_store_could_hold_safely_is_refused(prefix, below, reason):
    with pytest.raises(SourceError, match=reason) as caught:
        normal_key(prefix, PurePath(below))

    assert caught.value.code == "key-refused"


@given(st.text(min_size=1))
def test_a_key_is_always_safe_or_refused(name):
    try:
        key = normal_key("", PurePath(name))
    except SourceError:
        return
    assert not key.startswith("/")
    assert not {"", ".", ".."} & set(key.split("/"))
    assert normal_key("", PurePath(key)) == key


def test_two_sources_of_one_key_are_named():
    with pytest.raises(UsageError, match="a/x and b/x would both become x"):
        require_distinct([("x", "a/x"), ("y", "a/y"), ("x", "b/x")])
