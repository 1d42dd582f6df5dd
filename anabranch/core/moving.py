"""Progress within a part: the work on it reports the bytes that it has moved, to the code that started it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Say = Callable[[int], object]  # takes the bytes that have been moved so far

_say: ContextVar[Say | None] = ContextVar("say", default=None)


def say_moved() -> Say | None:
    """Return what the work on the current part should call again and again, if anyone listens."""
    return _say.get()


@contextmanager
def listening(say: Say) -> Iterator[None]:
    """Within the block, in this thread, `say_moved` returns `say`."""
    token = _say.set(say)
    try:
        yield
    finally:
        _say.reset(token)
