"""What `anabranch.run` uses beyond Prefect's documents is all in one list, and is there in the installed Prefect."""

import ast
import inspect
import re
from functools import reduce
from importlib import import_module
from pathlib import Path
from uuid import uuid4

from prefect import flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.context import serialize_context
from prefect.settings import Settings
from prefect.settings.legacy import _get_settings_fields
from prefect_dask.task_runners import DaskTaskRunner, PrefectDaskFuture

from anabranch.run.prefect_internals import ATTRIBUTES, CONTEXT, DOCUMENTED, NAMES, SETTINGS

ROOT = Path(__file__).parents[2]
SOURCES = [path for top in ("anabranch", "tasks", "flows") for path in sorted((ROOT / top).rglob("*.py"))]
INSTANCES = {
    "prefect_dask.task_runners:DaskTaskRunner": DaskTaskRunner,
    "prefect_dask.task_runners:PrefectDaskFuture": lambda: PrefectDaskFuture(uuid4(), None),
    "prefect.client.orchestration:SyncPrefectClient": lambda: SyncPrefectClient("http://127.0.0.1:1/api"),
    "prefect.flows:Flow": lambda: flow(lambda: None, name="any"),
}


def missing():
    """Name what is in the list, and not in the installed Prefect."""
    for name, parameters in NAMES.items():
        module, _, words = name.partition(":")
        try:
            target = reduce(getattr, words.split("."), import_module(module))
        except (ImportError, AttributeError):
            yield name
        else:
            signature = inspect.signature(target).parameters if parameters else {}
            yield from (f"{name}({parameter})" for parameter in parameters if parameter not in signature)
    for name, attributes in ATTRIBUTES.items():
        yield from (f"{name}.{attribute}" for attribute in attributes if not hasattr(INSTANCES[name](), attribute))
    yield from set(CONTEXT) - serialize_context().keys()
    yield from set(SETTINGS) - _get_settings_fields(Settings).keys()


def unlisted():
    """Name what the code uses of Prefect, and is not in the list."""
    listed = {re.match(r"[\w.]+:\w+", name)[0] for name in NAMES}
    private = {attribute for attributes in ATTRIBUTES.values() for attribute in attributes}
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        yield from set(imported(tree)) - listed
        yield from set(inherited(tree)) - private
        words = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        variables = {word for word in words if re.fullmatch(r"PREFECT_[A-Z0-9]+(_[A-Z0-9]+)*", word)}
        yield from variables - {*SETTINGS, "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"}


def imported(tree):
    """Name what a module imports from Prefect's undocumented modules."""
    for node in ast.walk(tree):
        module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        if module.split(".")[0] in ("prefect", "prefect_dask") and module not in DOCUMENTED:
            yield from (f"{module}:{alias.name}" for alias in node.names)


def inherited(tree):
    """Name the private attributes that classes derived from Prefect's read, and do not make themselves."""
    theirs = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
              and (node.module or "").startswith("prefect") for alias in node.names}  # fmt: skip
    for made in ast.walk(tree):
        if isinstance(made, ast.ClassDef) and any(
            re.match(r"\w+", ast.unparse(base))[0] in theirs for base in made.bases
        ):
            inside = list(ast.walk(made))
            used = [node for node in inside if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self"]
            own = {node.attr for node in used if isinstance(node.ctx, ast.Store)}
            own |= {node.name for node in inside if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
            yield from {node.attr for node in used if node.attr.startswith("_")} - own


def test_the_list_is_true_and_whole():
    assert list(missing()) == []
    assert list(unlisted()) == []
