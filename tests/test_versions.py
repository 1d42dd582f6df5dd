"""A result is never taken from the cache where code that decides its bytes has changed."""

import shutil
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

import anabranch
from anabranch.core import versions
from anabranch.files import versions as files
from anabranch.logs import unpack as logs
from anabranch.photos.known import photos_key
from anabranch.tables import versions as tables
from tests.test_layering import MODULES, ours, room

PACKAGE = Path(anabranch.__file__).parent
KEYS = {"files": files.code_key, "logs": logs.code_key, "photos": photos_key, "tables": tables.code_key}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of our package, of which each test computes the keys."""
    shutil.copytree(PACKAGE, tmp_path / "anabranch", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(versions, "_PACKAGE", tmp_path / "anabranch")
    monkeypatch.setattr(versions, "code_key", versions.code_key.__wrapped__)
    return tmp_path / "anabranch"


def needed(column):
    """Collect the modules that a column imports, at any depth."""
    found, left = set(), [name for name in MODULES if room(name) == column]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left.extend(ours(MODULES[name]))
    return found


@pytest.mark.parametrize("column", KEYS)
def test_a_change_of_any_module_that_a_column_imports_changes_its_key(column, package):
    before, unseen = KEYS[column](), []
    for name in sorted(needed(column)):
        path = package.parent / MODULES[name].relative_to(PACKAGE.parent)
        text = path.read_text()
        path.write_text(f"{text}\n# changed\n")
        if KEYS[column]() == before:
            unseen.append(name)
        path.write_text(text)

    assert unseen == []
    assert KEYS[column]() == before


def test_the_rules_beside_the_code_change_the_key(package):
    before = files.code_key()
    (package / "formats" / "rules.json").write_text("{}")

    assert files.code_key() != before


def test_another_version_of_a_library_changes_the_key(package, monkeypatch):
    before, real = files.code_key(), versions.version

    monkeypatch.setattr(versions, "version", lambda name: "0.1" if name == "pyarrow" else real(name))
    assert files.code_key() != before


def test_a_library_that_is_not_installed_gives_a_key_too(package, monkeypatch):
    before = files.code_key()

    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(versions, "version", missing)
    assert files.code_key() != before
