"""The wheel is enough: all that a user does, in an environment that has nothing but it, and a folder of their own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from anabranch.run.api import call, log_in
from anabranch.run.background import alive, noted, patiently
from anabranch.run.secret import read_secret

ROOT = Path(__file__).parents[2]
LOGS = ROOT / "tests" / "data" / "logs"
TAR = "s01_basic.tar.bz2"
EXPECTED = LOGS / "expected" / f"{TAR}.known.UTC.txt"

pytestmark = [pytest.mark.soak, pytest.mark.server, pytest.mark.timeout(600)]  # its modules are not compiled yet


def installed(folder):
    """Make an environment with the wheel and what it requires, from what `make setup` has left in uv's cache."""
    uv = shutil.which("uv") or str(ROOT / ".make" / "uv" / "bin" / "uv")
    words = ["sync", "--locked", "--no-default-groups", "--no-editable", "--quiet", "--python", sys.executable]
    variables = {"UV_PROJECT_ENVIRONMENT": str(folder), "UV_LINK_MODE": "hardlink"}
    for offline in (["--offline"], []):
        done = subprocess.run([uv, *words, *offline], cwd=ROOT, env=os.environ | variables, check=False)
        if done.returncode == 0:
            return folder / "bin" / "anabranch"
    pytest.fail("the wheel could not be installed")


class Terminal:
    """A user's terminal, in a folder with packages of the names of ours."""

    def __init__(self, program, folder):
        self.program, self.here, self.state = program, folder / "here", folder / "state"
        (self.here / "flows").mkdir(parents=True)
        (self.here / "flows" / "__init__.py").write_text("raise RuntimeError('this is not the package')")
        own = {"HOME": str(folder), "ANABRANCH_STATE_DIR": str(self.state), "ANABRANCH_WORK_DIR": str(folder / "work")}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PYTHON"))}
        self.environment = kept | own

    def run(self, words, code=0):
        """Type a command, expect its exit code, and return what it prints."""
        done = subprocess.run(
            [self.program, *words.split()],
            cwd=self.here,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout

    @property
    def api(self):
        """The address of the server's API, with this user's login."""
        url = str(json.loads((self.state / "server.json").read_text())["url"])
        log_in(url, read_secret(self.state))
        return url

    def deployment(self, name):
        return call(f"{self.api}/deployments/name/parse-logs/{name}")["id"]


@pytest.fixture(scope="module")
def terminal(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    made = Terminal(installed(folder / "venv"), folder)
    yield made
    subprocess.run([made.program, "down"], cwd=made.here, env=made.environment, check=False)


def test_everything_that_a_user_does_works_with_nothing_but_the_wheel(terminal):
    here, reports = terminal.here, terminal.here / "reports"
    terminal.run("up")
    (here / "inbox").mkdir()
    shutil.copy(LOGS / TAR, here / "inbox" / TAR)
    schedule = {"schedule": {"interval": 30, "anchor_date": "2020-01-01T00:00:00Z"}, "active": True, "slug": "often"}
    call(f"{terminal.api}/deployments/{terminal.deployment('nightly-archives')}/schedules", [schedule])

    # a run from the form, as its page asks for it
    wish = {"parameters": {"source": [f"inbox/{TAR}"], "output": "one.txt"}, "state": {"type": "SCHEDULED"}}
    form = call(f"{terminal.api}/deployments/{terminal.deployment('parse-logs')}/create_flow_run", wish)["id"]
    assert "Completed" in terminal.run(f"runs watch {form}")
    assert (here / "one.txt").read_bytes() == EXPECTED.read_bytes()

    # --detach, which fails; then its retry
    (here / "later.tar.bz2").write_bytes(b"no archive yet")
    failed = terminal.run("parse-logs later.tar.bz2 --output later.txt --detach").split()[0]
    assert "later.tar.bz2" in terminal.run(f"runs watch {failed}", 1)
    shutil.copy(LOGS / TAR, here / "later.tar.bz2")
    again = terminal.run(f"runs retry {failed}").split()[0]
    assert "Completed" in terminal.run(f"runs watch {again}")
    assert (here / "later.txt").read_bytes() == EXPECTED.read_bytes()

    # the schedule
    scheduled = []
    for _ in patiently(120):
        runs = json.loads(terminal.run("runs list --limit 100 --json"))
        scheduled = [run for run in runs if run["by"] == "schedule" and run["state"] == "Completed"]
        if scheduled:
            break
    assert {run["name"] for run in scheduled} == {"parse-logs inbox known"}, runs
    assert [path.read_bytes() for path in reports.glob("*.txt")] == [EXPECTED.read_bytes()]
    assert sorted((run["by"], run["name"], run["state"]) for run in runs if run["by"] != "schedule") == [
        ("detached command", "parse-logs later.tar.bz2 known", "Failed"),
        ("form", f"parse-logs {TAR} known", "Completed"),
        ("retry", "parse-logs later.tar.bz2 known", "Completed"),
    ]

    terminal.run(f"verify {again}")
    (here / "later.txt").write_bytes(b"?" + EXPECTED.read_bytes()[1:])
    assert "changed" in terminal.run(f"verify {again}", 1)

    programs = [noted(terminal.state / f"{name}.json") for name in ("server", "worker")]
    assert [alive(program) for program in programs] == [True, True]
    terminal.run("down")
    assert [alive(program) for program in programs] == [False, False]
