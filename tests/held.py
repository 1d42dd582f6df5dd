"""What this process holds of the system: open files, sockets, threads, child processes."""

import gc
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

SETTLE_SECONDS = 15  # a thread that was told to end may take that long; one that leaks never ends


def held() -> Counter[str]:
    """Count what is held, by name: files by path, sockets and pipes by kind, threads and children by their command."""
    gc.collect()  # what nobody can reach is not held, only not yet given back
    return Counter([*_files(), *_threads(), *_children()])


def settled() -> Counter[str]:
    """Count what is held once it stays so: Prefect opens its connections for logs and events some time after a run."""
    before, now = Counter[str](), held()
    while before != now:
        time.sleep(3)
        before, now = now, held()
    return now


def more_than(
    before: Counter[str], settle: float = SETTLE_SECONDS, *, kind: str = "", slack: int = 0
) -> dict[str, int]:
    """Give what is held beyond `before` and `slack` more of each, and has not gone after `settle` seconds.

    With `kind` only the names that begin so count.
    """

    def left():
        return {name: more for name, more in (held() - before).items() if name.startswith(kind) and more > slack}

    deadline = time.monotonic() + settle
    while left() and time.monotonic() < deadline:
        time.sleep(0.1)
    return left()


def _files():
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            target = str(link.readlink())
            if target.startswith("/proc/"):
                continue  # the monitor of a Dask worker in this process reads them now and then
            yield target if target.startswith("/") else target.partition("[")[0]


def _threads():
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):
            yield f"thread {(task / 'comm').read_text().strip()}"


def _children():
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):
            for child in (task / "children").read_text().split():
                yield f"child {(Path('/proc') / child / 'comm').read_text().strip()}"
