"""Records for the benchmark of imports: a table, and a file of which a part is in the table already."""

import numpy as np
import pyarrow as pa
import pyarrow.csv

WORDS = np.array(["alpha", "bravo", "charlie delta", "echo, foxtrot", "golf hotel", "india"])


def write_files(rows: int, known: int, repeated: int, old: str, new: str) -> None:
    """Write `rows` records that the table has, and a file of as many of which `known` are in it, `repeated` twice."""
    found = records(rows - known, rows - repeated, 2)
    found = pa.concat_tables([found, found.slice(rows // 2, repeated)])
    pa.csv.write_csv(found, new)
    pa.csv.write_csv(records(0, rows, 1), old)


def records(start: int, count: int, seed: int) -> pa.Table:
    """Make records whose keys follow one another, some 120 bytes each as CSV."""
    draw = np.random.default_rng(seed)
    numbers = np.arange(start, start + count)
    emails = [f"user{number}@example{number % 97}.org" for number in numbers.tolist()]
    words = [pa.array(WORDS[draw.integers(0, len(WORDS), count)]) for _ in range(3)]
    amounts = [f"{cents // 100}.{cents % 100:02}" for cents in draw.integers(0, 10**9, count).tolist()]
    days = pa.array(draw.integers(0, 20_000, count).astype("int32")).cast(pa.date32())
    notes = [f"note {number} about something" for number in draw.integers(0, 10**6, count).tolist()]
    columns = [pa.array(numbers), emails, *words, amounts, days, notes]
    return pa.table(columns, names=["id", "email", "first", "last", "city", "amount", "day", "note"])
