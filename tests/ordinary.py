"""What meets a user who may not do everything, also where the tests run as root."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NOBODY = 65534


@contextmanager
def folder() -> Iterator[Path]:
    """Yield a folder that everybody may enter and write, unlike tmp_path."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@contextmanager
def closed(*paths: Path) -> Iterator[None]:
    """Be a user who may not read or enter the paths."""
    user, modes = os.geteuid(), [path.stat().st_mode for path in paths]
    for path in paths:
        path.chmod(0)
    if user == 0:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
        for path, mode in zip(paths, modes, strict=True):
            path.chmod(mode)
