"""The Markdown of a run's page, and the pictures in it."""

import base64
import re
from xml.etree import ElementTree as ET

import pytest

from anabranch.core.parts import ErrorLine, Report
from anabranch.core.shipped import error_pages
from anabranch.run.pictures import LONGEST_NAME, MOST_BARS, bars, in_bytes, in_time
from anabranch.run.speed import speeds
from anabranch.run.summary import FIRST_OUTPUTS, MOST_LINES, summary

SVG = "{http://www.w3.org/2000/svg}"


def drawn(url):
    """Return the picture's texts and the widths of its bars, the background left out."""
    picture = ET.fromstring(base64.b64decode(url.removeprefix("data:image/svg+xml;base64,")))
    widths = [int(bar.get("width")) for bar in picture.findall(f"{SVG}rect")[1:]]
    return [text.text for text in picture.findall(f"{SVG}text")], widths


def report_of(count, folder="/data/in/", **more):
    details = {f"{folder}{index}.csv": {"rows": index, "bytes_in": 1000 * index} for index in range(count)}
    return Report(flow="convert-files", details=details, **more)


@pytest.mark.parametrize("count", [1, 12, MOST_BARS])
def test_a_picture_has_one_bar_for_each_figure_the_longest_first(count):
    texts, widths = drawn(bars("Rows", {f"{index}.csv": index + 1 for index in range(count)}))

    assert texts[:3] == ["Rows", f"{count - 1}.csv", str(count)]
    assert len(widths) == count
    assert widths == sorted(widths, reverse=True)


def test_what_has_no_bar_of_its_own_is_told_in_words_lest_it_dwarf_the_others():
    texts, widths = drawn(bars("Rows", {f"{index}.csv": 1000 for index in range(2000)}))

    assert len(widths) == MOST_BARS
    assert len(set(widths)) == 1
    assert texts[-1] == "and 1,980 more with 1,980,000 together"


def test_a_little_has_a_short_bar_and_nothing_has_none():
    assert drawn(bars("Rows", {"full.csv": 5000, "little.csv": 1, "empty.csv": 0}))[1][1:] == [1, 0]


def test_a_long_name_loses_its_middle():
    label = drawn(bars("Rows", {"orders-2025-04-" + "x" * 50 + "-north.csv": 1}))[0][1]

    assert len(label) == LONGEST_NAME
    assert label.startswith("orders-2025-04-")
    assert label.endswith("-north.csv")


def test_any_name_makes_a_picture_that_can_be_read():
    assert drawn(bars("<&>", {'a<b>&"c\x01\udcff.csv': 1}))[0][:2] == ["<&>", 'a<b>&"c\ufffd\ufffd.csv']


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (334_511, "334.5 kB"),
        (2_292_544, "2.3 MB"),
        (10**16, "10,000.0 TB"),
    ],
)
def test_bytes_are_written_with_their_unit(number, text):
    assert in_bytes(number) == text


def test_the_speed_has_a_bar_for_each_step_of_time():
    picture = ET.fromstring(base64.b64decode(speeds(2.0, [0.0, 50e6, 100e6]).partition(",")[2]))

    heights = [float(bar.get("height")) for bar in picture.findall(f"{SVG}rect")[1:]]
    texts = [text.text for text in picture.findall(f"{SVG}text")]
    assert heights == [0, 80, 160]
    assert texts[0] == "MB/s over the run: 50.0 on average, 100.0 at most"
    assert texts[1:7] == ["0", "20", "40", "60", "80", "100"]
    assert texts[7:] == ["0.0 s", "1.5 s", "3.0 s", "4.5 s", "6.0 s"]


def test_the_memory_in_use_is_a_line_over_the_bars_to_their_end():
    picture = ET.fromstring(base64.b64decode(speeds(2.0, [50e6, 100e6], [(0.0, 100), (2.0, 50)]).partition(",")[2]))

    left, right, top, bottom = 50, 650, 34, 194
    points = [point.split(",") for point in picture.find(f"{SVG}polyline").get("points").split()]
    assert [(float(x), float(y)) for x, y in points] == [
        (left, top), ((left + right) / 2, (top + bottom) / 2), (right, (top + bottom) / 2)
    ]  # fmt: skip
    texts = [text.text for text in picture.findall(f"{SVG}text")]
    assert texts[0] == "MB/s over the run: 75.0 on average, 100.0 at most; memory in use (line): 100% at most"
    assert texts[-3:] == ["0%", "50%", "100%"]


@pytest.mark.parametrize("bytes_per_second", [[], [0.0]])
def test_without_a_byte_no_speed_is_drawn(bytes_per_second):
    assert speeds(1.0, bytes_per_second) == ""


