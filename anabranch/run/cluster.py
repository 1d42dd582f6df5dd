"""Look at a running Dask cluster before work is sent to it: its threads, its software, the folder that it shares."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distributed import Client

from anabranch.config import RunOptions, cluster_address, cores
from anabranch.errors import SetupError
from anabranch.run.connecting import require_scheduler

COMPARED = ("anabranch", "prefect", "distributed")  # what must be of one version here and on every worker


def threads_for(run: RunOptions) -> int:
    """Say how many parts will run at the same time: as asked for, the cluster's threads, or this machine's cores."""
    if run.workers:
        return run.workers
    address = cluster_address(run)
    if not address:
        return cores()
    with connected(address) as client:
        return sum(client.nthreads().values())


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """Connect to a scheduler; SetupError "cluster-unreachable" or "cluster-empty" where no part could run."""
    require_scheduler(address)
    with Client(address, set_as_default=False) as client:
        if not client.nthreads():
            raise SetupError(
                "cluster-empty",
                f"the Dask scheduler at {address} has no workers",
                "Start workers, as deployments/README.md says.",
            )
        yield client


def check_software(client: Client) -> None:
    """Raise SetupError "cluster-version" unless every worker has this software in this version."""
    here = _versions()
    for worker, there in client.run(_versions).items():
        if there != here:
            raise SetupError(
                "cluster-version",
                f"the worker {worker} has {there}, and here are {here}",
                "Install the same versions on every machine.",
            )


def check_shared(client: Any, folder: Path) -> None:
    """Raise SetupError "work-dir-not-shared" unless every worker sees a file made here."""
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".probe-{uuid.uuid4().hex}"
    probe.touch()
    try:
        blind = [worker for worker, sees in client.run(_sees, str(probe)).items() if not sees]
    finally:
        probe.unlink()
    if blind:
        raise SetupError(
            "work-dir-not-shared",
            f"{len(blind)} workers of the cluster do not see the work folder {folder}, {blind[0]} among them",
            "Name a folder that all machines share with --work-dir or ANABRANCH_WORK_DIR.",
        )


def _versions() -> dict[str, str]:
    return {name: version(name) for name in COMPARED}


def _sees(path: str) -> bool:
    return Path(path).exists()
