"""Blocks of small tables: what they hold depends on the content only, and what it takes on its amount only."""

import pyarrow as pa
import pytest

from anabranch.formats import writing
from anabranch.formats.writing import Blocks


def test_blocks_end_at_so_many_rows_and_where_another_unit_begins(monkeypatch):
    monkeypatch.setattr(writing, "ROWS", 4)
    written = []

    with Blocks(lambda table: written.append(table["n"].to_pylist())) as blocks:
        for number in range(11):
            blocks.add(pa.table({"n": [number]}), unit=number // 6)

    assert written == [[0, 1, 2, 3], [4, 5], [6, 7, 8, 9], [10]]


def test_each_table_is_measured_once_however_many_wait():
    class Table:
        num_rows, measured = 1, 0

        @property
        def nbytes(self):
            self.measured += 1
            return 8

    tables = [Table() for _ in range(50)]
    with pytest.raises(RuntimeError), Blocks(lambda _: None) as blocks:  # noqa: PT012
        for table in tables:
            blocks.add(table, 0)
        raise RuntimeError  # so that no program writes them

    assert {table.measured for table in tables} == {1}
