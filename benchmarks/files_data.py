"""Data files to convert, the same in every run, and what they hold: row counts and digests that any reader can check.

A digest does not depend on the order of the rows, since not every program that is compared keeps it.
"""

import gzip
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv, json

from benchmarks.files_kinds import NESTED, ORDERS

CHUNK = 50_000  # rows made at once
QUOTED = 100  # one comment in so many holds a comma, quotes and a line break
UNKNOWN = 50  # one amount in so many is missing
WORDS = pa.array(["river", "branch", "delta", "water", "stone", "bridge", "mill", "harbour", "lock", "weir", "ford"])
CITIES = pa.array(["Lyon", "Köln", "Porto", "Gdańsk", "Ghent", "Turku", "Bergen", "Graz"])
TAGS = pa.array([["new"], [], ["new", "big"], ["old", "red", "small"], ["blue"], ["big", "red"]])
ITEMS = pa.array([[{"sku": f"S{n:04}", "count": n % 9}, {"sku": "T1", "count": n % 5}][: n % 3] for n in range(60)])


class Content(NamedTuple):
    """What a file holds: how many rows, and a sum over the hashes of all rows."""

    rows: int
    digest: int

    def __add__(self, other: "Content") -> "Content":
        return Content(self.rows + other.rows, (self.digest + other.digest) % 2**64)


NOTHING = Content(0, 0)


def write(kind: str, path: Path, megabytes: float, seed: int = 0) -> Content:
    """Write a file of that kind with that much text (of a Parquet file: as much as it would be in CSV)."""
    render, content, written = RENDERED[kind], NOTHING, 0
    chunk = min(CHUNK, max(int(megabytes * 1000), 1))  # a tenth of a small file, at about 100 bytes a row
    with _opened(kind, path) as put:
        for begin in count(0, chunk):
            if written >= megabytes * 1e6:
                break
            rows = orders(begin, chunk, seed)
            text, shown = render(rows)
            put(rows, text)
            written += len(text)
            content += content_of(shown, shown.schema)
    return content


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
    "records": _flat,
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


def content_of(rows: pa.Table, schema: pa.Schema | None) -> Content:
    """Count and hash rows, or without a schema only count them; ValueError where their columns are not the schema's."""
    if schema is None:
        return Content(rows.num_rows, 0)
    found = [(each.name, _kind(each.type)) for each in rows.schema]
    wanted = [(each.name, _kind(each.type)) for each in schema]
    if found != wanted:
        raise ValueError(f"columns {found} instead of {wanted}")
    frame = rows.cast(schema).to_pandas()
    for name in (each.name for each in schema if pa.types.is_nested(each.type)):
        frame[name] = [orjson.dumps(value, option=orjson.OPT_SORT_KEYS) for value in rows[name].to_pylist()]
    hashes = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    return Content(rows.num_rows, int(hashes.sum(dtype=np.uint64)))


def _kind(type_: pa.DataType) -> str:
    """Name a type without what does not matter here: how its text is laid out, and the unit of a timestamp."""
    if pa.types.is_timestamp(type_):
        return "timestamp"
    if pa.types.is_struct(type_):
        return str({each.name: _kind(each.type) for each in type_})
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return f"list of {_kind(type_.value_type)}"
    return str(type_).replace("large_string", "string").replace("string_view", "string")


def contained(path: Path, schema: pa.Schema | None) -> Content:
    """Read the data files of a folder with pyarrow; without a schema count their rows."""
    files = [each for each in sorted(path.rglob("*")) if each.suffix in READ]
    return sum((content_of(table, schema) for file in files for table in READ[file.suffix](file, schema)), NOTHING)


def _read_csv(path: Path, schema: pa.Schema | None) -> Iterator[pa.Table]:
    parse = csv.ParseOptions(newlines_in_values=True)
    with csv.open_csv(path, None, parse, csv.ConvertOptions(column_types=schema)) as reader:
        yield from (pa.Table.from_batches([batch]) for batch in reader)


def _read_lines(path: Path, schema: pa.Schema | None) -> Iterator[pa.Table]:
    with json.open_json(path, parse_options=json.ParseOptions(explicit_schema=schema)) as reader:
        yield from (pa.Table.from_batches([batch]) for batch in reader)


def _read_parquet(path: Path, _: pa.Schema | None) -> Iterator[pa.Table]:
    with pq.ParquetFile(path) as file:
        yield from (file.read_row_group(group) for group in range(file.num_row_groups))


READ = {".csv": _read_csv, ".jsonl": _read_lines, ".parquet": _read_parquet}
