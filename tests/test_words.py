"""What people read: why nothing was found, one of a thing, estimates, what a dry run lists, and how to resume."""

import pytest
from prefect.states import Cancelled, Crashed

from anabranch.command import adhoc, interrupts
from anabranch.command.terminal import Terminal
from anabranch.command.workloads import WORKLOADS, load
from anabranch.core.errors import AnabranchError
from anabranch.core.here import on_threads
from anabranch.core.parts import Job, PartCounts, Report
from anabranch.core.words import many
from anabranch.files.join import join
from anabranch.files.pipeline.decision import Measured, decide
from anabranch.files.way import way as convert
from anabranch.logs.way import way as parse
from anabranch.photos.way import way as extract
from anabranch.run.summary import summary
from anabranch.tables.way import way as import_rows
from anabranch.uploads.way import way as upload
from tests.logs.archives import line, write

OPTIONS = {
    "run-pipeline": {"function": "json:dumps"},
    "import-table": {"into": "sqlite:///nowhere.db", "table": "people"},
}
RUNS = {  # what is run where nothing is found; without a flow
    "parse-logs": parse,
    "convert-files": lambda job, mapped: join(convert(job, mapped)),
    "import-table": lambda job, mapped: import_rows(job, mapped, pytest.fail),
    "extract-gps": extract,
    "upload-files": upload,
}
# what lies in the folder, what is named, and what is said of it for each workload that finds nothing there
PLACES = {
    "an empty folder": ([], "", dict.fromkeys(OPTIONS | RUNS, ": no file is there")),
    "hidden files": (
        [".a.csv", ".git/b.csv"],
        "",
        dict.fromkeys(("convert-files", "run-pipeline", "import-table"), "; passed over as hidden: .git/, .a.csv")
        | {"parse-logs": "; passed over as hidden: .git/, .a.csv"},
    ),
    "other names": (
        ["a.txt", "b.txt", "c.txt", "d.txt", "sub/a.txt"],
        "",
        {
            "parse-logs": (
                "; passed over as a folder: sub/, as not named as an archive or a log: a.txt, b.txt, c.txt and 1 more"
            ),
            "extract-gps": "; passed over as not named as a photo: ",
        },
    ),
    "a pattern": (
        ["a.txt", ".b.nix", "sub/c.nix"],
        "/*.nix",
        dict.fromkeys(
            ("parse-logs", "convert-files", "run-pipeline", "import-table", "upload-files"),
            "; passed over as a folder: sub/, as hidden: .b.nix, as not fitting the pattern: a.txt",
        ),
    ),
    "a pattern for all depths": (
        ["sub/a.txt"],
        "/**/*.nix",
        dict.fromkeys(("convert-files", "upload-files"), "; passed over as not fitting the pattern: sub/a.txt"),
    ),
}
SEARCHES = [(name, place) for place, (_, _, said) in PLACES.items() for name in said]


def job_of(workload, source, folder):
    options = load(workload.options)(**OPTIONS.get(workload.name, {}))
    return Job([source], str(folder / "out.csv"), options, folder / "work", threads=1)


def workload_of(name):
    return next(one for one in WORKLOADS if one.name == name)


@pytest.mark.parametrize(("name", "place"), SEARCHES)
def test_where_nothing_is_found_the_plan_and_the_report_name_the_place_and_what_was_passed_over(name, place, tmp_path):
    files, below, said = PLACES[place]
    (tmp_path / "in").mkdir()
    for file in files:
        (tmp_path / "in" / file).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / file).touch()
    job = job_of(workload_of(name), f"{tmp_path}/in{below}", tmp_path)
    expected = f"nothing was found in {tmp_path}/in{below}{said[name]}"
    try:
        told = [text for about, text in load(workload_of(name).preview)(job).notes() if about == "warning"]
        report = RUNS[name](job, on_threads(1)) if name in RUNS else None
    except AnabranchError as error:  # to upload, a pattern must mean something
        told, report = [error.reason], None

    assert [text[: len(expected)] for text in told] == [expected]
    if report:
        assert (report.status, report.warnings, report.outputs) == ("nothing_to_do", told, [])
        assert report.message == f"nothing to do; {told[0]}"


@pytest.mark.parametrize(
    ("number", "thing", "text"), [(0, "row", "0 rows"), (1, "row", "1 row"), (2000, "part", "2,000 parts")]
)
def test_one_of_a_thing_is_singular(number, thing, text):
    assert many(number, thing) == text


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ({"rows": 1, "rejected": 1}, "1 row, 1 rejected"),
        ({"folders": 1, "known": 2}, "1 folder, 2 known"),
        ({"parts_kept": 1}, "1 part kept"),
        ({"lines": 7, "candidates": 8, "pieces": 9}, "7 lines"),  # the others say how the work was done
    ],
)
def test_figures_are_told_in_plain_words_on_the_terminal_and_on_the_page(items, text, capsys):
    report = Report(flow="f", parts=PartCounts(total=1, done=1), items=items, details={"a": items}, seconds=1.0)

    Terminal().summarise(report, own_server=False)

    assert f"\n{text} in 1.00 s" in capsys.readouterr().err
    assert not {"candidates", "pieces"} & set(summary(report).split())


@pytest.mark.parametrize(
    ("records", "estimated", "text"),
    [
        (24_285, True, "an estimated 24,000 records to come"),
        (7, True, "an estimated 7 records to come"),
        (0, True, "an estimated 0 records to come"),
        (20_000, False, "20,000 records to come"),
        (1, False, "1 record to come"),
    ],
)
def test_a_number_of_records_that_was_not_counted_is_called_an_estimate(records, estimated, text):
    decision = decide(Measured(200, 1e-3, 1e-3), records, 2, 1000, estimated=estimated)

    assert f" {text} save " in str(decision)
    assert ("records_left" in decision.shown) is not estimated


@pytest.mark.parametrize(
    "names", [("a.tar.gz", "b.tar"), ("a.tar", "b.tar"), ("a.tgz", "b.tar.gz"), ("loose", "b.tar"), ("a.tgz", "loose")]
)
def test_a_dry_run_lists_the_parts_of_both_of_two_sources(names, tmp_path):
    (tmp_path / "loose").mkdir()
    for name in ("messages.log", "messages.log.1"):
        (tmp_path / "loose" / name).write_bytes(line())
    for name in {*names} - {"loose"}:
        write(tmp_path / name, {"messages.log": line()})
    workload, sources = workload_of("parse-logs"), [str(tmp_path / name) for name in names]
    plan = load(workload.preview)(Job(sources, None, load(workload.options)(), tmp_path / "work", 1))

    assert {name for name in names if any(name in part.label for part in plan.parts)} == {*names}
    assert [part.index for part in plan.parts] == list(range(len(plan.parts)))


@pytest.mark.parametrize(
    ("state", "signalled"),
    [
        (Cancelled(message="the run was stopped. Run the same command again to resume. [stopped]"), False),
        (Cancelled(message="Cancelled from the UI"), False),
        (Cancelled(), False),
        (Crashed(message="Execution was interrupted."), True),
    ],
)
def test_a_run_that_was_stopped_says_that_the_same_command_resumes(state, signalled, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    monkeypatch.setattr(interrupts, "_seen", [1] if signalled else [])

    report, _ = adhoc._reported("parse-logs", state)

    assert report.status == "cancelled"
    assert " ".join(report.warnings).count("Run the same command again to resume.") == 1
