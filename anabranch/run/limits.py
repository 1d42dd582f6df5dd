"""Limits that all runs share, on all machines of one Prefect server: its global concurrency limits, with leases."""

import logging
import random
import re
import threading
import time
from collections.abc import Iterator, Sequence
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
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from anabranch.core.errors import SetupError
from anabranch.run.cancelling import CancelWatch

LEASE_SECONDS = 60.0  # after which the server takes back a slot whose holder died: its shortest
RENEW_SECONDS = 20.0
LOOK_SECONDS = (0.3, 1.2)  # between two tries for a slot; a server has no way to wake those that wait
RELEASE_SECONDS = 10.0  # that the server may take to hear that a slot is free, each of two times
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

    A lease is renewed by this process while it lives, and ends a minute after it died, though the server die too.
    """

    def __init__(self, limits: Sequence[Limit], cancelled: CancelWatch) -> None:
        self._limits, self._cancelled = limits, cancelled
        self._leases: set[UUID] = set()
        self._over, self._lock = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._renew, name="limits", daemon=True)

    def __enter__(self) -> Self:
        with get_client(sync_client=True) as client:
            for limit in self._limits:
                _require(client, limit)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(RENEW_SECONDS)

    @contextmanager
    def take(self, *, wait: bool) -> Iterator[bool]:
        """Hold one place of each limit inside the block; wait until they are free, or yield False.

        Raises Stopped when the run is cancelled while it waits.
        """
        with ExitStack() as held:
            for limit in self._limits:
                lease = self._awaited(limit.name) if wait else _acquired(limit.name)
                if lease is None:
                    held.close()
                    yield False
                    return
                with self._lock:
                    self._leases.add(lease)
                held.callback(self._release, lease)
            yield True

    def _awaited(self, name: str) -> UUID:
        while (lease := _acquired(name)) is None:
            self._cancelled.check()
            time.sleep(random.uniform(*LOOK_SECONDS))  # noqa: S311  no secret
        return lease

    def _release(self, lease: UUID) -> None:
        with self._lock:
            self._leases.discard(lease)
        with (
            suppress(HTTPError),  # a lease that was not released expires, so the run need not wait long
            temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 1}),
            get_client(httpx_settings={"timeout": RELEASE_SECONDS}, sync_client=True) as client,
        ):
            client.release_concurrency_slots_with_lease(lease)

    def _renew(self) -> None:
        while not self._over.wait(RENEW_SECONDS):
            with self._lock:
                leases = tuple(self._leases)
            for lease in leases:
                try:
                    with get_client(sync_client=True) as client:
                        client.renew_concurrency_lease(lease, LEASE_SECONDS)
                except HTTPError as error:
                    log.warning("a place among the uploads could not be kept: %s", error)


def _require(client: Any, limit: Limit) -> None:
    """See that the limit exists; two runs may do so at once."""
    try:
        known = client.read_global_concurrency_limit_by_name(limit.name)
    except ObjectNotFound:
        with suppress(ObjectAlreadyExists, HTTPStatusError):
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=limit.name, limit=limit.places))
        return
    if limit.chosen and known.limit != limit.places:
        client.update_global_concurrency_limit(limit.name, GlobalConcurrencyLimitUpdate(limit=limit.places))


def _acquired(name: str) -> UUID | None:
    """Take a place of one limit: of a list the server would pass over those that are missing."""
    with get_client(sync_client=True) as client:
        try:
            answer = client.increment_concurrency_slots_with_lease([name], 1, "concurrency", LEASE_SECONDS).json()
        except HTTPStatusError as error:
            if error.response.status_code == HTTPStatus.LOCKED:
                return None
            raise
    if not answer["limits"]:
        raise SetupError("limit-missing", f"the server has no limit {name}", "Run the same command again.", name)
    return UUID(answer["lease_id"])
