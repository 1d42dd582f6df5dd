"""Standard output carries data or JSON, for whoever reads it: they may leave, or not be there at all."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_OURS = 3  # the first descriptor that is no standard stream


@contextmanager
def readers_may_leave() -> Iterator[None]:
    """End the block where nobody reads on: whoever reads it, such as `head`, has seen enough."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def open_streams() -> None:
    """Open the standard streams that whoever started us closed, lest a file of ours get the number of one."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < _OURS:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
