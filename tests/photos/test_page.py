"""The page of flight paths: what it holds, that it asks for nothing from outside, and that a browser draws it."""

import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from anabranch.photos.fetching import Photo
from anabranch.photos.options import PhotoOptions
from anabranch.photos.outputs import row
from anabranch.photos.page import write_page
from anabranch.photos.positions import Facts
from anabranch.photos.sites import sites

CHROMIUM = shutil.which("chromium")
PATTERN = re.compile("/homes/(?P<site>[0-9])/")
NASTY = "x</script><script>alert(1)</script>"
FACTS = {
    b"/homes/1/orbit/a.jpg": Facts(
        "ok", lat=47.123456789, lon=7.987654321, alt_msl_m=400.0, rel_alt_m=40.125, taken="2025-06-14T10:00:00"
    ),
    b"/homes/1/orbit/b.jpg": Facts("ok", lat=47.1235, lon=7.9876, alt_msl_m=401.0),
    b"/homes/1/orbit/<b>&.jpg": Facts("ok", lat=47.1236, lon=7.9877),
    b"/homes/1/road/r.jpg": Facts("ok", lat=47.2, lon=7.9),
    f"/homes/2/{NASTY}/c.jpg".encode(): Facts("ok", lat=-1.0, lon=-2.0, rel_alt_m=3.0),
    b"/homes/2/y/c.jpg": Facts("ok", lat=-1.0, lon=-2.0, rel_alt_m=3.0),
    b"/homes/3/x/d.jpg": Facts("no_gps"),
}


class Page(HTMLParser):
    """Collect what a page asks for, and the text of its parts."""

    def __init__(self, text):
        super().__init__()
        self.asked, self.texts, self._at = [], {}, ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        known = dict(attributes)
        self.asked += [known[name] for name in ("src", "href", "action") if name in known]
        self._at = known.get("id", tag)

    def handle_data(self, data):
        self.texts[self._at] = self.texts.get(self._at, "") + data


def written(facts=FACTS):
    rows = [row(Photo(path, 7, 0), each, PATTERN) for path, each in facts.items()]
    file = io.BytesIO()
    write_page(file, sites(rows, PhotoOptions()), PhotoOptions())
    return file.getvalue().decode()


def test_the_page_has_each_position_with_name_time_and_height_and_asks_for_nothing():
    page = Page(written())
    [first, second] = json.loads(page.texts["sites"])

    assert page.asked == []
    [orbit, road] = first["groups"]
    assert [orbit["title"], road["title"], road["drawn"]] == ["orbit (3)", "road (1, left out)", False]
    assert orbit["name"] == ["<b>&.jpg", "b.jpg", "a.jpg"]  # in the order of time, where it is known
    assert orbit["lat"] == pytest.approx([47.1236, 47.1235, 47.123456789], abs=1e-7)
    assert orbit["lon"] == pytest.approx([7.9877, 7.9876, 7.987654321], abs=1e-7)
    assert (orbit["height"], first["above"]) == ([None, 401.0, 400.0], "above the sea")
    assert orbit["taken"] == ["", "", "2025-06-14T10:00:00"]
    assert [group["title"] for group in second["groups"]] == [f"{NASTY} (1)", "y (1)"]
    assert (second["groups"][0]["height"], second["above"]) == ([3.0], "above take-off")
    assert orbit["north"][2] - orbit["north"][1] == pytest.approx((47.123456789 - 47.1235) * 111_320, abs=0.02)


@pytest.mark.soak
@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
def test_a_browser_draws_both_views_of_the_site_that_is_chosen(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        written().replace("</body>", "<script>chosen.value = 1; draw(); chosen.value = 0; draw();</script>")
    )
    command = [CHROMIUM, "--headless", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    command += [f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=20000", "--dump-dom", page.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout

    assert "1: 4 photos, 3 positions" in dom
    assert len(re.findall(r"<canvas[^>]*>", dom)) >= 1  # of the view in space
    assert len(re.findall(r'class="point"', dom)) >= 3
    assert ">orbit (3)</text>" in dom
