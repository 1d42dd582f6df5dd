"""The flight path as a picture: well formed, within its frame, and not spoilt by one position far away."""

import base64
import re
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from anabranch.core.here import map_here
from anabranch.core.parts import Job
from anabranch.photos import sample
from anabranch.photos.maps import MOST_POINTS, flight_paths
from anabranch.photos.options import PhotoOptions
from anabranch.photos.plan import plan
from anabranch.photos.sites import sites
from anabranch.photos.work import work
from anabranch.sftp.hosts import no_blocks
from tests.photos.extracting import extract

SVG = "{http://www.w3.org/2000/svg}"


def row(lat, lon, folder="/f", height=10.0, *, number=0, status="ok"):
    return {
        "status": status, "lat": lat, "lon": lon, "folder": folder, "alt_msl_m": height, "rel_alt_m": None,
        "taken": "", "path": f"{folder}/{number:06}.jpg", "site": "", "date": "", "pilot": "",
    }  # fmt: skip


def flown(count, **more):
    return [row(shot.lat, shot.lon, number=number, **more) for number, shot in enumerate(sample.shots(count))]


def urls(rows, **options):
    return flight_paths(sites(rows, PhotoOptions(**options)), PhotoOptions(**options))


def drawn(rows, **options):
    [url] = urls(rows, **options).values()
    return ET.fromstring(base64.b64decode(url.removeprefix("data:image/svg+xml;base64,")))


def texts(picture):
    return [text.text for text in picture.findall(f"{SVG}text")]


def test_the_picture_has_a_path_and_a_line_of_heights_for_each_folder_and_a_scale():
    picture = drawn([*flown(30, folder="/a/orbit"), *flown(30, folder="/a/<scan> & more")])

    assert len(picture.findall(f"{SVG}polyline")) == 4
    assert len(picture.findall(f"{SVG}circle")) == 60
    assert "Flight path: 60 positions" in texts(picture)
    assert any(re.fullmatch(r"\d+ m; north is up", text) for text in texts(picture))
    assert any("<scan> & more" in text for text in texts(picture))


def test_a_position_far_away_is_counted_and_not_drawn():
    picture = drawn([*flown(60), row(0.001, 0.001, number=99)])

    assert len(picture.findall(f"{SVG}circle")) == 60
    assert any("1 far from all others" in text for text in texts(picture))


def test_each_site_has_a_picture_of_its_own_and_the_users_colours():
    rows = [{**one, "site": site} for site in ("1", "2", "3", "4") for one in flown(10, folder=f"/{site}/ponds")]
    rows += [{**one, "site": "2"} for one in flown(5, folder="/2/orbit")]
    pictures = urls(rows, colours={"pond": "#123456", "orbit": "#654321"})

    assert list(pictures) == ["Flight path 2", "Flight path 1", "Flight path 3"]
    picture = base64.b64decode(pictures["Flight path 2"].partition(",")[2]).decode()
    assert "#123456" in picture
    assert "#654321" in picture


def test_the_heights_above_the_sea_are_drawn_where_they_are_chosen_though_all_have_those_above_take_off():
    rows = [{**one, "rel_alt_m": 30.0} for one in flown(10)]

    assert "Heights above take-off along it, in metres" in texts(drawn(rows))
    assert "Heights above the sea along it, in metres" in texts(drawn(rows, heights="sea"))


def test_positions_on_one_line_are_all_drawn():
    assert (
        len(drawn([row(47.0, 7 + number / 1e5, number=number) for number in range(50)]).findall(f"{SVG}circle")) == 50
    )


def test_a_flight_over_the_date_line_stays_together():
    rows = [row(-17, lon, number=number) for number, lon in enumerate((179.999, 179.9995, -179.9995, -179.999))]
    scale = [text for text in texts(drawn(rows)) if text.endswith("north is up")]

    assert scale in (["20 m; north is up"], ["50 m; north is up"])


def test_of_many_positions_some_are_drawn_and_the_picture_stays_small():
    rows = flown(20_000)
    [url] = urls(rows).values()

    assert len(url) < 400_000
    assert len(drawn(rows).findall(f"{SVG}circle")) <= MOST_POINTS


def test_without_positions_there_is_no_picture():
    assert urls([row(None, None, status="no_gps")]) == {}


place = st.tuples(st.floats(-90, 90), st.floats(-180, 180), st.one_of(st.none(), st.floats(-500, 9000)))


@given(st.lists(place, min_size=1, max_size=30))
def test_any_positions_are_drawn_within_the_picture(places):
    rows = [row(lat, lon, height=height, number=number) for number, (lat, lon, height) in enumerate(places)]
    picture = drawn(rows)
    width, height = float(picture.get("width")), float(picture.get("height"))

    for circle in picture.findall(f"{SVG}circle"):
        assert 0 <= float(circle.get("cx")) <= width
        assert 0 <= float(circle.get("cy")) <= height


def test_the_report_has_the_picture_for_the_page_and_not_for_programs(tmp_path):
    from anabranch.run.summary import summary

    sample.write_photos(tmp_path / "in", 20)
    report = extract(tmp_path / "in", tmp_path / "p.csv", tmp_path / "work")

    assert re.search(r"!\[Flight path 2025\d{4} [^]]*\]\(data:image/svg\+xml;base64,", summary(report))
    assert "pictures" not in report.model_dump(mode="json")


def test_progress_counts_photos_and_positions(tmp_path):
    from anabranch.run.progress import Progress

    sample.write_photos(tmp_path / "in", 12, without=2)
    job = Job([str(tmp_path / "in")], str(tmp_path / "p.csv"), PhotoOptions(), tmp_path / "work", 2)
    extraction = plan(job, no_blocks)
    progress = Progress("read", extraction)
    for outcome in map_here(work, extraction):
        progress.add(outcome)

    assert str(progress) == "read: 2 of 2 parts, 12 photos, 10 positions, 100 %"
