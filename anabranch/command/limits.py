"""The commands `limits show` and `limits reset`: how many uploads may run at the same time, and how many do."""

from collections.abc import Mapping, Sequence
from typing import Any

from anabranch.run import places
from anabranch.run.server import ensure_server

_PREFIX = "uploads"


def show() -> Sequence[Mapping[str, Any]]:
    """List the limits on uploads at the same time, of all runs and of each user, and how many places are taken."""
    return told(ensure_server())


def reset() -> Sequence[Mapping[str, Any]]:
    """Free all places of uploads: for those that no run holds any more. Runs that hold some may then be too many."""
    return [_row(one) for one in places.reset(ensure_server(), _PREFIX)]


def told(url: str) -> Sequence[Mapping[str, Any]]:
    """List the limits on uploads that the server at this API address has."""
    return [_row(one) for one in places.show(url, _PREFIX)]


def _row(one: places.Places) -> Mapping[str, Any]:
    return {"limit": one.name, "places": one.limit, "taken": one.taken, "free": one.free}
