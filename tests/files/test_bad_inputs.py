"""Every bad input gives the outcome that the table says: an error that names the place, or every row as it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import anabranch
from anabranch.core.errors import UsageError
from tests.files.bad_inputs import BAD_INPUTS, BadInput
from tests.files.converting import convert

MANY = "id,name\n" + "".join(f"{number},n{number * 7919 % 100_003}\n" for number in range(100_000))
ALL = pytest.mark.parametrize("bad", BAD_INPUTS, ids=lambda bad: bad.name)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "sources"
    path.mkdir()
    return path


@pytest.fixture(autouse=True)
def bounds(request, monkeypatch):
    """Move the bounds that a bad input names."""
    bad = request.node.callspec.params.get("bad") if hasattr(request.node, "callspec") else None
    for name, value in (bad.bounds if bad else {}).items():
        monkeypatch.setattr(name, value)


def paths(bad: BadInput, folder: Path) -> tuple[Path, Path]:
    """Make the input; give the pattern of its sources, and the folder of its outputs."""
    bad.make(folder)
    return folder / bad.source, (folder / bad.output).resolve()


def outputs(folder: Path, bad: BadInput) -> list[pa.Table]:
    if bad.options.get("to") == "csv":
        return [pyarrow.csv.read_csv(path) for path in sorted(folder.rglob("*.csv"))]
    return [pq.read_table(path) for path in sorted(folder.rglob("*.parquet"))]


def require(bad: BadInput, written: list[pa.Table]) -> None:
    """Compare what was written with what the table says."""
    if bad.rows is None:
        assert written == []
        return
    assert sum(table.num_rows for table in written) == bad.rows
    if bad.types is not None:
        assert {each.name: str(each.type) for each in written[0].schema} == bad.types
    if bad.values is not None:
        assert written[0].to_pylist() == bad.values


@ALL
def test_a_bad_input_gives_its_outcome(bad, folder, tmp_path):
    source, output = paths(bad, folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    if bad.refused:
        with pytest.raises(UsageError) as raised:
            convert(source, output, work_dir=tmp_path / "work", **bad.options)
        assert raised.value.code == bad.code
    else:
        report = convert(source, output, work_dir=tmp_path / "work", **bad.options)
        assert {error.code for error in report.errors} == ({bad.code} if bad.code else set())
        assert [words for words in bad.says if words not in report.errors[0].reason] == []
        assert bad.warns in "".join(report.warnings)
        require(bad, outputs(output, bad))

    assert {path: path.read_bytes() for path in before} == before
    assert [row["row"] for path in output.glob("*.quarantine.jsonl") for row in _lines(path)] == list(bad.aside)


def _lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@ALL
def test_the_library_function_gives_the_same_outcome_on_two_threads(bad, folder, tmp_path):
    source, output = paths(bad, folder)
    options = {"to_ext": "parquet", "parallel": True, "workers": 2} | {
        {"to": "to_ext"}.get(name, name): value for name, value in bad.options.items()
    }

    if bad.refused:
        with pytest.raises(UsageError):
            anabranch.bulk_convert(source, output, **options)
        return
    result = anabranch.bulk_convert(source, output, **options)

    assert {error.code for error in result.errors} == ({bad.code} if bad.code else set())
    assert result.failed_files == len(result.errors)
    assert result.total_rows_out == (bad.rows or 0)
    assert bad.warns in "".join(result.warnings)
    require(bad, outputs(output, bad))


FILLED = """
import resource, sys
import anabranch
from anabranch.core.errors import TemporaryError
resource.setrlimit(resource.RLIMIT_FSIZE, (90_000, 90_000))
try:
    errors = anabranch.bulk_convert(sys.argv[1], sys.argv[2], to_ext=sys.argv[3]).errors
except TemporaryError as error:
    errors = [error]
print(*(error.code for error in errors))
"""


@pytest.mark.parametrize("to", ["parquet", "jsonl", "csv.gz"])
def test_a_full_disk_leaves_what_was_there(to, folder, tmp_path):
    """24: the system lets no file grow beyond 90,000 bytes."""
    (folder / "a.csv").write_text(MANY)
    output = tmp_path / "out"
    output.mkdir()
    (output / f"a.{to}").write_bytes(b"before")

    done = _program(FILLED, folder / "a.csv", output, to, work_dir=tmp_path / "work")

    assert done.stdout == "disk-full\n"
    assert (output / f"a.{to}").read_bytes() == b"before"
    assert [path.name for path in output.iterdir() if path.name != "manifest.json"] == [f"a.{to}"]
    assert not [path for path in (tmp_path / "work").rglob("*") if path.stat().st_size == 90_000]


def _program(code, *arguments, work_dir):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "ANABRANCH_WORK_DIR": str(work_dir)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip


@pytest.mark.server
@pytest.mark.parametrize(
    ("name", "code"),
    [("05 long row", 1), ("22 onto itself", 2), ("23 links in a circle", 3)],
)
def test_the_command_tells_the_outcome_by_its_exit_code(name, code, folder, tmp_path, prefect_server):
    [bad] = (bad for bad in BAD_INPUTS if bad.name == name)
    source, output = paths(bad, folder)
    options = [word for option, value in bad.options.items() for word in (f"--{option.replace('_', '-')}", value)]

    done = _command("convert-files", source, output, *options, "--json", work_dir=tmp_path / "work")

    assert done.returncode == code
    assert bad.code in done.stdout + done.stderr


def _command(*words, work_dir):
    return subprocess.run(
        [sys.executable, "-m", "anabranch.command.cli", *map(str, words)],
        env={**os.environ, "ANABRANCH_WORK_DIR": str(work_dir)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
