"""Data files to convert, the same in every run, and what they hold, or what should become of them."""

import gzip
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.files_check import NOTHING, Content, content_of
from benchmarks.files_kinds import NESTED, ORDERS
from benchmarks.files_pipeline import score

CHUNK = 50_000  # rows made at once
QUOTED = 100  # one comment in so many holds a comma, quotes and a line break
UNKNOWN = 50  # one amount in so many is missing
WORDS = pa.array(["river", "branch", "delta", "water", "stone", "bridge", "mill", "harbour", "lock", "weir", "ford"])
CITIES = pa.array(["Lyon", "Köln", "Porto", "Gdańsk", "Ghent", "Turku", "Bergen", "Graz"])
TAGS = pa.array([["new"], [], ["new", "big"], ["old", "red", "small"], ["blue"], ["big", "red"]])
ITEMS = pa.array([[{"sku": f"S{n:04}", "count": n % 9}, {"sku": "T1", "count": n % 5}][: n % 3] for n in range(60)])


class Written(NamedTuple):
    """What should be read from a file once it is converted, and how much text it has, in bytes."""

    content: Content
    size: int

    def __add__(self, other: "Written") -> "Written":
        return Written(self.content + other.content, self.size + other.size)


EMPTY = Written(NOTHING, 0)


def write(kind: str, path: Path, megabytes: float, seed: int = 0) -> Written:
    """Write a file of that kind with that much text or little more (of a Parquet file: as it would be in CSV)."""
    render, written = RENDERED[kind], EMPTY
    chunk = min(CHUNK, max(int(megabytes * 1000), 1))  # a tenth of a small file, at about 100 bytes a row
    with _opened(kind, path) as put:
        for begin in count(0, chunk):
            if written.size >= megabytes * 1e6:
                break
            rows = orders(begin, chunk, seed)
            text, shown = render(rows)
            put(rows, text)
            written += Written(content_of(shown, shown.schema), len(text))
    return written


@contextmanager
def _opened(kind: str, path: Path) -> Iterator[Callable[[pa.Table, bytes], object]]:
    """Open a file to put orders into, each time both as they are and as text."""
    if kind == "parquet":
        with pq.ParquetWriter(path, ORDERS, compression="zstd") as writer:
            yield lambda rows, _: writer.write_table(rows)
        return
    with gzip.open(path, "wb", 6) if kind == "csv.gz" else path.open("wb") as out:
        if kind.startswith("csv"):
            out.write(",".join(ORDERS.names).encode() + b"\n")
        yield lambda _, text: out.write(text)


def orders(begin: int, many: int, seed: int) -> pa.Table:
    """Make `many` orders, numbered from `begin`."""
    draw = np.random.default_rng([seed, begin])
    words = [WORDS.take(pa.array(draw.integers(0, len(WORDS), many))) for _ in range(4)]
    plain = pc.binary_join_element_wise(*words, " ")
    odd = pc.binary_join_element_wise(*words[:3], ', "so"\n')
    return pa.table(
        {
            "id": pa.array(np.arange(begin, begin + many)),
            "customer": pc.binary_join_element_wise("customer", _text(draw.integers(0, 50_000, many)), "-"),
            "city": CITIES.take(pa.array(draw.integers(0, len(CITIES), many))),
            "comment": pc.if_else(pa.array(draw.integers(0, QUOTED, many) == 0), odd, plain),
            "amount": pa.array(np.round(draw.random(many) * 10_000, 2), mask=draw.integers(0, UNKNOWN, many) == 0),
            "quantity": pa.array(draw.integers(0, 1000, many)),
            "paid": pa.array(draw.integers(0, 2, many) == 1),
            "at": pa.array(draw.integers(1_600_000_000, 1_700_000_000, many)).cast(pa.timestamp("s")),
        }
    ).cast(ORDERS)


def _csv(rows: pa.Table) -> tuple[bytes, pa.Table]:
    comment = rows["comment"]
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(comment, '"', '""'), '"', "")
    cells = {name: _text(rows[name]) for name in rows.column_names}
    cells["comment"] = pc.if_else(pc.match_substring(comment, "\n"), quoted, comment)
    return _lines(cells.values(), ","), rows


def _flat(rows: pa.Table) -> tuple[bytes, pa.Table]:
    shown = rows.set_column(7, "at", _text(rows["at"]))
    return _lines(_objects({name: _json(shown[name]) for name in shown.column_names}), ""), shown


def _records(rows: pa.Table) -> tuple[bytes, pa.Table]:
    text, shown = _flat(rows)
    return text, shown.append_column("score", pa.array(score({"id": rows["id"].to_numpy()})["score"]))


def _nested(rows: pa.Table) -> tuple[bytes, pa.Table]:
    number = rows["id"].to_numpy()
    tags, items = pa.array(number * 7 % len(TAGS)), pa.array(number * 11 % len(ITEMS))
    user = [rows[name].combine_chunks() for name in ("customer", "city")]
    at = _text(rows["at"])
    names = _objects({"name": _json(rows["customer"]), "city": _json(rows["city"])})
    members = {
        "id": _json(rows["id"]),
        "user": pc.binary_join_element_wise(*names, ""),
        "tags": _dumped(TAGS).take(tags),
        "items": _dumped(ITEMS).take(items),
        "amount": _json(rows["amount"]),
        "at": _json(at),
    }
    columns = [rows["id"], pa.StructArray.from_arrays(user, ["name", "city"]), TAGS.take(tags), ITEMS.take(items)]
    return _lines(_objects(members), ""), pa.table([*columns, rows["amount"], at], schema=NESTED)


RENDERED: dict[str, Callable[[pa.Table], tuple[bytes, pa.Table]]] = {
    "csv": _csv,
    "csv.gz": _csv,
    "parquet": _csv,
    "flat": _flat,
    "nested": _nested,
    "records": _records,
}


def _text(values: pa.Array) -> pa.Array:
    """Write values as a CSV file shows them: timestamps as ISO 8601 with a T, nothing for null."""
    values = pa.array(values) if isinstance(values, np.ndarray) else values
    if pa.types.is_timestamp(values.type):
        return pc.replace_substring(values.cast(pa.timestamp("s")).cast(pa.string()), " ", "T")
    return pc.fill_null(values.cast(pa.string()), "")


def _json(values: pa.Array) -> pa.Array:
    if not pa.types.is_string(values.type):
        return pc.fill_null(values.cast(pa.string()), "null")
    escaped = pc.replace_substring(pc.replace_substring(values, '"', '\\"'), "\n", "\\n")
    return pc.binary_join_element_wise('"', escaped, '"', "")


def _dumped(values: pa.Array) -> pa.Array:
    return pa.array([orjson.dumps(value).decode() for value in values.to_pylist()])


def _objects(members: dict[str, pa.Array]) -> Iterator[pa.Array | str]:
    for place, (name, values) in enumerate(members.items()):
        yield f'{"," if place else "{"}"{name}":'
        yield values
    yield "}"


def _lines(cells: Iterable[pa.Array | str], between: str) -> bytes:
    lines = pc.binary_join_element_wise(*cells, between)
    return "\n".join([*lines.to_pylist(), ""]).encode()
