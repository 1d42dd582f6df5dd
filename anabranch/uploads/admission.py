"""How many files are sent at the same time, by all runs together: the way asks, and the flow knows who grants it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Slots(Protocol):
    """Grants places for uploads."""

    def take(self, *, wait: bool) -> AbstractContextManager[bool]:
        """Hold a place inside the block; wait for one, or yield False where none is free."""


class Unlimited:
    """Grant every place: for runs without shared limits."""

    def take(self, *, wait: bool) -> AbstractContextManager[bool]:  # noqa: ARG002  as the others take it
        """Yield True."""
        return nullcontext(enter_result=True)


Say = Callable[[str], object]
