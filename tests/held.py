"""What this process holds of the system: open files, sockets, threads, child processes."""

import gc
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from anabranch.core import apart

SETTLE_SECONDS = 15  # a thread that was told to end may take that long; one that leaks never ends


def held() -> Counter[str]:
    """Count what is held, by name: files by path, sockets and pipes by kind, threads and children by their command."""
    apart._idle.clear()  # they wait for a next call on purpose, and end soon
    gc.collect()  # what cannot be reached is not held, only not yet given back
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
    """Return what is held beyond `before` and `slack` more of each, and has not gone after `settle` seconds.

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
    yield from ["thread of Python"] * threading.active_count()
    ours = Path("/proc/self/comm").read_text()
    named = Counter(filter(None, (_read(task / "comm") for task in Path("/proc/self/task").iterdir())))
    # those of pyarrow's pools, which come one by one as they are needed, bear the name of the process, too
    pools = pa.cpu_count() + pa.io_thread_count()
    named[ours] = max(0, named[ours] - threading.active_count() - pools)
    for name in named.elements():
        yield f"thread {name.strip()}"


def _read(path):
    with suppress(FileNotFoundError, ProcessLookupError):
        return path.read_text()


def _children():
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):
            for child in (task / "children").read_text().split():
                yield f"child {(Path('/proc') / child / 'comm').read_text().strip()}"
