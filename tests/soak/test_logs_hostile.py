"""Archives damaged at random: the engine ends with a report or a clear error, in bounded time and memory."""

import bz2
import gzip
import random
from contextlib import suppress
from itertools import count

import pytest

from anabranch.core.errors import AnabranchError
from anabranch.logs.options import LogOptions
from tests.bounded import bounded
from tests.examples import SOAK_EXAMPLES
from tests.logs.archives import START, STOP, flow, line, tar_of
from tests.logs.pipeline import parse_logs
from tests.logs.small import small_scale, write_archive

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

ALL = LogOptions(mode=["known", "sessions", "bw", "md", "grading", "memory"])
PACK = {"tar": bytes, "tar.gz": gzip.compress, "tar.bz2": lambda data: bz2.compress(data, 1)}


@pytest.mark.parametrize("suffix", PACK)
def test_a_damaged_archive_ends_in_a_report_or_a_clear_error(tmp_path, suffix):
    write_archive(tmp_path / "whole")
    whole = PACK[suffix](bz2.decompress((tmp_path / "whole").read_bytes()))
    source = tmp_path / f"unit.{suffix}"

    for seed in range(SOAK_EXAMPLES):
        source.write_bytes(_damaged(whole, random.Random(seed)))

        def parse(seed=seed):
            with suppress(AnabranchError):
                parse_logs([str(source)], tmp_path / "report", ALL, tmp_path / "work" / str(seed % 10))

        with small_scale():
            assert not bounded(parse, tmp_path), f"seed {seed}"


def test_any_cutting_of_any_archive_gives_the_bytes_of_the_whole(tmp_path):
    for seed in range(SOAK_EXAMPLES // 4):
        generator = random.Random(seed)
        suffix = generator.choice(sorted(PACK))
        source = tmp_path / f"unit.{suffix}"
        source.write_bytes(PACK[suffix](tar_of(_members(generator))))
        options = LogOptions(mode=generator.sample(["known", "sessions", "bw", "md"], 2))
        (tmp_path / f"{seed}-cut").mkdir()
        (tmp_path / f"{seed}-whole").mkdir()

        parse_logs([str(source)], tmp_path / f"{seed}-whole", options, tmp_path / "work", threads=1)
        with small_scale(seconds=1e-6, piece=generator.choice([50, 333, 4000])):
            threads = generator.randint(1, 9)
            parse_logs(
                [str(source)],
                tmp_path / f"{seed}-cut",
                options,
                tmp_path / "work-cut",
                threads=threads,
                order=generator,
            )

        whole, cut = (
            {path.name: path.read_bytes() for path in (tmp_path / f"{seed}-{how}").iterdir()}
            for how in ("whole", "cut")
        )
        assert cut == whole, f"seed {seed}"


def _damaged(data, generator):
    """Flip, cut out, insert or double bytes, at one to four places; at most places of a tar there are headers."""
    data = bytearray(data)
    for _ in range(generator.randint(1, 4)):
        place, size = generator.randrange(len(data)), generator.choice([1, 2, 9, 512, 5000])
        match generator.choice(["flip", "cut out", "insert", "double", "cut off"]):
            case "flip":
                data[place] ^= 1 << generator.randrange(8)
            case "cut out":
                del data[place : place + size]
            case "insert":
                data[place:place] = generator.randbytes(size)
            case "double":
                data[place:place] = data[place : place + size]
            case "cut off" if len(data) > 2000:
                del data[-generator.randrange(1, 1000) :]
    return bytes(data)


def _members(generator):
    """Return logs with random ends of line, blank and undecodable lines, some of them gzipped."""
    minutes = (f"2025-09-26T{n // 60 % 24:02}:{n % 60:02}:00.25+00:00" for n in count())
    members = {}
    for rotation in reversed(range(generator.randint(1, 4))):
        lines = [_line(generator, next(minutes)).rstrip(b"\n") for _ in range(generator.randint(0, 60))]
        text = b"".join(line + generator.choice([b"\n", b"\n", b"\r\n", b"\r", b"\n\n"]) for line in lines)
        text = text[: len(text) - generator.randint(0, 2)]
        gzipped = generator.random() < 0.3
        members[f"messages.log.{rotation}" if rotation else "messages.log"] = gzip.compress(text) if gzipped else text
    return members


def _line(generator, time):
    texts = (START, STOP, "Entering state \"Streaming\" with args: ('x',), {}", "nothing", "", "réseau")
    made = generator.choice(
        [flow(generator.randrange(9999), time), line(generator.choice(texts), time), b"", b"\xff\xfe"]
    )
    return made[generator.randrange(5) :] if generator.random() < 0.05 else made
