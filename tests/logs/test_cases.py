import pytest

from anabranch.logs.modes import FORMS
from anabranch.logs.options import LogOptions
from tests import cases
from tests.logs.pipeline import parse_logs

FOLDER = cases.folder("logs")
CASES = [case for case in cases.cases("logs") if case["mode"] in FORMS]


def _name(case):
    return "-".join(str(case[key]) for key in ("archive", "mode", "tz", "begin", "end") if case[key])


def _options(case):
    # the original's own default
    return LogOptions(mode=case["mode"], timezone=case["tz"] or "US/Eastern", begin=case["begin"], end=case["end"])


@pytest.mark.cases
@pytest.mark.parametrize("case", [case for case in CASES if case["identity"]], ids=_name)
def test_report_equals_the_recorded_bytes(case, tmp_path):
    report = parse_logs([str(FOLDER / case["archive"])], tmp_path / "report", _options(case), tmp_path / "work")

    expected = (FOLDER / case["expected"]).read_bytes().replace(b"{WORKDIR}", case["archive"].encode())
    assert (tmp_path / "report").read_bytes() == expected
    assert report.status == "completed"