@pytest.mark.parametrize(("seconds", "text"), [
    (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (3600, "1 h 0 min"),
    (90_000, "25 h 0 min"),
])  # fmt: skip
def test_durations_are_written_in_their_two_largest_units(seconds, text):
    assert in_time(seconds) == text


def test_the_folder_that_all_have_in_common_is_said_once():
    text = summary(report_of(3))

    assert "| in /data/in/ | rows | bytes in |" in text
    assert "| 2.csv | 2 | 2,000 |" in text


def test_rows_and_bytes_are_drawn_where_there_are_any():
    pictures = dict(re.findall(r"!\[(.*?)\]\((.*?)\)", summary(report_of(3))))

    assert {title: drawn(url)[0][0] for title, url in pictures.items()} == {
        "Rows": "Rows: 3",
        "Bytes read": "Bytes read: 3.0 kB",
    }


def test_of_one_file_alone_the_counts_are_compared_and_the_bytes():
    report = Report(flow="parse-logs", details={
        "unit.tar.bz2": {"lines": 40, "blank": 0, "known": 3, "pieces": 9, "bytes_in": 5000, "bytes_out": 200}
    })  # fmt: skip
    pictures = dict(re.findall(r"!\[(.*?)\]\((.*?)\)", summary(report)))

    assert {title: drawn(url)[0] for title, url in pictures.items()} == {
        "Counts": ["Counts of unit.tar.bz2", "lines", "40", "known", "3"],
        "Bytes": ["Bytes of unit.tar.bz2", "bytes in", "5.0 kB", "bytes out", "200 B"],
    }


def test_noughts_are_not_drawn_and_a_column_of_them_is_left_out():
    report = report_of(4)
    for index, figures in enumerate(report.details.values()):
        figures |= {"rows_set_aside": 0, "failed_records": index // 2}
    text = summary(report)

    assert "| in /data/in/ | rows | bytes in | failed records |" in text
    assert drawn(re.findall(r"!\[Failed records\]\((.*?)\)", text)[0])[1] == [340, 340]
    assert "![Rows set aside]" not in text


def test_two_thousand_files_fill_no_more_than_a_page():
    lines = summary(report_of(2000)).splitlines()

    assert sum(line.startswith("| ") and ".csv" in line for line in lines) == MOST_LINES
    assert "… and 1,800 more: `anabranch runs show --json` lists them all." in lines
    assert sum(map(len, lines)) < 100_000


def test_names_and_reasons_mean_nothing_to_markdown():
    wrong = ErrorLine(code="bad-row", part="a_*b*.csv", reason="cell <b>1</b> |\nmore", remedy="Mend `it`.")
    text = summary(Report(flow="convert-files", errors=[wrong]))

    assert r"- a\_\*b\*.csv: cell \<b\>1\</b\> \| more. Mend \`it\`. [bad-row](#error-bad-row)" in text.splitlines()


def test_the_result_comes_first_then_errors_then_the_next_command_then_figures():
    wrong = [ErrorLine(code=code, part="a.csv", reason="why", remedy="Mend it.") for code in ("x", "y", "x")]
    outputs = [f"/out/{number}.parquet" for number in range(FIRST_OUTPUTS + 2)]
    report = report_of(2, errors=wrong, outputs=outputs, warnings=["odd"], run_id="1-2", items={"rows": 5})
    text = summary(report, "/out/.convert-files.report.json")
    (url,) = re.findall(r"!\[Errors by kind\]\((.*?)\)", text)

    assert re.findall("^## (.*)", text, re.MULTILINE) == [
        "Outputs", "Errors", "Warnings", "Next", "Figures", "Details", "Further outputs",
    ]  # fmt: skip
    assert drawn(url)[0] == ["Errors by kind: 3", "x", "2", "y", "1"]
    assert text.index("report.json") < text.index("## Figures")
    assert "`anabranch runs retry 1-2`" in text
    assert all(text.count(output) == 1 for output in outputs)


def test_without_an_error_nothing_is_to_be_done_again():
    assert "runs retry" not in summary(report_of(1, run_id="1-2"))


def test_the_page_says_of_each_code_once_what_it_means_and_links_to_that():
    wrong = [ErrorLine(code=code, part="a", reason="why", remedy="Mend it.") for code in ("bad-row", "bad-schema") * 2]
    text = summary(Report(flow="convert-files", errors=wrong))
    explained = re.findall('<p id="error-(.*?)">(.*)</p>', text)

    assert [code for code, _ in explained] == ["bad-row", "bad-schema"]
    assert "<code>--on-bad-row quarantine</code>" in explained[0][1]
    assert "The guide shows an example." in explained[1][1]
    assert text.count("](#error-bad-row)") == 2


def test_each_explanation_is_one_line_of_plain_html():
    wrong = [ErrorLine(code=code, part="a", reason="why", remedy="Mend it.") for code in error_pages()]
    lines = [line for line in summary(Report(flow="f", errors=wrong)).splitlines() if line.startswith("<details>")]

    assert len(lines) == len(error_pages())
    for read in map(ET.fromstring, lines):
        assert {one.tag for one in read.iter()} <= {"details", "summary", "p", "code"}
        assert "`" not in "".join(read.itertext())


def test_what_failed_is_said_to_have_failed_beside_what_went_on():
    wrong = [ErrorLine(code="x", part="a.csv to c.csv", item=name, reason="why", remedy="Mend it.")
             for name in ("b.csv", "c.csv")]  # fmt: skip
    details = {"a.csv": {"rows": 7}, "b.csv": {"rows": 2}}
    text = summary(Report(flow="convert-files", errors=wrong, details=details))

    assert "| | state | rows |" in text.replace("|  |", "| |")
    assert [line for line in text.splitlines() if line.startswith(("| a", "| b", "| c"))] == [
        "| a.csv | done | 7 |", "| b.csv | failed | 2 |", "| c.csv | failed |  |",
    ]  # fmt: skip


def test_a_pipelines_state_is_no_file():
    report = report_of(2)
    report.details["state"] = {"rows": 7, "towns": {"Bonn": [1]}}
    text = summary(report)

    assert '## State\n\n```json\n{\n  "rows": 7,' in text
    assert "| in /data/in/ | rows | bytes in |" in text
