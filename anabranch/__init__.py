"""Split archives, chunks and files into parts, run them on all cores or a Dask cluster, rejoin them in order."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anabranch.core.errors import (
        AnabranchError,
        PartlyFailed,
        SetupError,
        SourceError,
        Stopped,
        TemporaryError,
        UsageError,
    )
    from anabranch.formats.options import ReadOptions, WriteOptions
    from anabranch.library.bulk import bulk_convert
    from anabranch.library.parallel_read import parallel_read
    from anabranch.library.parallel_write import parallel_write
    from anabranch.library.pipeline import pipeline

_LAZY = {  # imported when first used, so that `import anabranch` stays light
    "AnabranchError": "anabranch.core.errors",
    "PartlyFailed": "anabranch.core.errors",
    "ReadOptions": "anabranch.formats.options",
    "SetupError": "anabranch.core.errors",
    "SourceError": "anabranch.core.errors",
    "Stopped": "anabranch.core.errors",
    "TemporaryError": "anabranch.core.errors",
    "UsageError": "anabranch.core.errors",
    "WriteOptions": "anabranch.formats.options",
    "bulk_convert": "anabranch.library.bulk",
    "parallel_read": "anabranch.library.parallel_read",
    "parallel_write": "anabranch.library.parallel_write",
    "pipeline": "anabranch.library.pipeline",
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
