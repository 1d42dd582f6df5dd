"""The connections of this process to SFTP servers: kept between parts, opened one after another, lent to one at a time.

Where the server takes no more of them, the parts share those that are there.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from anabranch.core.errors import Stopped, TemporaryError
from anabranch.sftp.addresses import Server
from anabranch.sftp.connecting import Access, Connection, Credentials, RefusedError, connect
from anabranch.sftp.session import LostError, NoReplyError, Session, Stop

BACKOFF = (0.2, 0.4, 0.8, 1.6, 3.2)  # seconds between attempts, each drawn from 0.5 to 1.5 times as long
IDLE_SECONDS = 30  # that an unused connection is kept
_TICK = 0.1
_LOST = 3  # connections lost one after another without progress

Unlock = Callable[[str], Credentials]


def no_blocks(name: str) -> Credentials:
    """Raise TemporaryError, since blocks are not known outside a run."""
    raise TemporaryError(
        "credentials-unavailable",
        f"the block {name!r} can be read only within a run",
        "Leave --dry-run away.",
        "--credentials",
    )


class Task(Protocol):
    """What is done over a session, and can go on over another one."""

    @property
    def left(self) -> int:
        """How much is left to do."""

    @property
    def progress(self) -> int:
        """A number that grows as the server answers."""

    def run(self, session: Session, stop: Stop) -> None:
        """Go on until nothing is left. Raises LostError and NoReplyError where the session is of no more use."""


class Host:
    """All connections of this process to one server in one way."""

    def __init__(self, server: Server, access: Access) -> None:
        self.server, self._access = server, access
        self._changed = threading.Condition()
        self._idle: list[tuple[float, Connection]] = []
        self._open = 0  # connections, lent ones included
        self._enough = 0  # so many were there when the server took no more; 0: unknown
        self._opening = False

    @contextmanager
    def session(self, unlock: Unlock, stop: Stop, most: int) -> Iterator[Session]:
        """Lend a connection's session; one that raised, or waits for replies, is thrown away afterwards."""
        connection = self._borrow(unlock, stop, most)
        clean = False
        try:
            yield connection.session
            clean = connection.session.flush()
        finally:
            self._give_back(connection, usable=clean and connection.alive)

    def carry_out(self, task: Task, unlock: Unlock, stop: Stop, most: int) -> None:
        """Run a task until nothing is left, on another connection after a loss, which asks only for what is left.

        Raises TemporaryError where three connections one after another bring no progress; else as `session`.
        """
        lost = 0
        while task.left:
            before = task.progress
            try:
                with self.session(unlock, stop, most) as session:
                    task.run(session, stop)
            except (LostError, NoReplyError) as error:
                lost = 0 if task.progress > before else lost + 1
                if lost >= _LOST:
                    raise TemporaryError(
                        "connection-lost",
                        f"{_LOST} connections were lost one after another without progress: {error}",
                        "See the server's log, and run the same command again: what was read is kept.",
                        str(self.server),
                    ) from error

    def _borrow(self, unlock: Unlock, stop: Stop, most: int) -> Connection:
        while True:
            with self._changed:
                if self._idle:
                    _, connection = self._idle.pop()
                    if connection.alive:
                        return connection
                    self._open -= 1
                    connection.close()
                    continue
                room = self._open < most and not (self._enough and self._open >= self._enough)
                if self._opening or not room:
                    self._changed.wait(_TICK)
                else:
                    self._opening = True
                    break
            if stop():
                raise Stopped
        try:
            opened = self._opened(unlock, stop)
        finally:
            with self._changed:
                self._opening = False
                self._changed.notify_all()
        return opened if opened is not None else self._borrow(unlock, stop, most)

    def _opened(self, unlock: Unlock, stop: Stop) -> Connection | None:
        """Open a connection; nothing where the server refuses and others are there. Raises TemporaryError otherwise."""
        for wait in (*BACKOFF, None):
            try:
                secret = unlock(self._access.credentials) if self._access.credentials else None
                connection = connect(self.server, self._access, secret)
            except RefusedError as error:
                refused = error
            else:
                with self._changed:
                    self._open += 1
                return connection
            if wait is None:
                break
            self._pause(wait * random.uniform(0.5, 1.5), stop)  # noqa: S311  no secret
            with self._changed:
                if self._idle:
                    return None
        with self._changed:
            if self._open:
                self._enough = self._open
                return None
        raise TemporaryError(
            "sftp-unreachable",
            f"the server takes no connection: {refused}",
            "Make sure that it runs and accepts this machine, and run the same command again.",
            str(self.server),
        )

    @staticmethod
    def _pause(seconds: float, stop: Stop) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if stop():
                raise Stopped
            time.sleep(min(left, _TICK))

    def _give_back(self, connection: Connection, *, usable: bool) -> None:
        with self._changed:
            if usable:
                self._idle.append((time.monotonic(), connection))
            else:
                self._open -= 1
                self._enough = self._enough if self._open else 0
            self._changed.notify_all()
        if usable:
            _sweep_later()
        else:
            connection.close()

    def close_idle(self, older: float = 0.0) -> int:
        """Close the connections that have been idle for that many seconds; return how many are still idle."""
        oldest = time.monotonic() - older
        with self._changed:
            dropped = [connection for since, connection in self._idle if since <= oldest]
            self._idle = [(since, connection) for since, connection in self._idle if since > oldest]
            self._open -= len(dropped)
            self._enough = self._enough if self._open else 0
            left = len(self._idle)
        for connection in dropped:
            connection.close()
        return left


_hosts: dict[tuple[Server, Access], Host] = {}
_lock = threading.Lock()
_sweeper: list[threading.Timer] = []


def host(server: Server, access: Access) -> Host:
    """Return this process's connections to a server."""
    with _lock:
        return _hosts.setdefault((server, access), Host(server, access))


def close_idle(older: float = 0.0) -> int:
    """Close the idle connections of this process; return how many are still idle."""
    with _lock:
        hosts = list(_hosts.values())
    return sum(one.close_idle(older) for one in hosts)


def _sweep_later() -> None:
    with _lock:
        if not _sweeper:
            timer = threading.Timer(IDLE_SECONDS, _sweep)
            timer.daemon = True
            _sweeper.append(timer)
            timer.start()


def _sweep() -> None:
    with _lock:
        _sweeper.clear()
    if close_idle(IDLE_SECONDS * 0.9):
        _sweep_later()
