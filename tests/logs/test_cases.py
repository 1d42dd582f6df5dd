"""Reports against what the original program printed, for every recorded case of a mode that we have."""

from zoneinfo import available_timezones

import pytest
from pydantic import ValidationError

from anabranch.logs.join import UNTAR_FAILED
from anabranch.logs.modes import FORMS
from anabranch.logs.options import LogOptions
from tests import cases
from tests.logs.pipeline import parse_logs

FOLDER = cases.folder("logs")
CASES = [case for case in cases.cases("logs") if case["mode"] in FORMS]
NO_TIME = 20  # exit code of the original for a begin or end that is no time


def name(case):
    return "-".join(str(case[key]) for key in ("archive", "mode", "tz", "begin", "end") if case[key])


def options(case):
    # US/Eastern is the original's own default
    return LogOptions(mode=case["mode"], timezone=case["tz"] or "US/Eastern", begin=case["begin"], end=case["end"])


def is_refused(case):
    return case["exit_code"] == NO_TIME or (case["tz"] or "UTC") not in available_timezones()


SURVIVED = [case for case in CASES if not case["identity"] and not is_refused(case)]


def expected(case):
    return (FOLDER / case["expected"]).read_bytes().replace(b"{WORKDIR}", case["archive"].encode())


@pytest.mark.cases
@pytest.mark.parametrize("case", [case for case in CASES if case["identity"]], ids=name)
def test_report_equals_the_recorded_bytes(case, tmp_path):
    report = parse_logs([str(FOLDER / case["archive"])], tmp_path / "report", options(case), tmp_path / "work")

    assert (tmp_path / "report").read_bytes() == expected(case)
    assert bool(report.errors) == expected(case).startswith(UNTAR_FAILED.encode())


@pytest.mark.cases
@pytest.mark.parametrize("case", [case for case in CASES if not case["identity"] and is_refused(case)], ids=name)
def test_bad_times_and_zones_are_refused_before_the_run(case):
    with pytest.raises(ValidationError):
        options(case)


@pytest.mark.cases
@pytest.mark.parametrize("case", [case for case in CASES if not case["expected"]], ids=name)
def test_an_archive_of_which_nothing_can_be_read_gets_no_report(case, tmp_path):
    (tmp_path / "report").write_bytes(b"of an earlier run")

    report = parse_logs([str(FOLDER / case["archive"])], tmp_path / "report", options(case), tmp_path / "work")

    assert (tmp_path / "report").read_bytes() == b"of an earlier run"
    assert [(error.code, error.part) for error in report.errors] == [("archive-damaged", case["archive"])]
    assert report.outputs == []


@pytest.mark.cases
@pytest.mark.parametrize("case", [case for case in SURVIVED if case["expected"]], ids=name)
def test_what_stops_the_original_is_reported_and_survived(case, tmp_path):
    report = parse_logs([str(FOLDER / case["archive"])], tmp_path / "report", options(case), tmp_path / "work")

    text = (tmp_path / "report").read_bytes()
    untar_failed = expected(case).startswith(UNTAR_FAILED.encode())
    assert text.startswith(UNTAR_FAILED.encode()) == untar_failed
    assert bool(report.errors) == untar_failed
    assert text.removeprefix(UNTAR_FAILED.encode()).startswith(FORMS[case["mode"]].header.encode())
