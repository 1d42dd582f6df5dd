"""Rows that are set aside, and records that fail, are bounded: nothing but failures is no success."""

import gzip
import json

import pytest

import anabranch
from anabranch.core.errors import SourceError, UsageError
from anabranch.core.rejects import beyond
from tests.files.converting import convert
from tests.files.pipeline.running import run

ROWS = "id,name\n" + "".join(f"{number},n\n" for number in range(9)) + "9\n"  # one of ten is too short
BAD = "id,name\n1\n2\n"


@pytest.mark.parametrize(
    ("rejected", "records", "limit", "is_beyond"),
    [
        (0, 0, None, False),
        (9, 10, None, False),
        (10, 10, None, True),
        (1, 10, "0", True),
        (1, 10, "1", False),
        (1, 10, "10%", False),
        (2, 10, "10%", True),
        (1, 3, "33%", True),
        (10, 10, "100%", False),
    ],
)
def test_a_limit_is_a_number_or_a_share(rejected, records, limit, is_beyond):
    assert beyond(rejected, records, limit) is is_beyond


# sources, options, files that fail, rows written
CASES = [
    ([ROWS], {}, 0, 9),
    ([BAD], {}, 1, 0),
    ([BAD], {"max_rejects": "100%"}, 0, 0),
    ([ROWS, BAD], {}, 1, 9),
    ([ROWS, BAD], {"max_rejects": "3"}, 0, 9),
    ([ROWS, BAD, "id\n1\n"], {"max_rejects": "2"}, 2, 1),
    ([ROWS, BAD, "id\n1\n"], {"max_rejects": "24%"}, 0, 10),
    ([ROWS, BAD, "id\n1\n"], {"max_rejects": "22%"}, 2, 1),
    ([ROWS, BAD], {"combine": True}, 0, 9),
    ([ROWS, BAD], {"combine": True, "max_rejects": "2"}, 2, 0),
]


@pytest.mark.parametrize(("texts", "options", "failed", "rows"), CASES)
def test_quarantine_has_a_limit_over_the_whole_run(texts, options, failed, rows, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number, text in enumerate(texts):
        (folder / f"{number}.csv.gz").write_bytes(gzip.compress(text.encode()))
    output = tmp_path / ("out.parquet" if options.get("combine") else "out")

    report = convert(folder, output, work_dir=tmp_path / "work", on_bad_row="quarantine", **options)

    assert [error.code for error in report.errors] == ["rejects"] * failed
    assert sum(one["rows"] - one["rows_set_aside"] for one in report.details.values()) == rows
    if failed:
        assert "the first: expected 2 cells, found 1" in report.errors[0].reason


def fails(record):
    raise KeyError(record["id"])


@pytest.mark.parametrize("source", ["file", "records"])
@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("on_error", ["skip", "quarantine"])
def test_a_pipeline_of_which_every_record_fails_is_no_success(source, parallel, on_error, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('{"id":1}\n{"id":2}\n')
    output = tmp_path / "out.jsonl"
    output.write_text("before")
    records = path if source == "file" else [{"id": 1}, {"id": 2}]

    with pytest.raises(SourceError) as caught:
        anabranch.pipeline(records, output, fails, on_error=on_error, parallel=parallel)

    assert caught.value.code == "rejects"
    assert "2 of 2 records are rejected" in caught.value.reason
    assert "KeyError: 1" in caught.value.reason
    assert output.read_text() == "before"


def fails_once(record):
    if record["id"] == 1:
        raise ValueError("no")
    return record


def test_a_pipeline_fails_at_the_first_failure_unless_told_otherwise(tmp_path):
    records = [{"id": number} for number in range(10)]

    with pytest.raises(SourceError, match="function-failed"):
        anabranch.pipeline(records, None, fails_once)
    with pytest.raises(SourceError, match="rejects"):
        anabranch.pipeline(records, None, fails_once, on_error="skip", max_rejects="0")
    with pytest.raises(UsageError, match="max_rejects"):
        anabranch.pipeline(records, None, fails_once, on_error="skip", max_rejects="few")
    assert anabranch.pipeline(records, None, fails_once, on_error="skip", max_rejects="10%").exceptions == 1


@pytest.mark.parametrize("on_error", ["skip", "quarantine"])
def test_the_command_counts_failed_records_as_rejects(on_error, tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(f'{{"id": {number}}}\n' for number in range(70)))

    all_of_it = run(tmp_path / "a.jsonl", tmp_path / "out", "raise_anything", on_error=on_error)
    some = run(tmp_path / "a.jsonl", tmp_path / "out", "fail_sevenths", on_error=on_error, max_rejects="14%")
    enough = run(tmp_path / "a.jsonl", tmp_path / "out", "fail_sevenths", on_error=on_error, max_rejects="15%")

    assert [error.code for error in all_of_it.errors] == ["rejects"]
    assert "70 of 70" in all_of_it.errors[0].reason
    assert [error.code for error in some.errors] == ["rejects"]
    assert enough.errors == []
    if on_error == "quarantine":
        aside = (tmp_path / "out" / "a.jsonl.quarantine.jsonl").read_text().splitlines()
        assert len([json.loads(line) for line in aside]) == 10
