"""The commands of the documents run: those of a page in a row, in a folder with what they need."""

import gzip
import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from anabranch.command.workloads import WORKLOADS
from anabranch.logs.sample import write_sample
from anabranch.photos.sample import write_photos
from tests.test_docs import DOCS, ROOT, console_lines

pytestmark = [pytest.mark.soak, pytest.mark.server, pytest.mark.timeout(600)]

ALL, MOST, DRY = (
    "all",
    "all but the workloads, which run as --dry-run unless detached",
    "only the workloads, as --dry-run",
)
PAGES = {"docs/tutorial.md": ALL, "docs/operations.md": ALL, "docs/troubleshooting.md": ALL, "docs/how-to.md": MOST}
"""What of a page is carried out; of the pages that are not here DRY."""

ELSEWHERE = {
    r"\b(s3|gs|az|gdrive|sftp)://|\benv:": "a store or database of the reader's; the columns' tests have some",
    r"\b10\.0\.0\.\d": "other machines",
    r"^(uv|pip|git) |^\. ": "the installation, which needs the network",
    r"^make |^python |^anabranch demo \w": "run by tests/test_docs.py, test_examples.py and test_demo.py",
    r"\b(brave-otter|4f1c|RUN)\b": "a run or an import of the reader's; the tutorial has one",
}
"""What is not run here, and why; tests/test_docs.py parses all of it."""

FLOWS = re.compile(rf"^anabranch ({'|'.join(workload.name for workload in WORKLOADS)}) ")


def pages():
    """List the pages that type something which can be run here, with the lines of each."""
    for path in DOCS:
        name = str(path.relative_to(ROOT))
        lines = [line for line in console_lines(path) if not any(re.search(place, line) for place in ELSEWHERE)]
        how = PAGES.get(name, DRY)
        if how != ALL:
            lines = [dry(line) for line in lines if how == MOST or FLOWS.match(line)]
        if lines and name != "examples/README.md":  # which tests/test_examples.py runs
            yield pytest.param(name, lines, id=name)


def dry(line):
    """Put --dry-run into a command of a workload, which it may have already."""
    found = FLOWS.match(line)
    return f"{found[0]}--dry-run {line[found.end() :].replace('--dry-run', '')}" if found else line


def prepare(folder, page):
    """Write what the pages name: archives of logs, data files, photos, functions."""
    for name in ("anabranch-demo", "inbox", "state"):
        (folder / name).mkdir()
    archive = folder / "anabranch-demo/unit.tar.bz2"
    write_sample(archive, megabytes=0.5)
    os.link(archive, folder / "unit.tar.bz2")
    table = "name,email\nAda,ada@example.org\nGrace,grace@example.org\n"
    if page == "docs/files.md":
        (folder / "inbox/a.csv.gz").write_bytes(gzip.compress(table.encode()))
    elif page != "docs/tutorial.md":
        os.link(archive, folder / "inbox/unit.tar.bz2")
    for name in ("data/people.csv", "people.csv", "a.csv"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(table)
    (folder / "data/a.csv.gz").write_bytes(gzip.compress(table.encode()))
    for name in ("b.jsonl", "orders.jsonl", "orders/a.jsonl"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text('{"name": "Alan", "email": "alan@example.org"}\n')
    for name in ("backup.tar", "big.bin", "media/a.mp4"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(bytes(100_000))
    for module, function in (("shop/__init__.py", "score"), ("shop/scoring.py", "score"), ("mylib/clean.py", "fix")):
        (folder / module).parent.mkdir(exist_ok=True)
        (folder / module).write_text(f"def {function}(record):\n    return record\n")
    with closing(sqlite3.connect(folder / "crm.db")) as database:
        database.execute("CREATE TABLE people (name TEXT, email TEXT PRIMARY KEY)")
    write_photos(folder / "flights", 3, kinds=("jpeg",), without=0, size=20_000)


def prepare_for_python(folder):
    """Write what the blocks of Python name."""
    prepare(folder, "")
    for name in ("data/raw/a.csv.gz", "raw/a.csv.gz"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(gzip.compress(b"n\n1\n2\n"))
    (folder / "in.jsonl").write_text('{"n": 1}\n')
    parquet.write_table(pa.table({"n": [1, 2]}), folder / "b.parquet")


PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", [code for path in DOCS for code in PYTHON.findall(path.read_text())])
def test_the_python_of_a_page_runs(prefect_server, tmp_path, code):
    prepare_for_python(tmp_path)

    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-4000:]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(("page", "lines"), list(pages()))
def test_the_commands_of_a_page_run_one_after_the_other(prefect_server, tmp_path, page, lines):
    prepare(tmp_path, page)
    script = "\n".join(["set -e", *(f"echo {shlex.quote(f'$ {line}')} >&2\n{line}" for line in lines)])
    script = script.replace("8786", str(free_port())).replace("/mnt/", f"{tmp_path}/mnt/")
    programs = str(Path(sys.executable).parent)
    path = f"{programs}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "ANABRANCH_STATE_DIR": f"{tmp_path}/state"}
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    shell = subprocess.Popen(["bash", "-c", script], cwd=tmp_path, env=environment, start_new_session=True, **streams)
    try:
        said = shell.communicate()[0]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)  # what the page started in the background
        subprocess.run([f"{programs}/anabranch", "down"], env=environment, check=False, capture_output=True)

    assert shell.returncode == 0, said[-4000:]


def test_every_reason_not_to_run_something_is_needed():
    lines = [line for path in DOCS for line in console_lines(path)]

    assert [place for place in ELSEWHERE if not any(re.search(place, line) for line in lines)] == []
