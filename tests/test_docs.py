"""The documents say what the program does: options, error codes, exit codes, commands."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deployments").rglob("*.md")])
SOURCES = [path for top in ("anabranch", "flows", "tasks") for path in (ROOT / top).rglob("*.py")]
ERRORS = re.compile(r"\w*Error$|PartlyFailed$|Stopped$|_not_started$|refusal$")


def test_the_reference_is_what_the_program_says():
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    make_reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_reference)

    assert (ROOT / "docs" / "reference.md").read_text() == make_reference.render(), "run: make docs"


def codes():
    """Collect the code of every error that the program can raise: the first argument of our error classes."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ERRORS.search(ast.unparse(node.func)) and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and re.fullmatch(r"[a-z]+(-[a-z]+)*", str(first.value)):
                    yield first.value


def test_every_error_code_has_its_entry_and_no_entry_is_of_a_code_that_is_gone():
    documented = re.findall(r"^### `([a-z-]+)`", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE)

    assert set(documented) == {*codes(), "stopped", "partly-failed"}
    assert documented == sorted(documented)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(path):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text())

    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_dependency_has_its_line():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "docs" / "dependencies.md").read_text()

    for requirement in project["dependencies"]:
        assert re.split(r"[\[<>=!~ ]", requirement)[0] in lines
