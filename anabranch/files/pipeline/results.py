"""What a function returned, on disk: lines of the output itself, or tables whose types are agreed on later."""

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import orjson
import pyarrow as pa

from anabranch.core.errors import SourceError
from anabranch.core.parts import WorkFile
from anabranch.core.storage import fingerprint, published
from anabranch.formats.catalogue import File
from anabranch.formats.options import ReadOptions, WriteOptions
from anabranch.formats.reading import Chunk, TableChunk
from anabranch.formats.text_writing import TextSegment
from anabranch.schema import records
from anabranch.schema.rules import OnConflict

_UNIT = b"unit"  # key in a table's metadata
_HELD = frozenset({type(None), bool, int, float, bytes, dt.date, dt.time, dt.datetime})
_NUMBERS = "biufU"  # kinds of numpy whose items are Python's own: truth values, numbers, texts


class Results:
    """Write the results of a span, chunk by chunk: a context manager that publishes the file when all went well."""

    def __init__(self, path: Path, options: WriteOptions, on_conflict: OnConflict) -> None:
        self.rows = 0
        self.schemas: dict[pa.Schema, None] = {}
        self._path, self._options, self._on_conflict = path, options, on_conflict
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._out = self._stack.enter_context(published(self._path, durable=False))
        kind, _, codec = self._options.to.partition(".")
        self._lines = TextSegment(self._out, kind, codec) if self._options.lines else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if kind is None and self._lines:
            self._lines.finish()
        return self._stack.__exit__(kind, error, trace)

    def add(self, results: Sequence[Any], unit: int) -> None:
        """Append results that `encoder` has encoded."""
        self.rows += len(results)
        if self._lines and results:
            self._lines.write_records(results)
        elif results:
            table = records.fitted(results, records.schema_of(results, self._on_conflict))
            if table.num_rows != len(results):  # since no column says so
                raise SourceError("result-empty", "the function returned {}", "Return None to drop a record.")
            self._add(table, unit)

    def add_table(self, table: pa.Table, unit: int) -> None:
        """Append what a function of batches returned."""
        self.rows += table.num_rows
        if self._lines and table.num_rows:
            self._lines.write(table)
        elif table.num_rows:
            self._add(table, unit)

    def _add(self, table: pa.Table, unit: int) -> None:
        self.schemas.setdefault(table.schema)
        marked = table.replace_schema_metadata({_UNIT: str(unit)})
        with pa.ipc.new_stream(pa.PythonFile(self._out, mode="w"), marked.schema) as stream:
            stream.write_table(marked)


@dataclass(frozen=True, slots=True)
class Made(File):
    """The results that a function made of a file: a source of the conversion that writes them."""

    results: tuple[tuple[WorkFile, ...], ...] = ()  # of each unit

    @property
    def key(self) -> str:
        """Fingerprint what its rows depend on."""
        types = (self.schema.serialize().to_pybytes(), self.output.serialize().to_pybytes())
        return fingerprint(self.source.stamp, self.results, *types)

    def chunks(self, units: range, options: ReadOptions) -> Iterator[Chunk]:
        """Yield the results of some units."""
        for unit in units:
            for file in self.results[unit]:
                for table in read_tables(Path(file.path)):
                    block = int(table.schema.metadata[_UNIT])
                    yield TableChunk(table=table.replace_schema_metadata(), unit=block, options=options)


def read_tables(path: Path) -> Iterator[pa.Table]:
    """Read what `Results` wrote as tables."""
    with pa.OSFile(str(path)) as file:
        while file.tell() < file.size():
            with pa.ipc.open_stream(file) as stream:
                yield stream.read_all()


def as_record(result: Any) -> Any:
    """Require that a result is a record that a table can hold; give a copy, which the function cannot change later."""
    if not isinstance(result, dict):
        raise TypeError(f"the function returned {type(result).__name__}, and a record is a dictionary")
    return _held(result)


def _held(value: Any) -> Any:
    """Copy a value as Python's own types; TypeError where a table has no type for it, ValueError where no file has."""
    if type(value) is str:
        if not value.isascii():
            value.encode()  # which refuses half of a character
        return value
    if type(value) in _HELD or (type(value) is Decimal and value.is_finite()):
        return value
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            raise TypeError("the name of a field must be a text")
        return {name: _held(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_held(item) for item in value]
    if isinstance(value, np.ndarray) and value.dtype.kind in _NUMBERS:
        return value.tolist()
    if isinstance(value, np.generic) and value.dtype.kind in _NUMBERS:
        return value.item()
    raise TypeError(f"a table cannot hold {value!r}, a {type(value).__name__}")


def as_line(result: Any) -> bytes:
    """Write a result as one line of JSON."""
    if not isinstance(result, dict):
        as_record(result)
    try:
        return orjson.dumps(result, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:  # an integer of more than 64 bits, or a value that is not JSON
        return json.dumps(result, default=_shown, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _shown(value: Any) -> Any:
    return json.loads(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))
