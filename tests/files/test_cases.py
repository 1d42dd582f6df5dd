"""What a conversion makes of every recorded file, against what independent readers found in it."""

import datetime as dt

import pyarrow.parquet as pq
import pytest

from tests import cases
from tests.files.converting import convert

FOLDER = cases.folder("files")
CASES = cases.cases("files")
DELIMITED = (".csv", ".tsv")
NAMED = {"encoding": "encoding", "delimiter": "delimiter", "quotechar": "quote"}  # the recorder's options, and ours
EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])


def is_delimited(case):
    return any(suffix in case["file"] for suffix in DELIMITED)


def is_xml(case):
    return case["file"].endswith(".xml")


def converted(case, tmp_path, **options):
    """Convert a recorded file to Parquet; give its rows."""
    arguments = case["reader1"]["args"]
    options |= {NAMED[name]: value for name, value in arguments.items() if name in NAMED}
    if "tagname" in arguments:
        options["format_options"] = f"tag={arguments['tagname']}"
    report = convert(FOLDER / case["file"], tmp_path / "out", work_dir=tmp_path / "work", **options)
    assert report.errors == []
    return pq.read_table(report.outputs[0]).to_pylist()


def without_attributes(rows):
    """Leave of the elements of XML only their text, as ElementTree's `text` does."""
    return [
        {
            name: value["#text"] if isinstance(value, dict) else value
            for name, value in row.items()
            if not name.startswith("@")
        }
        for row in rows
    ]


def recorded(case):
    """Return the columns and rows of a case; where the values of all rows were not kept, the first and the last."""
    reader = case["reader1"] if "values" in case else case["reader2"]
    return reader["columns"], case.get("values") or [reader["first"], reader["last"]]


@pytest.mark.cases
@EVERY
def test_rows_are_those_of_the_recorded_readers(case, tmp_path):
    columns, wanted = recorded(case)

    rows = converted(case, tmp_path, **({"infer": "none"} if is_delimited(case) else {}))

    assert len(rows) == case["reader1"]["rows"]
    assert sorted(rows[0]) == sorted(columns)
    assert list(rows[0]) == columns or is_xml(case)  # whose attributes stand in no order
    if is_delimited(case):  # the readers know no null: an empty cell is an empty text
        rows = [{name: value or "" for name, value in row.items()} for row in rows]
    if is_xml(case) and not any("@" in name for name in wanted[0]):  # read by ElementTree
        rows = without_attributes(rows)
    assert (rows if "values" in case else [rows[0], rows[-1]]) == wanted


def same(value, text):
    """Return whether a value is the one that a cell's text stands for."""
    if value is None:
        return text == ""
    if isinstance(value, dt.date | dt.time):
        return type(value).fromisoformat(text) == value
    if isinstance(value, bool):
        return text.lower() == str(value).lower()
    return type(value)(text) == value


@pytest.mark.cases
@pytest.mark.parametrize("case", [case for case in CASES if is_delimited(case)], ids=lambda case: case["file"])
def test_the_types_that_are_found_keep_every_value(case, tmp_path):
    rows = converted(case, tmp_path)

    assert len(rows) == len(case["values"])
    assert [
        (number, name)
        for number, (row, texts) in enumerate(zip(rows, case["values"], strict=True))
        for name, text in texts.items()
        if not same(row[name], text)
    ] == []
