"""The commands `limits show` and `limits reset`: how many uploads may run at the same time, and how many do."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from anabranch.run.server import ensure_server, prefect_environment

_PREFIX = "uploads"


def show() -> Sequence[Mapping[str, Any]]:
    """List the limits on uploads at the same time, of all runs and of each user, and how many places are taken."""
    _use_server()
    from anabranch.run.limits import show as listed

    return [_row(one) for one in listed(_PREFIX)]


def reset() -> Sequence[Mapping[str, Any]]:
    """Free all places of uploads: for those that no run holds any more. Runs that hold some may then be too many."""
    _use_server()
    from anabranch.run.limits import reset as freed

    return [_row(one) for one in freed(_PREFIX)]


def _use_server() -> None:
    os.environ.update(prefect_environment(ensure_server()))  # before anything imports Prefect


def _row(slots: Any) -> Mapping[str, Any]:
    return {"limit": slots.name, "places": slots.limit, "taken": slots.taken, "free": slots.limit - slots.taken}
