"""The documents say what the program does: options, error codes, exit codes, commands."""

import ast
import importlib.util
import re
import shlex
import tomllib
from itertools import takewhile
from pathlib import Path

import pytest
from cyclopts import CycloptsError, MissingArgumentError

from anabranch.command.adhoc import EXIT_CODES, NOTHING_TO_DO
from anabranch.command.app import app

ROOT = Path(__file__).parent.parent
DOCS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deployments").rglob("*.md"),
        ROOT / "examples/README.md",
    ]
)
SOURCES = [path for top in ("anabranch", "flows", "tasks") for path in (ROOT / top).rglob("*.py")]
ERRORS = re.compile(r"\w*Error$|PartlyFailed$|Stopped$|_not_started$|refusal$")


@pytest.fixture(scope="module")
def make_reference():
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_program_says(make_reference):
    assert (ROOT / "docs" / "reference.md").read_text() == make_reference.render(), "run: make docs"


def test_every_exit_code_is_explained(make_reference):
    assert {*EXIT_CODES.values(), NOTHING_TO_DO} <= make_reference.EXITS.keys()


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


def test_the_codes_among_the_symptoms_exist():
    symptoms = re.findall(r"^\| (.*?) \|", (ROOT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE)
    named = {code for symptom in symptoms for code in re.findall(r"`([a-z]+(?:-[a-z]+)+)`", symptom)}

    assert named
    assert named <= set(codes())


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(path):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text())

    assert [link for link in links if not (path.parent / link).exists()] == []


BLOCK = re.compile(r"^```(?:console|sh)(?: (\w+))?\n(.*?)^```", re.MULTILINE | re.DOTALL)
APART = ("docker", "kubernetes", "systemd")  # marks of blocks that need more than this machine has
PROGRAMS = {"make", "anabranch", "uv", "pip", "python", "dask", "prefect", "git", "eval", ".", "[",
            "mkdir", "cp", "mv", "ls", "cat", "head", "tail", "du", "tar", "kill", "sleep", "export"}  # fmt: skip


def console_lines(path):
    """Collect what a document's console blocks type, line by line, without the comments behind it."""
    for mark, block in BLOCK.findall(path.read_text()):
        if mark not in APART:
            yield from (line.partition(" #")[0].rstrip() for line in re.findall(r"^\$ (.*)", block, re.MULTILINE))


def commands(line):
    """Split a line of the shell into the words of each of its commands, up to a redirection."""
    tokens = shlex.shlex(line, posix=True, punctuation_chars=True)
    tokens.whitespace_split, tokens.commenters = True, ""
    words = []
    for token in (*tokens, ";"):
        if set(token) <= set("();|&") or token in ("until", "do", "done"):
            if words and not words[-1].endswith("$"):  # the $ of $(…), whose command follows
                yield list(takewhile(lambda word: word not in (">", "<"), words))
            words = []
        else:
            words.append(token)
            if token.startswith("$("):
                yield from commands(token[2:-1])


def console_commands(path):
    """Collect the words of each command in a document's console blocks."""
    for line in console_lines(path):
        yield from commands(line)


def test_every_block_of_a_shell_is_one_that_is_tested_or_marked():
    marks = {mark for path in DOCS for mark, _ in BLOCK.findall(path.read_text())}

    assert marks <= {"", *APART}
    for path in DOCS:
        for mark, block in BLOCK.findall(path.read_text()):
            assert mark in APART or block.startswith("$ "), f"{path}: {block}"


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_console_blocks_type_commands_and_options_that_exist(path):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    wrong = []
    for program, *words in console_commands(path):
        if program not in PROGRAMS or (program == "make" and not targets.issuperset(words)):
            wrong.append([program, *words])
        if program == "anabranch":
            try:
                app.parse_args(words, exit_on_error=False, print_error=False)
            except CycloptsError as error:
                wrong.append(f"{shlex.join(words)}: {error}")

    assert wrong == []


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_sentences_name_commands_and_options_that_exist(path):
    wrong = []
    for line in re.findall(r"`anabranch ([^`…|*[]+)`", BLOCK.sub("", path.read_text())):
        try:
            app.parse_args(line, exit_on_error=False, print_error=False)
        except MissingArgumentError:
            pass  # a sentence need not name them all
        except CycloptsError as error:
            wrong.append(f"{line}: {error}")

    assert wrong == []


def test_the_readme_types_what_it_promises():
    typed = {" ".join(words[:2]) for words in console_commands(ROOT / "README.md")}

    assert typed >= {"make demo", "make test", "anabranch parse-logs", "anabranch up", "anabranch down"}


def test_every_dependency_has_its_line():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = (ROOT / "docs" / "dependencies.md").read_text()
    names = {re.split(r"[\[<>=!~ ]", line)[0]
             for line in (*project["project"]["dependencies"], *project["dependency-groups"]["dev"])}  # fmt: skip

    assert [name for name in names if not re.search(rf"^\|.*\b{re.escape(name)}\b.*\|.*\|$", lines, re.MULTILINE)] == []
