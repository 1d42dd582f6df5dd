"""Imports run down only, from room to room as the table says; no circle."""

import ast
import graphlib
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MACHINERY = ("prefect", "prefect_dask", "dask", "distributed")
READERS = {"core", "sources", "schema", "formats"}
COLUMNS = {"logs", "files", "tables", "photos", "uploads"}
ROOMS = {  # and the rooms that each may import beside itself
    "core": set(),
    "sources": {"core"},
    "schema": {"core"},
    "sftp": {"core"},
    "run": {"core"},
    "formats": {"core", "sources", "schema"},
    "uploads": {"core", "sources", "sftp"},
    "logs": READERS,
    "files": READERS,
    "tables": READERS,
    "photos": READERS | {"sftp"},
    "library": READERS | {"files"},
    "command": {"core", "run"},  # and the columns by name, see command/workloads.py
    "tasks": READERS | COLUMNS | {"run", "sftp"},
    "flows": READERS | COLUMNS | {"run", "tasks"},
    "face": READERS | {"library"},  # anabranch/__init__.py
}
SOURCES = [path for top in ("anabranch", "flows", "tasks") for path in sorted((ROOT / top).rglob("*.py"))]


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path, *, top_level_only=False, leave_out="__main__"):
    """Yield the names that a module imports, those under TYPE_CHECKING too, but not those of its main block."""
    tree = ast.parse(path.read_text())
    skip = {id(sub) for node in tree.body if isinstance(node, ast.If)
            and re.search(leave_out, ast.unparse(node.test)) for sub in ast.walk(node)}  # fmt: skip
    for node in tree.body if top_level_only else ast.walk(tree):
        if id(node) in skip:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


MODULES = {module_of(path): path for path in SOURCES}


def room(module):
    parts = module.split(".")
    if parts[0] in ("flows", "tasks"):
        return parts[0]
    return parts[1] if len(parts) > 1 else "face"


def ours(path):
    """Return our modules that a module imports, and our packages of which it imports no module."""
    found = {name for name in imports(path) if name in MODULES}
    return {name for name in found if not any(other.startswith(f"{name}.") for other in found)}


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_imports_run_down_only(path):
    here = room(module_of(path))

    assert {room(name) for name in ours(path)} <= ROOMS[here] | {here}


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_only_run_tasks_and_flows_know_prefect_and_dask(path):
    used = {name for name in imports(path) if name.split(".")[0] in MACHINERY}
    knows = room(module_of(path)) in ("run", "tasks", "flows") or module_of(path) == "anabranch.command.adhoc"

    assert knows or not used


def test_no_circle_of_imports():
    graph = {name: {other for other in imports(path, top_level_only=True, leave_out="TYPE_CHECKING|__main__")
                    if other in MODULES and other != name} for name, path in MODULES.items()}  # fmt: skip

    graphlib.TopologicalSorter(graph).prepare()


def test_no_circle_of_rooms():
    graphlib.TopologicalSorter(ROOMS).prepare()


def normal(name):
    return re.sub("[-_.]+", "-", name).lower()


def declared():
    """Collect the distributions that pyproject.toml requires; `dask[distributed]` counts for both its words."""
    requirements = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return {normal(word) for line in requirements for word in re.findall(r"[\w.-]+", re.split("[<>=!~;]", line)[0])}


@cache
def installed():
    return packages_distributions()


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_what_is_imported_is_declared(path):
    distributions, required = installed(), declared()
    tops = {name.split(".")[0] for name in imports(path)} - sys.stdlib_module_names - {"anabranch", "flows", "tasks"}

    assert [top for top in tops if not required & set(map(normal, distributions[top]))] == []


@pytest.mark.parametrize(("arguments", "left_out"), [
    ("--help", "prefect dask distributed pandas pydantic"),
    ("parse-logs --help", "prefect dask distributed pandas anabranch.files"),
    ("convert-files --help", "prefect dask distributed pandas pyarrow anabranch.logs anabranch.files.pipeline"),
])  # fmt: skip
def test_help_is_quick_since_it_imports_little(arguments, left_out):
    code = ("import sys\nfrom anabranch.command.cli import main\ntry:\n    main(sys.argv[2:])\nexcept SystemExit:\n"
            "    print(set(sys.argv[1].split()) & set(sys.modules))")  # fmt: skip
    command = [sys.executable, "-c", code, left_out, *arguments.split()]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.endswith("set()\n")


def test_no_file_is_too_long():
    lengths = {module_of(path): len(path.read_text().splitlines()) for path in SOURCES}

    assert max(lengths.values()) <= 400, lengths
    assert sorted(lengths.values())[len(lengths) // 2] <= 150
