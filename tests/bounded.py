"""Call a function in a fork of this process that may not take too long, too much memory, or write elsewhere."""

import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

SECONDS = 60  # a busy machine is slow; what hangs hangs for ever
MEMORY = 400 << 20  # bytes beyond what this process has
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_OTHER_CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod")


def bounded(function: Callable[[], object], folder: Path) -> str:
    """Return "" where the function ends well, else the traceback or what the fork was stopped for."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        os.write(writing, _outcome(function, folder).encode()[-4000:])  # fits into the pipe
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    return told or (f"stopped by signal {-code}" if (code := os.waitstatus_to_exitcode(status)) else "")


def _outcome(function: Callable[[], object], folder: Path) -> str:
    signal.alarm(SECONDS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    sys.addaudithook(lambda event, arguments: _refuse_writes(event, arguments, folder))
    try:
        function()
    except BaseException:  # noqa: BLE001  whatever it is, the test reads it
        return traceback.format_exc()
    return ""


def _refuse_writes(event: str, arguments: tuple, folder: Path) -> None:
    if isinstance(arguments[0] if arguments else None, int):
        return  # a file that was opened before, which was looked at then
    if event in _OTHER_CHANGES or (event == "open" and arguments[2] & _WRITES):
        path = Path(os.fsdecode(arguments[0])).absolute()
        assert path.is_relative_to(folder), f"{event} {path}"
