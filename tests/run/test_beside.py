"""The report that a run leaves beside its outputs."""

import pytest

from anabranch.core.parts import Report
from anabranch.run.beside import leave_report


@pytest.mark.parametrize(("output", "outputs", "left"), [
    ("out", ["out/a.csv", "out/b.csv"], "out/.convert-files.report.json"),
    ("out/a.csv", ["out/a.csv"], "out/.a.csv.report.json"),
    (None, ["in/people.csv.rejects.csv"], "in/.convert-files.report.json"),
    (None, [], ""),
    (None, ["in/none.csv"], ""),
    (None, ["work/plans/1.csv"], ""),
    ("s3://bucket/here", ["s3://bucket/here/a.csv"], ""),
    ("nowhere/a.csv", [], ""),
])  # fmt: skip
def test_the_report_lies_beside_outputs_that_are_files_of_the_user(output, outputs, left, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file in ("in/people.csv.rejects.csv", "out/a.csv", "work/plans/1.csv"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).touch()
    report = Report(flow="convert-files", outputs=outputs, items={"rows": 7})

    where = leave_report(report, output, tmp_path / "work")

    assert where == (str(tmp_path / left) if left else "")
    assert [Report.model_validate_json(path.read_text()) for path in tmp_path.rglob(".*.json")] == [report] * bool(left)


def test_a_run_that_did_nothing_leaves_the_report_before_it(tmp_path):
    leave_report(Report(flow="f", items={"rows": 7}), str(tmp_path), tmp_path / "work")
    leave_report(Report(flow="f", status="nothing_to_do"), str(tmp_path), tmp_path / "work")

    assert Report.model_validate_json((tmp_path / ".f.report.json").read_text()).items == {"rows": 7}


def test_a_report_that_cannot_be_written_is_a_warning(tmp_path):
    (tmp_path / ".f.report.json").mkdir()
    report = Report(flow="f")

    assert leave_report(report, str(tmp_path), tmp_path / "work") == ""
    assert "the report could not be written beside the outputs" in report.warnings[0]
