"""Split archives, chunks and files into parts, run them on all cores or a Dask cluster, rejoin them in order."""

from importlib import import_module
from typing import Any

_LAZY = {  # imported when first used, so that `import anabranch` stays light
    "bulk_convert": "anabranch.files.bulk",
    "pipeline": "anabranch.files.pipeline.api",
    "parallel_read": "anabranch.files.parallel_read",
    "parallel_write": "anabranch.files.parallel_write",
}
__all__ = [*_LAZY]  # noqa: PLE0604  strings all


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'anabranch' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
