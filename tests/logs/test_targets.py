import os

import pytest

from anabranch.core.errors import UsageError
from anabranch.logs.options import LogOptions
from anabranch.logs.targets import check, targets
from anabranch.sources.finding import find
from tests.logs.archives import flow, write


def archives(folder, *names):
    return find([write(folder / name, {"messages.log": flow(1)}) for name in names]).sources


def test_one_report_goes_to_the_output_itself(tmp_path):
    (unit,) = archives(tmp_path, "unit.tar")

    assert targets([unit], ["bw"], str(tmp_path / "new" / "report")) == {
        ("unit.tar", "bw"): tmp_path / "new" / "report"
    }


@pytest.mark.parametrize("output", ["", "new/"])
def test_one_report_goes_into_a_folder_that_exists_or_ends_in_a_slash(output, tmp_path):
    (unit,) = archives(tmp_path, "unit.tar")

    assert targets([unit], ["bw"], f"{tmp_path}/{output}") == {
        ("unit.tar", "bw"): tmp_path / output / "unit.tar.bw.txt"
    }


def test_several_reports_go_into_a_folder(tmp_path):
    units = archives(tmp_path, "a.tar", "b.tar")

    found = targets(units, ["bw", "md"], str(tmp_path / "new"))

    assert sorted(path.name for path in found.values()) == [
        "a.tar.bw.txt",
        "a.tar.md.txt",
        "b.tar.bw.txt",
        "b.tar.md.txt",
    ]
    assert {path.parent for path in found.values()} == {tmp_path / "new"}


@pytest.mark.parametrize(
    ("output", "modes", "code"),
    [
        ("unit.tar", ["bw"], "output-is-source"),
        ("unit.tar", ["bw", "md"], "output-not-a-folder"),
        ("unit.tar/report", ["bw"], "output-not-writable"),
        ("pipe", ["bw"], "output-not-a-file"),
    ],
)
def test_an_output_that_cannot_be_is_refused(output, modes, code, tmp_path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(UsageError) as refused:
        targets(archives(tmp_path, "unit.tar"), modes, str(tmp_path / output))
    assert refused.value.code == code


def test_several_reports_need_an_output(tmp_path):
    unit, other = (source.path for source in archives(tmp_path, "unit.tar", "other.tar"))

    check([unit], None, LogOptions())
    for source, mode in (([unit, other], "known"), ([unit], "known,bw")):
        with pytest.raises(UsageError) as refused:
            check(source, None, LogOptions(mode=mode))
        assert refused.value.code == "output-missing"
