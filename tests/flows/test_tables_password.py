"""A password that an import uses is nowhere afterwards: not in logs, artifacts, the server's database or work files."""

import os
from pathlib import Path

import pytest

from tests.tables.conftest import postgres, postgres_server  # noqa: F401  fixtures
from tests.tables.importing import contents, made, target_of

pytestmark = pytest.mark.server
PASSWORD = "hunter-2-and-more"


def holding(folder: Path, words: bytes) -> list[str]:
    """List the files below a folder that hold the words."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and words in path.read_bytes()]


def test_a_password_is_nowhere_after_an_import(prefect_server, postgres, tmp_path, monkeypatch, capfd):  # noqa: F811
    from anabranch.core.config import RunOptions
    from anabranch.core.parts import Report
    from anabranch.tables.options import ImportOptions
    from flows.tables import import_table

    made(postgres, target_of("id bigint not null, name text"))
    monkeypatch.setenv("SHOP_DB", postgres.replace("postgres@", f"postgres:{PASSWORD}@"))
    source = tmp_path / "people.csv"
    source.write_text("id,name\n1,a\n2,b\nx,c\n")
    work = tmp_path / "work"
    options = ImportOptions(into="env:SHOP_DB", table="people", key=["id"])
    options = options.model_copy(update={"on_duplicate": "skip"})

    state = import_table([str(source)], options, None, RunOptions(work_dir=str(work)), return_state=True)
    report = state.result(raise_on_failure=False)
    report = report if isinstance(report, Report) else report.report
    monkeypatch.setenv("SHOP_DB", postgres.replace("postgres@", f"nobody:{PASSWORD}@"))
    failed = import_table([str(source)], options, None, RunOptions(work_dir=str(work), refresh=True), return_state=True)

    assert failed.is_failed()
    assert report.details["import"]["status"] == "committed"
    assert contents(postgres, "people") == [(1, "a"), (2, "b")]
    out, err = capfd.readouterr()
    assert PASSWORD not in out + err + report.model_dump_json()
    for folder in (Path(os.environ["PREFECT_HOME"]), work, tmp_path):
        assert holding(folder, PASSWORD.encode()) == []
    assert holding(Path(os.environ["PREFECT_HOME"]), b"import-table")  # so that the search would find what is there
