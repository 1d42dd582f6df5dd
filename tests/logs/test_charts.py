"""The charts of logs: what they show is what the reports say."""

import csv
import random
import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from anabranch.core.errors import UsageError
from anabranch.logs import plots
from anabranch.logs.charts import MOST_LANES, MOST_MODEMS, MOST_PICTURES, draw
from anabranch.logs.modes import CHARTED
from anabranch.logs.options import LogOptions
from anabranch.logs.points import point
from anabranch.logs.sample import write_sample
from anabranch.logs.targets import check
from anabranch.logs.timestamps import Clock
from tests.logs.archives import START, STOP, flow, line, write
from tests.logs.pipeline import parse_logs
from tests.logs.small import small_scale

SVG = "{http://www.w3.org/2000/svg}"
MODES = list(CHARTED)


def svg(text):
    """Parse a picture; anything that is not well-formed XML is an error."""
    return ET.fromstring(text)


def texts(picture):
    return [one.text for one in picture.iter(f"{SVG}text")]


def labels(picture, anchor, pattern):
    """Return what is written at an axis, and where: for the axis of values their anchor is the end of the text."""
    place = "y" if anchor == "end" else "x"
    return [
        (one.text, float(one.get(place)))
        for one in picture.iter(f"{SVG}text")
        if one.get("text-anchor") == anchor and re.fullmatch(pattern, one.text)
    ]


def lines(picture):
    """Return the points of each line in pixels, by the line's name, panel by panel."""
    return [
        (one[0].text, [tuple(map(float, point.split(","))) for point in one.get("points").split()])
        for one in picture.iter(f"{SVG}polyline")
    ]


def read_back(places, scale):
    """Return values of pixels by two marks of an axis: (value, pixel)."""
    (first, low), (last, high) = scale
    return [first + (place - low) * (last - first) / (high - low) for place in places]


def value_scale(picture, panel):
    """Return the two ends of a panel's axis; its marks begin at 0, each written 4 pixels below its line."""
    marks = [(float(text.replace(",", "")), y - 4) for text, y in labels(picture, "end", r"[\d,.e+]+")]
    starts = [index for index, (value, _) in enumerate(marks) if value == 0]
    mine = marks[starts[panel] : [*starts, None][panel + 1]]
    return mine[0], mine[-1]


def time_scale(picture, day, zone):
    marks = labels(picture, "middle", r"\d\d:\d\d")
    known = [(datetime.fromisoformat(f"{day} {text}").replace(tzinfo=zone).timestamp(), x) for text, x in marks]
    return known[0], known[-1]


@pytest.fixture(scope="module")
def parsed(tmp_path_factory):
    """Reports and charts of two megabytes of logs, in all modes that have one, in a zone that is not UTC."""
    folder = tmp_path_factory.mktemp("charts")
    write_sample(folder / "unit.tar", megabytes=2)
    options = LogOptions(mode=MODES, timezone="US/Eastern", charts=True)
    report = parse_logs([str(folder / "unit.tar")], folder / "out", options, folder / "work")
    return folder / "out", report


def test_the_points_of_the_bandwidth_are_the_rows_of_its_report(parsed):
    folder, _ = parsed
    rows = list(csv.DictReader((folder / "unit.tar.bw.txt").open()))
    picture, zone = svg((folder / "unit.tar.bw.svg").read_text()), ZoneInfo("US/Eastern")

    drawn = dict(lines(picture))

    assert 0 < len(rows) < 2 * plots.PLOT  # so that none is left out
    for name in ("total bitrate", "video bitrate"):
        scale = value_scale(picture, 0)
        half_a_pixel = scale[1][0] / 150
        assert read_back([y for _, y in drawn[name]], scale) == pytest.approx(
            [float(row[name]) for row in rows], abs=half_a_pixel
        )
    times = [datetime.fromisoformat(row["datetime"]).replace(tzinfo=zone).timestamp() for row in rows]
    found = read_back([x for x, _ in drawn["total bitrate"]], time_scale(picture, rows[0]["datetime"][:10], zone))
    assert found == pytest.approx(times, abs=(times[-1] - times[0]) / plots.PLOT)
    assert "time in US/Eastern, 2025-09-26" in texts(picture)


