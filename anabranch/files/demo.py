"""The demo of convert-files: a compressed CSV file becomes Parquet with types."""

import gzip
import random
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq

from anabranch.core.demo import Run, Say, Show, Step, Steps
from anabranch.core.storage import published

ROWS = 200_000
_WORDS = ("door bell", 'lamp, 40"', "blue chair", "naïve clock", 'the "long" table')


def demo(folder: Path) -> Steps:
    """Write a sample of orders unless it is there, convert it, and show the types that were found."""
    orders = yield from sample(folder)
    target = folder / "parquet"
    yield Run(("convert-files", str(orders), f"{target}/", "--to", "parquet"))
    written = target / "orders.parquet"
    yield Show(f"--- {pq.read_metadata(written).num_rows:,} rows in {written}, of these types:")
    yield Show(pq.read_schema(written).remove_metadata().to_string())


def sample(folder: Path) -> Generator[Step, None, Path]:
    """Write orders.csv.gz into the folder unless it is there; return its path."""
    orders = folder / "orders.csv.gz"
    if not orders.exists():
        yield Say(f"writing a sample of {ROWS:,} orders: {orders}")
        with published(orders) as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
            file.write(b"number,ordered_at,customer,article,pieces,price,express\n")
            file.writelines(_rows())
    return orders


def _rows() -> Iterator[bytes]:
    generator = random.Random(1)  # noqa: S311  no secret
    time = datetime(2026, 1, 5, 8, tzinfo=UTC)
    for number in range(ROWS):
        time += timedelta(seconds=generator.randrange(90))
        article = generator.choice(_WORDS).replace('"', '""')
        customer = f"C{generator.randrange(5000):05}" if generator.random() > 0.02 else ""  # noqa: PLR2004  some are unknown
        price, express = generator.randrange(100, 50_000) / 100, generator.choice(("true", "false"))
        yield f'{number},{time:%Y-%m-%dT%H:%M:%SZ},{customer},"{article}",{number % 9 + 1},{price},{express}\n'.encode()
