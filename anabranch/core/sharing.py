"""A folder that several runs may use at the same time, and that one of them may clear once it is alone there."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def sharing(folder: Path) -> Iterator[Callable[[], bool]]:
    """Make a folder and note that this run uses it; yield a function that says whether no other run uses it now.

    It is to be called at the end. If it says yes, other runs wait at the start of their block until this one ends;
    where the file system has no locks, it says no.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    locked = False
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            locked = True

        def alone() -> bool:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return locked
            return False

        yield alone
    finally:
        os.close(descriptor)


def clear(folder: Path) -> None:
    """Remove the files in a folder that this run has for itself; the folder stays, since others may wait for it."""
    for path in folder.iterdir():
        if path.is_file():
            path.unlink(missing_ok=True)
