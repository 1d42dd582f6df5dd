"""Bring what parts in flight say of how far they are from the workers to the flow, by Dask's events."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from distributed import Client

from anabranch.core.moving import Say
from anabranch.core.parts import Part
from anabranch.core.tally import NOTED_EVERY
from anabranch.run.stopping import current_worker

Moved = Callable[[Part, int], object]  # a part, and the bytes of it that have been moved so far

_TOPIC = "anabranch-moving"  # one for all runs: a scheduler keeps the last messages of every topic for ever


def saying(part: Part) -> Say:
    """Return what sends that to the flow: once a second, so that a short part sends nothing, and when it falls."""
    worker, last, told = current_worker(), time.monotonic(), 0

    def say(size: int) -> None:
        nonlocal last, told
        now = time.monotonic()
        if worker and (now - last >= NOTED_EVERY or size < told):
            last, told = now, size
            worker.log_event(_TOPIC, [part.key, size])

    return say


@contextmanager
def hearing(client: Client, parts: Mapping[str, Part], moved: Moved) -> Iterator[None]:
    """Within the block, call `moved` with what parts say, in a thread of the client; `parts`, by key, may grow."""

    def heard(event: tuple[float, Any]) -> None:
        key, size = event[1]
        if key in parts:
            moved(parts[key], size)

    client.subscribe_topic(_TOPIC, heard)
    try:
        yield
    finally:
        if client.status == "running":  # not if the scheduler was lost, which then is the error
            client.unsubscribe_topic(_TOPIC)
