"""The code and libraries that decide the bytes of results: other versions never share a cached result."""

import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from anabranch.core.storage import code_version, fingerprint

_PACKAGE = Path(__file__).parent.parent


@cache
def code_key(*rooms: str, libraries: tuple[str, ...] = ()) -> str:
    """Fingerprint everything that decides the bytes of a result: our code, and the versions of Python and libraries.

    `rooms` are the folders of this package that the result depends on, with everything below them: a column names
    every room that it imports, at any depth. A library that is not installed counts as a version of its own.
    """
    code = [code_version(_PACKAGE / room) for room in rooms]
    return fingerprint(rooms, code, sys.version_info[:2], [(name, _installed(name)) for name in libraries])


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
