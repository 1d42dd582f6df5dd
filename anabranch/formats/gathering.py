"""Gather small tables into blocks."""

from collections.abc import Callable
from typing import Self

import pyarrow as pa

from anabranch.formats.model import BLOCK

ROWS = 256 << 10  # of a block at most, where rows are short


class Blocks:
    """Gather the tables of one unit up to a size, so that blocks depend on the content only: a context manager."""

    def __init__(self, write: Callable[[pa.Table], None]) -> None:
        self._write = write
        self._tables: list[pa.Table] = []
        self._rows = self._bytes = 0  # of them
        self._unit = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()

    def add(self, table: pa.Table, unit: int) -> None:
        """Append a table; it begins a block where it is of another unit."""
        if unit != self._unit:
            self._flush()
            self._unit = unit
        self._tables.append(table)
        self._rows += table.num_rows
        self._bytes += table.nbytes
        if self._rows >= ROWS or self._bytes >= BLOCK:
            self._flush()

    def _flush(self) -> None:
        if self._tables:
            self._write(pa.concat_tables(self._tables))
            self._tables, self._rows, self._bytes = [], 0, 0
