"""How many places the limits that all runs share have, and how many are taken; without Prefect, so that it is quick."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from anabranch.run.api import CONFLICT, NOT_FOUND, RefusedError, call

_PAGE = 200  # limits that are listed at a time


@dataclass(frozen=True, slots=True)
class Places:
    """The places of a limit."""

    name: str
    limit: int
    taken: int

    @property
    def free(self) -> int:
        """How many are not taken; none where the limit was lowered below those that are."""
        return max(self.limit - self.taken, 0)


def show(url: str, prefix: str) -> list[Places]:
    """List the limits whose names begin so, on the server at this API address."""
    return [Places(one["name"], one["limit"], one["active_slots"]) for one in _listed(url, prefix)]


def reset(url: str, prefix: str) -> list[Places]:
    """Free every place of the limits whose names begin so: for places that no run holds any more.

    Each limit is deleted and created again. Setting its count to 0 is not enough: when the lease of a dead run expires,
    the server subtracts it from the count, and another run may hold that place by then.
    """
    for one in list(_listed(url, prefix)):
        _ask(f"{url}/v2/concurrency_limits/{one['id']}", NOT_FOUND, method="DELETE")
        _ask(f"{url}/v2/concurrency_limits/", CONFLICT, {"name": one["name"], "limit": one["limit"]})
    return show(url, prefix)


def _ask(url: str, done: int, body: object = None, **request: Any) -> None:
    """Send a request; with the answer `done`, another run or an earlier attempt has carried it out already."""
    try:
        call(url, body, **request)
    except RefusedError as error:
        if error.status != done:
            raise


def _listed(url: str, prefix: str) -> Iterator[dict[str, Any]]:
    offset = 0
    while page := call(f"{url}/v2/concurrency_limits/filter", {"limit": _PAGE, "offset": offset}):
        offset += len(page)
        yield from (one for one in page if one["name"].startswith(prefix))
