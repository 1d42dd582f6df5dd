"""The logs workload at a small scale: a hundred kilobytes are cut as gigabytes are, into slices, pieces and parts."""

import bz2
import gzip
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from anabranch.logs.options import LogOptions
from tests.logs.archives import START, STOP, flow, line, tar_of
from tests.logs.pipeline import parse_logs

OPTIONS = LogOptions(mode=["bw", "sessions"])


@contextmanager
def small_scale(*, seconds: float = 4e-4, piece: int = 16 << 10) -> Iterator[None]:
    """Lower the sizes from which on the engine cuts: its way is that of big archives, its time that of small ones.

    `seconds` are those of the smallest part, `piece` the bytes of a piece.
    """
    with (
        patch("anabranch.core.batches.SMALLEST_PART", seconds),
        patch("anabranch.logs.unpack._WHOLE", 0),
        patch("anabranch.logs.plan._PIECE", piece),
    ):
        yield


def parse(source: str, output: str, work_dir: str) -> None:
    """Run the whole engine at a small scale; raise what its report calls an error, since such a run ends as failed."""
    with small_scale():
        report = parse_logs([source], Path(output), OPTIONS, Path(work_dir))
    if report.errors:
        raise RuntimeError(str(report.errors[0]))


def write_archive(path: Path) -> None:
    """Write an archive of three slices: plain and gzipped logs, one of them damaged, and something that is no log."""
    damaged = bytearray(gzip.compress(text(2)))
    damaged[len(damaged) // 2] ^= 0xFF
    files = {
        "messages.log.3.gz": gzip.compress(text(3)),
        "messages.log.2.gz": bytes(damaged),
        "core.dump": random.Random(1).randbytes(120_000),  # makes it three blocks of bzip2
        "messages.log.1": text(1),
        "messages.log": text(0),
    }
    path.write_bytes(bz2.compress(tar_of(files), compresslevel=1))


def text(hour: int) -> bytes:
    """Return some 36 KB of log with a session and what is measured in it."""
    times = [f"2025-09-26T{20 - hour:02}:{second // 60:02}:{second % 60:02}.5+00:00" for second in range(240)]
    return (
        line(START, times[0]) + b"".join(flow(1000 + n, time) for n, time in enumerate(times)) + line(STOP, times[-1])
    )
