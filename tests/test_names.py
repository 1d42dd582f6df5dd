"""Modules and files that code, docs and configuration name exist: a module that moves leaves no old name behind."""

import re
from functools import cache
from pathlib import Path

import anabranch

ROOT = Path(__file__).parent.parent
TOPS = ("anabranch", "flows", "tasks", "tests", "benchmarks", "docs", "deployments", "examples", ".ci")
TEXTS = {".py", ".md", ".toml", ".yaml", ".yml", ".service", ".cfg", ""}
NAMES = re.compile(r"(?<![\w./])anabranch((?:\.[a-z_]\w*)+)")
PATHS = re.compile(
    r"(?<![\w./])((?:anabranch|flows|tasks|benchmarks|deployments|docs)/[\w/{},]+\.(?:py|txt|yaml|md))\b"
)
OTHERS = {".part.done", ".history", ".import"}  # no modules: an event of Prefect, locks of PostgreSQL


@cache
def texts():
    """Read all code, documents and configuration, by their paths."""
    paths = [*ROOT.glob("*.*"), *(path for top in TOPS for path in (ROOT / top).rglob("*"))]
    return {
        str(path.relative_to(ROOT)): path.read_text(errors="replace")
        for path in paths
        if path.suffix in TEXTS and path.is_file() and not path.is_relative_to(ROOT / "tests/data")
    }


def exists(name):
    """Whether a dotted name leads from the package through folders to a module, or to what the package itself has."""
    place = ROOT / "anabranch"
    for word in name.split(".")[1:]:
        if (place / f"{word}.py").exists():
            return True
        if not (place / word).is_dir():
            return place == ROOT / "anabranch" and word in dir(anabranch)  # hasattr would import what it names
        place = place / word
    return True


def alternatives(path):
    """Expand {a,b} in a path as a shell does."""
    before, brace, rest = path.partition("{")
    if not brace:
        return [path]
    choices, _, after = rest.partition("}")
    return [f"{before}{choice}{after}" for choice in choices.split(",")]


def test_every_module_of_ours_that_is_named_exists():
    named = {(path, found) for path, text in texts().items() for found in NAMES.findall(text)}

    assert len(named) > 1000
    assert sorted((path, f"anabranch{name}") for path, name in named if not exists(name) and name not in OTHERS) == []
    assert [name for name in (".core.errors", ".core.errors.Stopped", ".ReadOptions") if not exists(name)] == []
    assert [name for name in (".errors", ".files.sources", ".files.compression.codecs") if exists(name)] == []


def test_every_file_of_ours_that_is_named_exists():
    named = {
        (path, file) for path, text in texts().items() for found in PATHS.findall(text) for file in alternatives(found)
    }

    assert len(named) > 20
    here = {(path, file.removeprefix("anabranch/shipped/")) for path, file in named}  # which the wheel has there
    assert sorted((path, file) for path, file in here if not (ROOT / file).exists()) == []
