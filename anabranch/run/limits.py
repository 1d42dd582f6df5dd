"""Limits that all runs share, on all machines of one Prefect server: its global concurrency limits, with leases."""

import logging
import queue
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from httpx import HTTPError, HTTPStatusError
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from anabranch.core.errors import SetupError, Stopped

LEASE_SECONDS = 60.0  # after which the server takes back a slot whose holder died: its shortest
RENEW_SECONDS = 20.0
LOOK_SECONDS = (0.3, 1.2)  # between two tries for a slot; a server has no way to wake those that wait
RELEASE_SECONDS = 10.0  # that a run waits at its end until the server has heard which slots are free
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_.-]+")  # in a limit's name

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit by name, and its places; a number that a user chose replaces the one that the server knows."""

    name: str
    places: int
    chosen: bool = False


def limit_name(*words: str) -> str:
    """Make the name of a limit, such as `uploads-user-ann`."""
    return "-".join(_FORBIDDEN.sub("_", word) for word in words)


class SharedLimits:
    """Hold places of several limits, one of each at a time; wait for one in the order in which they are named.

    A lease is renewed and given back by a thread of this process, and ends a minute after the process died, though the
    server die too. A process asks one thing at a time: a server on SQLite answers 503 where a place is taken while
    another is given back, and Prefect's client waits two seconds before it asks again.
    """

    def __init__(self, limits: Sequence[Limit]) -> None:
        self._limits = limits
        self._open, self._asking = ExitStack(), threading.Lock()
        self._leases: set[UUID] = set()
        self._given_back: queue.SimpleQueue[UUID | None] = queue.SimpleQueue()
        self._freed, self._lock = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._keep, name="limits", daemon=True)

    def __enter__(self) -> Self:
        self._client = self._open.enter_context(get_client(sync_client=True))
        for limit in self._limits:
            _require(self._client, limit)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._given_back.put(None)
        self._thread.join(RELEASE_SECONDS)  # a lease that was not released expires
        if not self._thread.is_alive():
            self._open.close()

    @contextmanager
    def take(self, stop: Callable[[], bool]) -> Iterator[None]:
        """Hold one place of each limit inside the block, after waiting for it; Stopped when `stop` says so."""
        with ExitStack() as held:
            for limit in self._limits:
                lease = self._awaited(limit.name, stop)
                with self._lock:
                    self._leases.add(lease)
                held.callback(self._given_back.put, lease)
            yield

    def _awaited(self, name: str, stop: Callable[[], bool]) -> UUID:
        while (lease := self._acquired(name)) is None:
            if stop():
                raise Stopped("the run was stopped while it waited for a place")
            self._freed.wait(random.uniform(*LOOK_SECONDS))  # noqa: S311  no secret
            self._freed.clear()
        return lease

    def _acquired(self, name: str) -> UUID | None:
        """Take a place of one limit: of a list the server would pass over those that are missing."""
        for pause in (LOOK_SECONDS[1], 0.0):  # it may be missing for a moment, while somebody frees its places
            try:
                with self._asking:
                    answer = self._client.increment_concurrency_slots_with_lease(
                        [name], 1, "concurrency", LEASE_SECONDS
                    )
            except HTTPStatusError as error:
                if error.response.status_code == HTTPStatus.LOCKED:
                    return None
                raise
            if (given := answer.json())["limits"]:
                return UUID(given["lease_id"])
            time.sleep(pause)
        raise SetupError("limit-missing", f"the server has no limit {name}", "Run the same command again.", name)

    def _keep(self) -> None:
        """Renew the leases, and release those that are given back, until there is None."""
        due = time.monotonic() + RENEW_SECONDS
        while True:
            try:
                lease = self._given_back.get(timeout=max(due - time.monotonic(), 0))
            except queue.Empty:
                self._renew()
                due = time.monotonic() + RENEW_SECONDS
                continue
            if lease is None:
                return
            with self._lock:
                self._leases.discard(lease)
            with suppress(HTTPError), self._asking:
                self._client.release_concurrency_slots_with_lease(lease)
            self._freed.set()

    def _renew(self) -> None:
        with self._lock:
            leases = tuple(self._leases)
        for lease in leases:
            try:
                with self._asking:
                    self._client.renew_concurrency_lease(lease, LEASE_SECONDS)
            except HTTPError as error:
                log.warning("a place among the uploads could not be kept: %s", error)


def _require(client: Any, limit: Limit) -> None:
    """See that the limit exists; two runs may do so at once."""
    try:
        known = client.read_global_concurrency_limit_by_name(limit.name)
    except ObjectNotFound:
        try:
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=limit.name, limit=limit.places))
        except ObjectAlreadyExists:
            pass
        except HTTPStatusError:
            client.read_global_concurrency_limit_by_name(limit.name)  # made by the other run, or this is the error
        return
    if limit.chosen and known.limit != limit.places:
        client.update_global_concurrency_limit(limit.name, GlobalConcurrencyLimitUpdate(limit=limit.places))
