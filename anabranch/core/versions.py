"""The code and the software that decide bytes: results made with others are never taken from the cache."""

import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from anabranch.core.storage import code_version, fingerprint

_PACKAGE = Path(__file__).parent.parent


@cache
def code_key(*rooms: str, libraries: tuple[str, ...] = ()) -> str:
    """Fingerprint all that decides the bytes of a result: our code, the version of Python, and of some libraries.

    `rooms` are the folders of this package that the result depends on, each with all that is below it: a column
    names every room that it imports, at any depth. A library that is not installed counts as such.
    """
    code = [code_version(_PACKAGE / room) for room in rooms]
    return fingerprint(rooms, code, sys.version_info[:2], [(name, _installed(name)) for name in libraries])


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
