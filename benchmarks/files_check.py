"""What files hold, so that the outputs of all programs can be held against it: rows, a digest of all values, the size.

A digest compares every value, nested ones too, in numpy on all cores. It does not depend on the order of the rows,
since not every program keeps it, nor on the unit of a timestamp; but each value counts with its column and its row.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import csv, json

from anabranch.core.config import cores

BLOCK = 8 << 20  # bytes of text that are read at once
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
NULL = np.uint64(0x6A09E667F3BCC909)

Hashes = NDArray[np.uint64]
Load = Callable[[], pa.Table]


class Content(NamedTuple):
    """What a file holds: how many rows, and a sum over the hashes of all rows."""

    rows: int
    digest: int

    def __add__(self, other: "Content") -> "Content":
        return Content(self.rows + other.rows, (self.digest + other.digest) % 2**64)


class Outline(NamedTuple):
    """What can be known of files without reading their values."""

    rows: int  # of Parquet; of text, lines: a quoted line break counts, too
    size: int  # bytes

    def __add__(self, other: "Outline") -> "Outline":
        return Outline(self.rows + other.rows, self.size + other.size)


NOTHING = Content(0, 0)


def outline(folder: Path) -> Outline:
    """Count the rows and bytes of the data files of a folder."""
    counted = (Outline(_rows(path), path.stat().st_size) for path in _files(folder))
    return sum(counted, Outline(0, 0))


def contained(folder: Path, schema: pa.Schema | None) -> Content:
    """Read the data files of a folder with pyarrow; without a schema only count their rows."""
    loads = chain.from_iterable(READ[path.suffix](path, schema) for path in _files(folder))
    with ThreadPoolExecutor(cores()) as pool:
        return sum(pool.map(lambda load: content_of(load(), schema), loads), NOTHING)


def content_of(rows: pa.Table, schema: pa.Schema | None) -> Content:
    """Count and hash rows, or without a schema only count them; ValueError where their columns are not the schema's."""
    if schema is None:
        return Content(rows.num_rows, 0)
    found = [(each.name, _kind(each.type)) for each in rows.schema]
    wanted = [(each.name, _kind(each.type)) for each in schema]
    if found != wanted:
        raise ValueError(f"columns {found} instead of {wanted}")
    batches = rows.cast(schema).to_batches()
    return Content(rows.num_rows, sum(int(_together(batch.columns).sum()) for batch in batches) % 2**64)


def _kind(type_: pa.DataType) -> str:
    """Name a type without what does not matter here: how its text is laid out, and the unit of a timestamp."""
    if pa.types.is_timestamp(type_):
        return f"timestamp {type_.tz or ''}"
    if pa.types.is_struct(type_):
        return str({each.name: _kind(each.type) for each in type_})
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return f"list of {_kind(type_.value_type)}"
    return str(type_).replace("large_string", "string").replace("string_view", "string")


def _hashes(values: pa.Array) -> Hashes:
    """Hash each value, by nothing but the value itself."""
    if pa.types.is_struct(values.type):
        found = _together(values.flatten())
    elif pa.types.is_list(values.type):
        found = _joined(_hashes(values.flatten()), pc.list_value_length(values))
    elif pa.types.is_string(values.type):
        found = _texts(values)
    else:
        plain = values if pa.types.is_floating(values.type) else values.cast(pa.int64())
        found = _mixed((plain.fill_null(0).to_numpy() + 0).view(np.uint64))  # which makes one of both zeros
    return np.where(values.is_valid(), found, NULL) if values.null_count else found


def _together(columns: Iterable[pa.Array]) -> Hashes:
    """Hash each row of some columns: what each column holds counts by its place."""
    listed = [_hashes(column) for column in columns]
    places = np.arange(1, len(listed) + 1, dtype=np.uint64) * GOLDEN
    return _mixed(np.sum([_mixed(column + place) for column, place in zip(listed, places, strict=True)], axis=0))


def _texts(values: pa.Array) -> Hashes:
    """Hash texts, each that comes again only once."""
    encoded = values.dictionary_encode()
    texts = encoded.dictionary
    lengths = pc.binary_length(texts)
    letters = np.frombuffer(texts.buffers()[2] or b"", np.uint8)[: pc.sum(lengths, min_count=0).as_py()]
    found = _joined(letters.astype(np.uint64), lengths)
    return np.append(found, NULL)[encoded.indices.fill_null(len(texts)).to_numpy()]


def _joined(elements: Hashes, lengths: pa.Array) -> Hashes:
    """Hash sequences of that many elements, whose elements follow one another: each counts by its place."""
    many = lengths.fill_null(0).to_numpy().astype(np.int64)
    ends = np.cumsum(many)
    places = np.arange(len(elements)) - np.repeat(ends - many, many)
    weights = _mixed(np.arange(many.max(initial=0), dtype=np.uint64)) | np.uint64(1)  # odd: no change is lost
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(elements * weights[places], dtype=np.uint64)])
    return _mixed(sums[ends] - sums[ends - many] + many.astype(np.uint64) * GOLDEN)


def _mixed(values: Hashes) -> Hashes:
    """Spread what tells two values apart over all 64 bits, as splitmix64 does; no two values become one."""
    values = values + GOLDEN
    values = (values ^ (values >> np.uint64(30))) * FIRST
    values = (values ^ (values >> np.uint64(27))) * SECOND
    return values ^ (values >> np.uint64(31))


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.suffix in READ]


def _rows(path: Path) -> int:
    if path.suffix == ".parquet":
        return int(pq.read_metadata(path).num_rows)
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(partial(file.read, BLOCK), b""))


def _read_csv(path: Path, schema: pa.Schema | None) -> Iterator[Load]:
    read, parse = csv.ReadOptions(block_size=BLOCK), csv.ParseOptions(newlines_in_values=True)
    with csv.open_csv(path, read, parse, csv.ConvertOptions(column_types=schema)) as reader:
        yield from (partial(pa.Table.from_batches, [batch]) for batch in reader)


def _read_lines(path: Path, schema: pa.Schema | None) -> Iterator[Load]:
    with json.open_json(path, json.ReadOptions(block_size=BLOCK), json.ParseOptions(explicit_schema=schema)) as reader:
        yield from (partial(pa.Table.from_batches, [batch]) for batch in reader)


def _read_parquet(path: Path, _: pa.Schema | None) -> Iterator[Load]:
    return (partial(_row_group, path, group) for group in range(pq.read_metadata(path).num_row_groups))


def _row_group(path: Path, group: int) -> pa.Table:
    """Read one with a reader of its own, since threads cannot share one."""
    with pq.ParquetFile(path) as file:
        return file.read_row_group(group, use_threads=False)


READ = {".csv": _read_csv, ".jsonl": _read_lines, ".parquet": _read_parquet}