def test_the_extremes_of_each_modem_are_those_of_its_report(parsed):
    folder, _ = parsed
    picture = svg((folder / "unit.tar.md.svg").read_text())
    said = re.findall(r"Modem (\d+)\n((?:\t.*\n)+)", (folder / "unit.tar.md.txt").read_text())
    known = {
        f"modem {modem}": [tuple(map(int, pair)) for pair in re.findall(r"\(L/H/A\): (\d+) / (\d+)", text)[:3]]
        for modem, text in said
    }

    drawn = lines(picture)

    kept = {name for name, _ in drawn}
    assert kept <= known.keys()
    assert len(kept) == min(len(known), MOST_MODEMS)
    for index, (name, points) in enumerate(drawn):
        panel = index // len(kept)
        scale = value_scale(picture, panel)
        values = read_back([y for _, y in points], scale)
        assert (min(values), max(values)) == pytest.approx(known[name][panel], abs=scale[1][0] / 150)


def test_the_memory_has_a_line_for_each_board_on_an_axis_of_percent(parsed):
    folder, _ = parsed
    rows = re.findall(r": .* {3}(VIC|COR): ([\d.]+)", (folder / "unit.tar.memory.txt").read_text())
    picture = svg((folder / "unit.tar.memory.svg").read_text())

    drawn = dict(lines(picture))

    assert drawn.keys() == {"VIC", "COR"}
    for name, points in drawn.items():
        values = [float(number) for board, number in rows if board == name]
        assert read_back([y for _, y in points], value_scale(picture, 0)) == pytest.approx(values, abs=100 / 150)


def test_each_session_has_a_bar_from_its_start_to_its_end(tmp_path):
    times = [f"2025-09-26T{hour:02}:00:00+00:00" for hour in range(8, 13)]
    text = line(STOP, times[0]) + line(START, times[1]) + line(STOP, times[3]) + line(START, times[4])
    source = write(tmp_path / "unit.tar", {"messages.log": text})

    parse_logs([source], tmp_path / "out.txt", LogOptions(mode="sessions", charts=True), tmp_path / "work")
    picture = svg((tmp_path / "out.svg").read_text())

    bars = {
        one[0].text: (float(one.get("x")), float(one.get("width"))) for one in picture.iter(f"{SVG}rect") if len(one)
    }
    assert bars == {
        "session without an id: 2025-09-26 08:00:00+00:00": (plots.LEFT, 2.0),
        "session without an id: 2025-09-26 09:00:00+00:00 to 2025-09-26 11:00:00+00:00":
            (plots.LEFT + plots.PLOT / 4, plots.PLOT / 2),
        "session without an id: 2025-09-26 12:00:00+00:00": (plots.LEFT + plots.PLOT, 2.0),
    }  # fmt: skip
    assert {"1: no id", "complete", "start only", "end only"} <= set(texts(picture))


@pytest.mark.parametrize(("count", "lanes"), [
    (MOST_LANES, [f"{n + 1}: {n}" for n in range(MOST_LANES)]), (MOST_LANES + 1, ["complete"]),
])  # fmt: skip
def test_many_sessions_of_a_kind_share_a_lane(count, lanes):
    times = [f"2025-09-26 {n // 60:02}:{n % 60:02}:{half}0+00:00" for n in range(count) for half in (0, 3)]
    kinds = ["start", "end"] * count
    events = [f"id\t{times[0]}\t{n // 2}\n" * (n % 2) + f"{kind}\t{time}\t\n"
              for n, (kind, time) in enumerate(zip(kinds, times, strict=True))]  # fmt: skip

    picture = svg(draw("sessions", "unit", "UTC", "".join(events).splitlines(keepends=True)).svg)

    assert [name for name, _ in labels(picture, "end", ".+")] == lanes
    assert len([one for one in picture.iter(f"{SVG}rect") if len(one)]) == count


@pytest.mark.parametrize("threads", [1, 7])
def test_charts_are_the_same_bytes_for_any_number_of_workers(parsed, tmp_path, threads):
    folder, report = parsed
    options = LogOptions(mode=MODES, timezone="US/Eastern", charts=True)

    with small_scale(seconds=0.002):
        again = parse_logs([str(folder.parent / "unit.tar")], tmp_path / "out", options, tmp_path / "work",
                           threads=threads, order=random.Random(threads))  # fmt: skip

    assert again.parts.total > 1
    assert again.pictures == report.pictures
    for mode in MODES:
        name = f"unit.tar.{mode}.svg"
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()


