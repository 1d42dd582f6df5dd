"""Any file is read from begin to end as batches."""

import gzip

import pytest

from anabranch.core.errors import SourceError
from anabranch.formats.options import ReadOptions
from anabranch.formats.reading import read_batches
from tests.files.converting import cut_small


def test_a_bad_row_is_named_by_its_number_in_the_file_not_in_its_block(tmp_path, monkeypatch):
    cut_small(monkeypatch, 100, part_seconds=1)
    (tmp_path / "some.csv").write_text("a,b\n" + "1,2\n" * 500 + "1,2,3\n")

    with pytest.raises(SourceError) as error:
        list(read_batches(str(tmp_path / "some.csv")))

    assert (error.value.part, error.value.item) == ("some.csv", "row 501")


@pytest.mark.parametrize("name", ["some.csv.gz", "some.jsonl.gz", "some.json.gz", "some.gz"])
def test_a_compressed_file_that_holds_nothing_is_empty_whatever_its_format(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(b""))

    with pytest.raises(SourceError) as error:
        list(read_batches(str(tmp_path / name)))

    assert error.value.code == "empty-source"


def test_types_that_the_user_names_are_those_of_the_columns_the_others_are_found(tmp_path):
    (tmp_path / "types.json").write_text('{"a": "string"}')
    (tmp_path / "some.csv").write_text("a,b\n007,1\n")

    (batch,) = read_batches(str(tmp_path / "some.csv"), ReadOptions(schema=str(tmp_path / "types.json")))

    assert batch.to_pylist() == [{"a": "007", "b": 1}]
