"""Split archives, chunks and files into parts, run them on all cores or a Dask cluster, rejoin them in order."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anabranch.errors import (
        AnabranchError,
        PartlyFailed,
        SetupError,
        SourceError,
        Stopped,
        TemporaryError,
        UsageError,
    )
    from anabranch.files.bulk import bulk_convert
    from anabranch.files.options import ReadOptions, WriteOptions
    from anabranch.files.parallel_read import parallel_read
    from anabranch.files.parallel_write import parallel_write
    from anabranch.files.pipeline.api import pipeline

_LAZY = {  # imported when first used, so that `import anabranch` stays light
    "AnabranchError": "anabranch.errors",
    "PartlyFailed": "anabranch.errors",
    "ReadOptions": "anabranch.files.options",
    "SetupError": "anabranch.errors",
    "SourceError": "anabranch.errors",
    "Stopped": "anabranch.errors",
    "TemporaryError": "anabranch.errors",
    "UsageError": "anabranch.errors",
    "WriteOptions": "anabranch.files.options",
    "bulk_convert": "anabranch.files.bulk",
    "parallel_read": "anabranch.files.parallel_read",
    "parallel_write": "anabranch.files.parallel_write",
    "pipeline": "anabranch.files.pipeline.api",
}
__all__ = [
    "AnabranchError",
    "PartlyFailed",
    "ReadOptions",
    "SetupError",
    "SourceError",
    "Stopped",
    "TemporaryError",
    "UsageError",
    "WriteOptions",
    "bulk_convert",
    "parallel_read",
    "parallel_write",
    "pipeline",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'anabranch' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
