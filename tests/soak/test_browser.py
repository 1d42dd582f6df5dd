"""Forms and pages as a person uses them, in a browser: open the link, fill in a form, watch the run, read its page.

It also takes the pictures of the guides: `make soak ARGS="tests/soak/test_browser.py --pictures docs/pictures"`, with
`--basetemp FOLDER` for the paths that they show.
"""

import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from anabranch.logs.sample import write_sample
from anabranch.photos.sample import write_photos

pytestmark = [pytest.mark.soak, pytest.mark.server]

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIETLY = ("--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync")
SCREEN = {"width": 1100, "height": 900}
MENU = 256  # pixels on the left
PATIENCE = 120_000  # milliseconds: what is waited for comes within seconds, but not on a busy machine
ENDED = re.compile("^(Completed|Failed|PartlyFailed|Crashed|Cancelled)$")


@dataclass(frozen=True)
class Form:
    """What a person types and chooses, by the names of the fields, and what the run's page must tell then."""

    flow: str
    typed: Mapping[str, str]
    chosen: Mapping[str, str] = field(default_factory=dict)
    ends: str = "Completed"
    tells: tuple[str, ...] = ()


FORMS = (
    Form("parse-logs", {"source": "logs", "output": "reports/"}, {"Mode": "bw", "Timezone": "US/Eastern"},
         tells=("reports/unit.tar.bz2.bw.txt",)),
    Form("convert-files", {"source": "tables", "output": "converted/"}, {"To": "csv.gz"}, "PartlyFailed",
         ("converted/towns.csv.gz", "bad-row")),
    Form("run-pipeline", {"source": "tables/towns.csv", "output": "processed/"}, {"On error": "quarantine"},
         tells=("processed/towns.jsonl",)),
    Form("upload-files", {"source": "logs", "output": "uploaded/"}, {"If exists": "overwrite"},
         tells=("uploaded/unit.tar.bz2",)),
    Form("extract-gps", {"source": "photos", "output": "photos.csv"}, {"Heights": "sea"}, tells=("photos.csv",)),
    Form("import-table", {"source": "tables/towns.csv", "Table": "towns"}, {"On duplicate": "update"},
         tells=("3 inserted",)),
)  # fmt: skip


@pytest.fixture(scope="module")
def chromium():
    """The path of the system's browser."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed; .ci/run installs chromium")
    return found


@pytest.fixture(scope="module")
def project(chromium, tmp_path_factory):
    """A folder with something for every flow, and with a server and a worker that run there."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("logs", "tables", "photos"):
        (folder / name).mkdir()
    write_sample(folder / "logs/unit.tar.bz2", megabytes=1, members=2)
    write_photos(folder / "photos/homes", 24, without=2)
    (folder / "tables/towns.csv").write_text("town,people\nBonn,335000\nUlm,127000\nTrier,112000\n")
    (folder / "tables/broken.csv").write_text("town,people\nBonn,335000,1\n")
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("PREFECT_API_URL", raising=False)  # that of other tests' server, which is open to all
        environment.setenv("ANABRANCH_STATE_DIR", str(folder / "state"))
        environment.setenv("ANABRANCH_WORK_DIR", str(folder / "work"))
        on_terminal(folder, "up")
        yield folder
        on_terminal(folder, "down")


def on_terminal(folder: Path, *words: str) -> str:
    """Run a command as on a person's terminal, and return what it prints."""
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "anabranch.command.cli", *words]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=end, stderr=end) as running:
        os.close(end)
        said = b""
        try:
            while some := os.read(terminal, 1 << 16):
                said += some
        except OSError:  # how a terminal says that nobody writes to it any more
            pass
    os.close(terminal)
    assert running.returncode == 0, said.decode()
    return said.decode()


@pytest.fixture(scope="module")
def browser_page(chromium, project):
    """A page of a browser that has opened the link of `anabranch status`."""
    link = re.search(r"^server: (http\S+)", on_terminal(project, "status"), re.MULTILINE)[1]
    unboxed = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[*QUIETLY, *unboxed])
        page = browser.new_page(viewport=SCREEN, timezone_id="UTC")
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        page.goto(link)
        yield page
        browser.close()


@pytest.fixture(scope="module")
def submitted(browser_page, pictures):
    """The addresses of the pages of one run of each flow; all are submitted before any is watched."""
    runs = {}
    for form in FORMS:
        open_form(browser_page, form.flow)
        fill_in(browser_page, form)
        if form.flow == "import-table":
            take(browser_page, pictures, "form", height=1500)
        browser_page.get_by_role("button", name="Submit").click()
        browser_page.get_by_text("View run").last.click()
        browser_page.wait_for_url("**/runs/flow-run/*")
        runs[form.flow] = browser_page.url
    return runs


