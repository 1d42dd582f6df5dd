"""Standard output carries data or JSON; its reader may stop reading, or it may be closed from the start."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_OURS = 3  # the first descriptor after the standard streams


@contextmanager
def readers_may_leave() -> Iterator[None]:
    """End the block quietly if the reader of standard output, such as `head`, has gone."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def open_streams() -> None:
    """Open the standard streams that were closed, so that no file of ours gets the number of one."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < _OURS:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
