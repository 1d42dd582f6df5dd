"""Workers that join a cluster during a run: each checks itself before its first part, since the flow has not done so.

One that is not fit gives its part back, which then goes to another worker.
"""

import os
import pickle
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import cloudpickle
from distributed import get_worker
from prefect.client.schemas.objects import State

from anabranch.core.errors import SetupError, TemporaryError
from anabranch.run.cautions import caution
from anabranch.run.payload import Unseen
from anabranch.run.travelling import ask_for_version, to_try_with

COMPARED = ("anabranch", "prefect", "distributed")
UNFIT = "worker-unfit: "  # in front of why a worker gives a part back
LOOK_SECONDS, GONE_SECONDS = 5.0, 60.0  # between two looks for fit workers, and for which there may be none


@dataclass(frozen=True, slots=True)
class Needs:
    """What a worker must have: the same versions of these packages, these files, and an answer of the API."""

    versions: Mapping[str, str]
    paths: tuple[str, ...]
    settings: bytes


def packed(paths: Sequence[str]) -> Unseen:
    """Pack what a worker needs, so that it travels with each part."""
    return Unseen(cloudpickle.dumps(Needs(versions_here(), tuple(paths), to_try_with())))


def versions_here() -> dict[str, str]:
    """Return the versions here of the packages that must be the same on every worker."""
    return {name: version(name) for name in COMPARED}


def require_fit(needs: bytes) -> None:
    """Raise RuntimeError where this worker has not what it needs; it looks once for each plan."""
    if fault := _fault(needs):
        raise RuntimeError(f"{UNFIT}{get_worker().address}\n{fault}")


@lru_cache(maxsize=64)
def _fault(needs: bytes) -> str:
    wanted: Needs = pickle.loads(needs)  # noqa: S301  from our own flow
    missing = [path for path in wanted.paths if not os.access(path, os.R_OK)]
    if (found := versions_here()) != wanted.versions:
        return f"it has {found}"
    if missing:
        return f"it does not see {missing[0]}"
    answer = ask_for_version(wanted.settings)
    return answer and f"it does not reach the API ({answer})"


class Members:
    """The workers of a cluster that get parts: those that were fit at first, without those that gave a part back."""

    def __init__(self, runner: Any, fit: Sequence[str] | None) -> None:
        self._runner, self._looked, self._seen = runner, 0.0, time.monotonic()
        self._unfit = set(runner.client.nthreads()).difference(fit) if fit else set[str]()
        runner.workers = fit

    def gave_back(self, state: State[Any]) -> bool:
        """Whether a part ended since its worker is not fit; then that one gets no more, and the report warns of it.

        Raises SetupError "worker-unfit" where there is no other worker.
        """
        message = str(state.message)
        if not state.is_crashed() or UNFIT not in message:
            return False
        worker, _, fault = message.partition(UNFIT)[2].partition("\n")
        remedy = "`anabranch doctor --cluster ADDRESS` checks the workers of a cluster."
        error = SetupError("worker-unfit", f"the worker {worker} joined the cluster, and {fault}", remedy)
        self._unfit.add(worker)
        self._runner.workers = [one for one in self._runner.client.nthreads() if one not in self._unfit]
        if not self._runner.workers:
            raise error
        caution(f"a worker of the cluster gets no parts: {error}")
        return True

    def require_some(self) -> None:
        """Raise TemporaryError "cluster-lost" once all that may get parts have been gone for GONE_SECONDS.

        Dask would wait for them for ever, while other workers are there.
        """
        now = time.monotonic()
        if self._runner.workers is None or now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        if not set(self._runner.workers).isdisjoint(self._runner.client.nthreads()):
            self._seen = now
        elif now - self._seen > GONE_SECONDS:
            raise TemporaryError(
                "cluster-lost",
                "the workers of the cluster that were fit for the run have gone",
                "See why, start them again, and run the same command again; what is done is kept.",
            )
