"""The conversion at a small scale: kilobytes are cut as gigabytes are, into slices, blocks and parts."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from unittest.mock import patch

import pytest

from anabranch.core.parts import Report
from tests.files.converting import convert, cut_small

BLOCK = 500  # bytes
OPTIONS = {"on_bad_row": "quarantine"}


@contextmanager
def small_scale(*, block: int = BLOCK, part_seconds: float = 1e-5) -> Iterator[None]:
    """Lower the sizes from which on files are cut, and compressed ones unpacked first."""
    with (
        pytest.MonkeyPatch.context() as patches,
        patch("anabranch.sources.unpack.BIG", 0),
    ):
        cut_small(patches, block, part_seconds=part_seconds)
        yield


class _Here:
    """An executor of which nothing runs in a thread of its own: strace counts the calls of each thread for itself."""

    def __init__(self, _workers: int) -> None:
        self.map = map

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def run(source: str, output: str, work_dir: str, compression: str = "zstd") -> Report:
    """Convert all files of a folder at a small scale, those of which rows are bad, too."""
    with small_scale(), patch("anabranch.files.join.ThreadPoolExecutor", _Here):
        return convert(Path(source), Path(output), work_dir=Path(work_dir), compression=compression, **OPTIONS)


def write_sources(folder: Path) -> None:
    """Write sources of which one needs wider types late, one has several members, and one has a bad row."""
    folder.mkdir()
    (folder / "late.csv").write_bytes(rows(90) + b"90,x,0.5\n")
    (folder / "members.csv.gz").write_bytes(gzip.compress(rows(30), mtime=0) + gzip.compress(b"30,n,1\n", mtime=0))
    (folder / "odd.jsonl").write_bytes(b'{"id": 1, "in": {"a": [1]}}\n[]\n{"id": 2, "in": null}\n')


def rows(count: int) -> bytes:
    """Return a header and that many rows."""
    return b"id,name,n\n" + b"".join(b"%d,n%d,%d\n" % (number, number % 7, number * 3) for number in range(count))