def test_the_page_has_each_chart_and_the_report_lists_the_files(parsed):
    folder, report = parsed

    assert len(report.pictures) == len(MODES)
    assert all(url.startswith("data:image/svg+xml;base64,") for url in report.pictures.values())
    assert report.outputs == [f"{folder}/unit.tar.{mode}.{kind}" for mode in MODES for kind in ("txt", "svg")]
    assert sum(path.stat().st_size for path in folder.iterdir()) == report.bytes_out


@pytest.mark.parametrize("mode", MODES)
def test_the_charts_in_the_docs_are_those_of_the_sample(parsed, mode):
    folder, _ = parsed
    drawn, kept = folder / f"unit.tar.{mode}.svg", Path(__file__).parents[2] / f"docs/pictures/logs-{mode}.svg"

    assert kept.read_bytes() == drawn.read_bytes(), f"cp {drawn} {kept}"


@pytest.mark.parametrize("mode", MODES)
def test_a_report_without_rows_gives_a_sentence_and_no_empty_picture(mode, tmp_path):
    source = write(tmp_path / "unit.tar", {"messages.log": line("nothing of it")})

    report = parse_logs([source], tmp_path / "out", LogOptions(mode=mode, charts=True), tmp_path / "work")

    assert report.pictures == {}
    (note,) = report.notes
    assert "The logs hold nothing of it" in note
    picture = svg((tmp_path / "out.svg").read_text())
    assert list(picture.iter(f"{SVG}polyline")) == []
    assert note.partition(": The")[0] in texts(picture)[0]


def at(second, zone="UTC"):
    """Return the stamp that a log line of this second has."""
    stamp = Clock(zone).read(f"{datetime.fromtimestamp(second, UTC).isoformat()} text")
    assert stamp
    return stamp


def test_one_point_is_a_mark_in_the_middle():
    picture = svg(draw("bw", "unit", "UTC", [point(at(1758880800), "", "4800", "3900")]).svg)

    marks = [(float(one.get("cx")), one.get("fill")) for one in picture.iter(f"{SVG}circle")]
    assert [x for x, _ in marks] == 2 * [plots.LEFT + plots.PLOT / 2]
    assert len({colour for _, colour in marks}) == 2
    assert "10:00:00" in texts(picture)


@pytest.mark.parametrize(("mode", "text", "remark"), [
    ("bw", flow("9" * 19), "Rows without a number that can be drawn: 1 of 1."),
    ("memory", line("Memory usage is unknown").replace(b"boss100", b"monitor[1]"),
     "Rows without a number that can be drawn: 1 of 1."),
    ("memory", line(STOP), "The logs hold nothing of it: memory over time."),
])  # fmt: skip
def test_what_cannot_be_drawn_is_said_in_a_sentence(mode, text, remark, tmp_path):
    source = write(tmp_path / "unit.tar", {"messages.log": text})

    report = parse_logs([source], tmp_path / "out", LogOptions(mode=mode), tmp_path / "work")

    assert report.items[mode] == 1
    assert [note.partition(f"{remark}")[1] for note in report.notes] == [remark]


def test_of_many_modems_those_with_the_most_lines_are_drawn():
    rows = [point(at(1758880800), str(modem), "5", "6", "7") for modem in range(MOST_MODEMS + 2)]

    chart = draw("md", "unit", "UTC", [*rows, *rows[2:]])

    assert {name for name, _ in lines(svg(chart.svg))} == {f"modem {modem}" for modem in range(2, MOST_MODEMS + 2)}
    assert chart.remark == "2 modems with fewer lines are not drawn."


@pytest.mark.parametrize("mode", MODES)
def test_any_name_makes_a_picture_that_can_be_read(mode):
    rows = {
        "bw": [point(at(1758880800), "", "4800", "3900")],
        "md": [point(at(1758880800), "<&>", "5", "6", "7")],
        "memory": [point(at(1758880800), "<&>", "41.9")],
        "sessions": ["id\t2025-09-26 10:00:00+00:00\t<&>\n", "end\t2025-09-26 10:00:00+00:00\t\n"],
    }

    for text in (rows[mode], []):
        picture = svg(draw(mode, 'a<b>&"c\x01\udcff', "UTC", text).file)
        assert texts(picture)[0].startswith('a<b>&"c\ufffd\ufffd: ')


