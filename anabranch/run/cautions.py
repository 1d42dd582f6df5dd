"""Warnings about where a run is carried out: they belong to its report, beside those about its sources."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_collected: ContextVar[list[str] | None] = ContextVar("collected", default=None)


@contextmanager
def collecting() -> Iterator[list[str]]:
    """Yield the list to which `caution` adds within the block."""
    cautions: list[str] = []
    token = _collected.set(cautions)
    try:
        yield cautions
    finally:
        _collected.reset(token)


def caution(text: str) -> None:
    """Add a warning to the report of the run, once."""
    collected = _collected.get()
    if collected is not None and text not in collected:
        collected.append(text)