@pytest.fixture(scope="module")
def pictures(request):
    """The folder for pictures, if any are wanted."""
    folder = request.config.getoption("--pictures")
    return folder and Path(folder)


def take(page: Page, folder: Path | None, name: str, height: int = SCREEN["height"]) -> None:
    """Take a picture of the page without Prefect's menu, if pictures are wanted."""
    if folder:
        page.set_viewport_size({**SCREEN, "height": height})
        clip = {"x": MENU, "y": 0, "width": SCREEN["width"] - MENU, "height": height}
        page.screenshot(path=folder / f"{name}.png", animations="disabled", clip=clip)
        page.set_viewport_size(SCREEN)


def open_form(page: Page, flow: str) -> None:
    """Go from the list of deployments to the form of the one with the flow's name."""
    page.goto(f"{page.url.split('/', 3)[0]}//{page.url.split('/', 3)[2]}/deployments")
    page.get_by_placeholder("Search deployments").fill(flow)
    page.locator("a[href*='/deployments/deployment/']").get_by_text(flow, exact=True).click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Custom run").click()
    expect(field_of(page, "source")).to_be_visible()


def field_of(page: Page, name: str) -> Locator:
    """The innermost field with this title."""
    title = page.locator(".schema-form-property__label", has_text=re.compile(rf"^{name}( \(Optional\))?$"))
    return page.locator(".schema-form-property").filter(has=title).last


def fill_in(page: Page, form: Form) -> None:
    for name, text in form.typed.items():
        field_of(page, name).locator("textarea").first.fill(text)
    for name, word in form.chosen.items():
        choose(page, name, word)


def choose(page: Page, name: str, word: str) -> None:
    """Open the list of a field by its key, and choose a word."""
    button = field_of(page, name).locator("button.p-select-button__control")
    button.press("ArrowDown")
    listed = page.get_by_role("listbox")
    listed.get_by_placeholder("Search").fill(word)
    listed.get_by_role("option", name=word, exact=True).click()
    page.get_by_text("Parameters", exact=True).first.click()  # a list of which several may be chosen stays open
    expect(listed).to_have_count(0)
    expect(button).to_contain_text(word)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.flow)
def test_a_form_starts_a_run_whose_page_tells_the_result_and_shows_pictures(form, browser_page, submitted, pictures):
    page = browser_page
    page.goto(submitted[form.flow])
    state = page.locator(".state-badge").first
    expect(state).to_have_text(ENDED)
    expect(state).to_have_text(form.ends)
    page.get_by_text("Artifacts", exact=True).first.click()
    expect(page.get_by_text("UNKNOWN")).to_have_count(0)
    if form.flow == "convert-files":
        take(page, pictures, "run")
    page.get_by_role("link").filter(has_text=f"{form.flow}-summary").first.click()

    told = page.locator("article.markdown-renderer").last
    expect(told).to_contain_text("Figures")
    for words in form.tells:
        expect(told).to_contain_text(words)
    shown = told.locator("img")
    expect(shown).not_to_have_count(0)
    assert all(image.evaluate("image => image.decode().then(() => image.naturalWidth)") for image in shown.all())
    take(page, pictures, form.flow, height=1250)


def test_runs_of_forms_are_named_after_their_sources(project, submitted):
    listed = on_terminal(project, "runs", "list")

    for form in FORMS:
        source = form.typed["source"].rpartition("/")[2]
        assert f" {form.flow} {source} " in listed


def test_a_code_is_a_link_to_what_it_means(browser_page, submitted):
    page = browser_page
    page.goto(submitted["convert-files"])
    expect(page.locator(".state-badge").first).to_have_text(ENDED)
    page.get_by_text("Artifacts", exact=True).first.click()
    page.get_by_role("link").filter(has_text="convert-files-summary").first.click()
    meaning = page.locator("#error-bad-row")
    expect(meaning).to_be_hidden()

    page.get_by_role("link", name="bad-row").click()

    expect(meaning).to_be_visible()


def test_a_wrong_value_is_refused_with_its_field(browser_page):
    open_form(browser_page, "parse-logs")
    field_of(browser_page, "Tolerate").locator("textarea").fill("5x")

    browser_page.get_by_role("button", name="Submit").click()

    expect(browser_page.get_by_text("Validation failed for field 'run.tolerate'").last).to_be_visible()
    expect(browser_page).to_have_url(re.compile(r"/run(\?|$)"))