def test_of_many_points_no_peak_is_lost_and_the_picture_stays_small():
    values = random.Random(1).choices(range(1000, 2000), k=100_000)
    values[77_777], values[33_333] = 9000, 0
    rows = [point(at(1758880800 + second), "", str(value), "7") for second, value in enumerate(values)]

    drawn = draw("bw", "unit", "UTC", rows).svg

    points = dict(lines(svg(drawn)))["total bitrate"]
    found = read_back([y for _, y in points], value_scale(svg(drawn), 0))
    assert (min(found), max(found)) == pytest.approx((0, 9000), abs=60)
    assert len(drawn) < 100_000
    assert [x for x, _ in points] == sorted(x for x, _ in points)


def test_the_doubled_hour_of_a_change_of_clocks_does_not_run_back(tmp_path):
    times = [f"2025-11-02T{time}:00Z" for time in ("05:00", "05:30", "06:00", "06:30", "07:00")]
    source = write(tmp_path / "unit.tar", {"messages.log": b"".join(flow(5, time) for time in times)})
    options = LogOptions(mode="bw", charts=True, timezone="US/Eastern")

    parse_logs([source], tmp_path / "out", options, tmp_path / "work")

    said = [row[11:16] for row in (tmp_path / "out").read_text().splitlines()[1:]]
    assert said == ["01:00", "01:30", "01:00", "01:30", "02:00"]
    places = [x for x, _ in lines(svg((tmp_path / "out.svg").read_text()))[0][1]]
    assert places == pytest.approx([plots.LEFT + plots.PLOT * n / 4 for n in range(5)], abs=0.1)


@given(
    st.lists(st.tuples(st.datetimes(), st.integers(0, 10**18 - 1)), min_size=1),
    st.sampled_from(["UTC", "US/Eastern", "Pacific/Kiritimati", "Asia/Kathmandu"]),
)
def test_any_times_and_values_stay_inside_the_chart(points, zone):
    stamps = [(Clock(zone).read(f"{time.isoformat()}Z text"), value) for time, value in points]
    rows = [point(stamp, "1", str(value), str(value % 101), "0") for stamp, value in stamps if stamp]
    assume(rows)

    picture = svg(draw("md", "unit", zone, rows).svg)

    for _, places in lines(picture):
        assert all(plots.LEFT <= x <= plots.LEFT + plots.PLOT and 0 < y < float(picture.get("height"))
                   for x, y in places)  # fmt: skip
    assert all(plots.LEFT <= x <= plots.LEFT + plots.PLOT for _, x in labels(picture, "middle", r".+"))


def test_the_page_shows_the_first_charts_and_says_how_many_more_there_are(tmp_path):
    for number in range(MOST_PICTURES + 2):
        write(tmp_path / f"{number}.tar", {"messages.log": flow(number)})

    report = parse_logs([str(tmp_path)], tmp_path / "out", LogOptions(mode="bw"), tmp_path / "work")

    assert len(report.pictures) == MOST_PICTURES
    assert ["2 more charts not shown" in note for note in report.notes] == [True]
    assert not [path for path in (tmp_path / "out").iterdir() if path.suffix == ".svg"]


def test_charts_need_an_output_and_a_mode_that_has_one(tmp_path):
    source = write(tmp_path / "unit.tar", {"messages.log": flow(1)})

    with pytest.raises(UsageError) as refused:
        check([source], None, LogOptions(mode="bw", charts=True))
    assert refused.value.code == "output-missing"
    with pytest.raises(ValidationError, match="charts are drawn of bw, md, memory, sessions"):
        LogOptions(mode=["known", "grading"], charts=True)


@pytest.mark.parametrize(("output", "chart"), [
    ("bw.txt", "bw.svg"), ("bw.csv", "bw.csv.svg"), (".txt", ".txt.svg"), ("new/", "new/unit.tar.bw.svg"),
])  # fmt: skip
def test_a_chart_lies_beside_its_report(tmp_path, output, chart):
    source = write(tmp_path / "unit.tar", {"messages.log": flow(1)})

    found = check([source], f"{tmp_path}/{output}", LogOptions(mode=["bw"], charts=True))

    assert found[1:] == [tmp_path / chart]
