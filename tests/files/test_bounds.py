"""What a source may unpack to, and the room that it needs."""

import bz2
import gzip
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from anabranch.core.errors import SourceError, TemporaryError
from anabranch.core.parts import Outcome
from anabranch.core.sizes import size_shown
from anabranch.formats.options import ReadOptions
from anabranch.sources import bounds
from anabranch.sources.codecs import open_text
from anabranch.sources.finding import find
from anabranch.sources.unpack import Manner, Packed, Slices, preceding, unpack, unpacking
from tests.files.small import small_scale


@pytest.mark.parametrize(
    ("most", "error"),
    [("1MiB", True), ("20x", True), ("1MiB,20x", True), ("100MB", False), ("1MiB,999999x", False), ("", False)],
)
@pytest.mark.parametrize("slices", [1, 4])
def test_a_source_unpacks_to_what_the_user_allows_however_it_is_cut(most, error, slices, tmp_path):
    data = b"".join(bz2.compress(bytes(900_000)) for _ in range(4))
    (tmp_path / "a.csv.bz2").write_bytes(data)
    source = replace(find([str(tmp_path / "a.csv.bz2")]).sources[0], most=most)
    folder = tmp_path / "work"
    with small_scale():
        plan = unpacking(
            [Packed(source, "bz2", "x")], Manner({"bz2": len(data) / 100}, keeps=True), folder, slices, "k"
        )
    found = preceding([Outcome(part, manifest=unpack(part)) for part in plan])[source]

    assert (found.error.code if found.error else "") == ("too-large" if error else "")
    with open_text(source, "bz2") as text, pytest.raises(SourceError) if error else nullcontext():
        assert len(text.read()) == 3_600_000


@pytest.mark.parametrize("text", ["", "20", "5 GB", "10x", "1GiB, 2.5x"])
def test_limits_on_unpacking_are_bytes_and_multiples(text):
    assert bounds.bound_of(text) == {
        "": (1 << 30, 1000), "20": (20, 0), "5 GB": (5 * 10**9, 0), "10x": (0, 10), "1GiB, 2.5x": (1 << 30, 2.5)
    }[text]  # fmt: skip
    with pytest.raises(ValueError, match="max_unpacked"):
        ReadOptions(max_unpacked="ten")


def test_nothing_is_unpacked_where_the_disk_has_no_room(tmp_path, monkeypatch):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(bytes(1 << 20)))
    source = find([str(tmp_path / "a.csv.gz")]).sources[0]
    parts = unpacking([Packed(source, "gz", "x")], Manner({"gz": 1e6}), tmp_path / "work" / "w", 1, "k")
    plan = Slices(parts, str(tmp_path / "work" / "w"), sources=(source,))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: mock.Mock(free=(1 << 20) - 1 if path == tmp_path else 0))

    with pytest.raises(TemporaryError, match=r"work/w: .*at least 1 MiB are needed, and 1,024 KiB are free.*disk-full"):
        plan.save()

    monkeypatch.setattr(shutil, "disk_usage", lambda _: mock.Mock(free=1 << 20))
    plan.save()
    (tmp_path / "work" / "w").mkdir(parents=True)
    Path(parts[0].slices[0].target).touch()  # which an earlier run unpacked
    monkeypatch.setattr(shutil, "disk_usage", lambda _: mock.Mock(free=0))
    plan.save()


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1023, "1,023 bytes"), (1536, "1.5 KiB"), (5 << 40, "5 TiB")],
)
def test_sizes_are_shown_in_the_largest_unit_that_they_reach(size, text):
    assert size_shown(size) == text
