"""The code and the software that decide bytes: results made with others are never taken from the cache."""

import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from anabranch.storage import code_version, fingerprint

_LIBRARIES = ("pyarrow", "numpy", "orjson", "isal", "fastavro", "python-calamine")
_EXTRAS = ("iterabledata", "pymongo", "msgpack", "cbor2", "pyyaml")  # which read further formats, where they are here


@cache
def code_key() -> str:
    """Fingerprint the code of this workload, and the software under it that decides bytes, too."""
    here = Path(__file__).parent
    code = code_version(here), code_version(here.parent, deep=False)
    return fingerprint(*code, sys.version_info[:2], *map(_installed, (*_LIBRARIES, *_EXTRAS)))


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
