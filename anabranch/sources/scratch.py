"""Copies of what can be read from begin to end only, for readers that go back: in the work folder, without a name."""

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from anabranch.core.config import RunOptions, work_dir


def copied(stream: IO[bytes], folder: str = "") -> IO[bytes]:
    """Copy a stream into a file that is gone when it is closed; it lies in the job's folder, or in one of its own.

    Where the system cannot make it without a name, a killed process leaves it there, and it is pruned.
    """
    place = Path(folder) if folder else work_dir(RunOptions()) / "scratch"
    place.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryFile(dir=place))
        shutil.copyfileobj(stream, file, 1 << 20)
        file.seek(0)
        stack.pop_all()
    return file
