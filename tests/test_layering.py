"""Imports run down only: flows -> tasks -> anabranch.run -> anabranch.<workload> -> shared; no circle, no sideways."""

import ast
import graphlib
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WORKLOADS = ("logs", "tables", "photos", "uploads", "files")
MACHINERY = ("prefect", "prefect_dask", "dask", "distributed")
COMMAND = {"cli", "app", "interrupts", "command", "adhoc", "dryrun", "operate", "terminal", "workloads"}
SOURCES = [path for top in ("anabranch", "flows", "tasks") for path in sorted((ROOT / top).rglob("*.py"))]


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path, *, top_level_only=False):
    tree = ast.parse(path.read_text())
    skip = {id(sub) for node in tree.body if isinstance(node, ast.If)
            and re.search("TYPE_CHECKING|__main__", ast.unparse(node.test)) for sub in ast.walk(node)}  # fmt: skip
    for node in tree.body if top_level_only else ast.walk(tree):
        if id(node) in skip:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(module):
    parts = module.split(".")
    if parts[0] in ("flows", "tasks"):
        return parts[0]
    if len(parts) > 1 and (parts[1] == "run" or parts[1] in WORKLOADS):
        return parts[1]
    return "command" if len(parts) > 1 and parts[1] in COMMAND else "shared"


def allowed(importer):
    return {
        "flows": {"flows", "tasks", "run", "shared", *WORKLOADS},
        "tasks": {"tasks", "run", "shared", *WORKLOADS},
        "run": {"run", "shared"},
        "command": {"command", "run", "shared", *WORKLOADS},
        "shared": {"shared"},
    }.get(importer, {importer, "shared"})


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_imports_run_down_only(path):
    ours = {name for name in imports(path) if name.split(".")[0] in ("anabranch", "flows", "tasks")}

    assert {layer(name) for name in ours} <= allowed(layer(module_of(path)))


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_only_run_tasks_and_flows_know_prefect_and_dask(path):
    used = {name for name in imports(path) if name.split(".")[0] in MACHINERY}

    assert not used or layer(module_of(path)) in ("run", "tasks", "flows") or module_of(path) == "anabranch.adhoc"


def test_no_circle_of_imports():
    modules = {module_of(path): path for path in SOURCES}
    graph = {name: {other for other in imports(path, top_level_only=True) if other in modules and other != name}
             for name, path in modules.items()}  # fmt: skip

    graphlib.TopologicalSorter(graph).prepare()


def normal(name):
    return re.sub("[-_.]+", "-", name).lower()


def declared():
    """Collect the distributions that pyproject.toml requires; `dask[distributed]` counts for both its words."""
    requirements = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return {normal(word) for line in requirements for word in re.findall(r"[\w.-]+", re.split("[<>=!~;]", line)[0])}


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_what_is_imported_is_declared(path):
    distributions, required = packages_distributions(), declared()
    tops = {name.split(".")[0] for name in imports(path)} - sys.stdlib_module_names - {"anabranch", "flows", "tasks"}

    assert [top for top in tops if not required & set(map(normal, distributions[top]))] == []


@pytest.mark.parametrize(("arguments", "left_out"), [
    ("--help", "prefect dask distributed pandas pydantic"),
    ("parse-logs --help", "prefect dask distributed pandas anabranch.files"),
    ("convert-files --help", "prefect dask distributed pandas pyarrow anabranch.logs anabranch.files.pipeline"),
])  # fmt: skip
def test_help_is_quick_since_it_imports_little(arguments, left_out):
    code = ("import sys\nfrom anabranch.cli import main\ntry:\n    main(sys.argv[2:])\nexcept SystemExit:\n"
            "    print(set(sys.argv[1].split()) & set(sys.modules))")  # fmt: skip
    command = [sys.executable, "-c", code, left_out, *arguments.split()]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.endswith("set()\n")


def test_no_file_is_too_long():
    lengths = {module_of(path): len(path.read_text().splitlines()) for path in SOURCES}

    assert max(lengths.values()) <= 400, lengths
    assert sorted(lengths.values())[len(lengths) // 2] <= 150
