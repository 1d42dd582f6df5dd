"""Rows wait in a work file until their types are known."""

import pyarrow as pa
import pytest

from anabranch.library.lanes import weight_of
from anabranch.library.spool import Spool
from anabranch.schema.schema import ConflictError


def test_a_slice_of_a_batch_takes_no_more_place_than_its_own_rows(tmp_path):
    batch = pa.record_batch({"a": list(range(100_000))})
    with Spool(tmp_path / "spool", "fail") as spool:
        for start in range(0, 1000, 10):
            spool.add(batch.slice(start, 10))
        spool.end()
        kept = [row["a"] for table in spool.tables(spool.schema("")) for row in table.to_pylist()]

    assert kept == list(range(1000))
    assert (tmp_path / "spool").stat().st_size < batch.nbytes


def test_an_integer_that_is_no_double_is_a_conflict_in_a_column_of_doubles(tmp_path):
    with Spool(tmp_path / "spool", "fail") as spool:
        for value in (2**53 + 1, 0.5):
            spool.add(pa.record_batch({"a": [value]}))
        spool.end()
        with pytest.raises(ConflictError):
            list(spool.tables(spool.schema("")))


def test_what_is_nested_in_a_record_has_weight():
    assert weight_of({"a": [1] * 1000}) > weight_of({"a": 1}) + 1000
    assert weight_of({"a": {"b": ["x" * 1000]}}) > weight_of({"a": {"b": [""]}}) + 999
