"""A pool of processes that outlives the death of one of them, and gives results in order."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

from anabranch.core.errors import SetupError
from anabranch.core.storage import fingerprint

WAITING = 3  # calls per worker that are handed out at a time: one runs, the others are ready


class WorkerDiedError(Exception):
    """A call killed the process that it ran in, among others and alone."""

    def __str__(self) -> str:
        return "the process that called the function died, twice"


class _Processes(ProcessPoolExecutor):
    """Processes that end with this one, whatever ends it, or at once where `end` says so."""

    def __init__(self, workers: int) -> None:
        # not forked: a fork of a process with threads, of pyarrow for one, may hang
        context = get_context("spawn")
        ends, self._lifeline = context.Pipe(duplex=False)
        super().__init__(workers, context, _end_with, (ends,))

    def end(self) -> None:
        """End them in the midst of what they do."""
        self._lifeline.close()
        self.shutdown(cancel_futures=True)


def _end_with(lifeline: Connection) -> None:
    """Leave Ctrl-C to the parent, and end with it: the lifeline closes then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_watch, args=(lifeline,), daemon=True).start()


def _watch(lifeline: Connection) -> None:
    with suppress(EOFError, OSError):
        lifeline.recv()
    os._exit(1)


_Key = tuple[int, str]
_kept: dict[_Key, Executor] = {}  # the processes that were used last, for the next run of the same code


def are_kept(workers: int, code: str) -> bool:
    """Whether processes that have this code imported wait for work."""
    return _key(workers, code) in _kept


def _key(workers: int, code: str) -> _Key:
    """Name processes by all that they took over when they were started, and that a function may ask for."""
    return workers, fingerprint(code, os.getcwd(), sorted(os.environ.items())) if code else ""  # noqa: PTH109


def _keep(key: _Key, pool: Executor) -> None:
    for other in list(_kept):  # those of other code, or of another number
        if old := _kept.pop(other, None):  # unless another thread has them by now
            old.shutdown(wait=False, cancel_futures=True)
    _kept[key] = pool


class Workers:
    """Call a function for many arguments on threads or processes; a context manager, used by one thread.

    Processes outlive the block where `code` fingerprints what they import: starting them takes a second, and the next
    run of the same code, in the same folder and environment, takes them over. They end with the program, or when others
    come.

    What is handed out is bounded, and results come in the order of the arguments. Where a process dies, the calls that
    were handed out are made once more, each alone, so that only the one that kills its process is lost.

    Where the block ends with an exception, processes are ended; what runs on threads should ask `stopping`.
    """

    def __init__(self, workers: int, *, processes: bool, code: str = "") -> None:
        self.workers, self._processes, self._key = workers, processes, _key(workers, code)
        self.stopping = Event()
        kept = _kept.pop(self._key, None) if processes and code else None
        self._pool = kept or self._new()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._processes and self._key[1]:
            _keep(self._key, self._pool)
        elif kind and isinstance(self._pool, _Processes):
            self._pool.end()
        else:
            if kind:
                self.stopping.set()
            self._pool.shutdown(cancel_futures=True)

    def map(self, call: Callable[[Any], Any], arguments: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Yield each argument with the call's result, or the exception that it raised; take them as these are taken."""
        out: deque[tuple[Any, Future[Any]]] = deque()
        for argument in arguments:
            if len(out) >= WAITING * self.workers:
                yield self._next(call, out)
            out.append((argument, self._submit(call, argument)))
        while out:
            yield self._next(call, out)

    def _new(self) -> Executor:
        return _Processes(self.workers) if self._processes else ThreadPoolExecutor(self.workers)

    def _submit(self, call: Callable[[Any], Any], argument: Any) -> Future[Any]:
        try:
            return self._pool.submit(call, argument)
        except BrokenProcessPool as error:
            lost: Future[Any] = Future()
            lost.set_exception(error)
            return lost

    def _next(self, call: Callable[[Any], Any], out: deque[tuple[Any, Future[Any]]]) -> tuple[Any, Any]:
        argument, future = out.popleft()
        if isinstance(future.exception(), BrokenProcessPool):
            out.appendleft((argument, future))
            self._again(call, out)
            argument, future = out.popleft()
        return argument, future.exception() or future.result()

    def _again(self, call: Callable[[Any], Any], out: deque[tuple[Any, Future[Any]]]) -> None:
        """Make the calls that were lost once more, each alone."""
        self._renew()
        if isinstance(self._submit(int, 0).exception(), BrokenProcessPool):
            raise SetupError(
                "processes-end",
                "new processes end at once, before they are given any work",
                'Put the script below `if __name__ == "__main__":`, or check whether memory ran out.',
            )
        for index, (argument, future) in enumerate(out):
            if isinstance(future.exception(), BrokenProcessPool):
                alone = self._submit(call, argument)
                if isinstance(alone.exception(), BrokenProcessPool):
                    self._renew()
                    alone = Future()
                    alone.set_exception(WorkerDiedError())
                out[index] = argument, alone

    def _renew(self) -> None:
        self._pool.shutdown()
        self._pool = self._new()
