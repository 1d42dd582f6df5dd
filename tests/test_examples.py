"""The examples do what their page says."""

import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
PROGRAMS = {"python": [sys.executable], "anabranch": [sys.executable, "-m", "anabranch.command.cli"]}

pytestmark = pytest.mark.server


def test_the_commands_of_the_page_make_what_it_says(prefect_server, tmp_path):
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("__pycache__"))
    typed = re.findall(r"^\$ ([^#\n]*)", (folder / "README.md").read_text(), re.MULTILINE)
    assert len(typed) == 4

    said = ""
    for program, *words in map(shlex.split, typed):
        command = [*PROGRAMS[program], *words]
        done = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        said += done.stdout

    tables = [pq.read_table(path) for path in sorted(folder.glob("parquet/*.parquet"))]
    assert [table.num_rows for table in tables] == [5000] * 4
    assert {str(table.schema.field("customer").type) for table in tables} == {"string"}  # 00123 is no number
    [broken] = (folder / "parquet/2026-11-03.parquet.quarantine.jsonl").read_text().splitlines()
    assert json.loads(broken)["row"] == 5001

    large = [
        json.loads(line) for path in folder.glob("large/2026*[1-4].jsonl") for line in path.read_text().splitlines()
    ]
    assert {order["amount"] >= 90 for order in large} == {True}
    assert len(large) == sum((table["amount"].to_numpy() >= 90).sum() for table in tables)

    assert "3 of 4 files, 15,000 rows" in said
    assert f"{len((folder / 'large.jsonl').read_text().splitlines()):,} of 15,000 orders are large" in said
    even = gzip.decompress((folder / "even.csv.gz").read_bytes()).count(b"\n") - 1
    assert even + pq.read_table(folder / "odd.parquet").num_rows == 15_000
