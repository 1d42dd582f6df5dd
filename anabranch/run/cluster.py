"""Check that a running Dask cluster can do the work: it answers, has the same software and can read our files."""

import asyncio
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distributed import Client, Security
from distributed.comm.core import connect
from prefect.utilities.asyncutils import run_coro_as_sync

from anabranch.core.config import RunOptions, cluster_address, cores, work_dir
from anabranch.core.errors import SetupError
from anabranch.core.parts import Job, Opts, Plan, WorkFile

CONNECT_SECONDS = 8
COMPARED = ("anabranch", "prefect", "distributed")  # must have the same version here and on every worker


def require_scheduler(address: str, security: Security | None = None, seconds: float = CONNECT_SECONDS) -> None:
    """Raise SetupError "cluster-unreachable" unless a Dask scheduler answers at `address` within that time.

    Dask's own client sets no time limit for its handshake, so it would wait forever on another program's port.
    """
    try:
        run_coro_as_sync(asyncio.wait_for(_greet(address, security or Security(), seconds), seconds))
    except (OSError, ValueError, TimeoutError) as error:
        raise SetupError(
            "cluster-unreachable",
            f"no Dask scheduler answers at {address} ({str(error) or type(error).__name__})",
            "Start it, correct the address, or leave it out to run on this machine.",
        ) from error


def threads_for(run: RunOptions) -> int:
    """Return how many parts will run at the same time: as chosen, the cluster's threads, or this machine's cores."""
    if run.workers:
        return run.workers
    address = cluster_address(run)
    if not address:
        return cores()
    with connected(address) as client:
        return sum(client.nthreads().values())


def job_of(source: Sequence[str], output: str | None, options: Opts, run: RunOptions) -> Job[Opts]:
    """Describe what a flow is to do, for the steps that plan it."""
    return Job(source, output, options, work_dir(run), threads_for(run), run.refresh)


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """Connect to a scheduler; raise SetupError "cluster-unreachable" or "cluster-empty" if no part could run."""
    require_scheduler(address)
    with Client(address, set_as_default=False) as client:
        if not client.nthreads():
            raise SetupError(
                "cluster-empty",
                f"the Dask scheduler at {address} has no workers",
                "Start workers, as deployments/README.md says.",
            )
        yield client


def check_cluster(client: Any, plan: Plan[Any]) -> None:
    """Raise SetupError unless every worker can do the plan's parts: its software, work folder and sources."""
    check_software(client)
    check_shared(client, Path(plan.folder))
    check_sources(client, plan.reads)


def check_software(client: Any) -> None:
    """Raise SetupError "cluster-version" unless every worker has the same versions of our software."""
    here = _versions()
    for worker, there in client.run(_versions, on_error="return").items():
        if there != here and not isinstance(there, OSError):  # a worker that is shutting down gets no parts
            raise SetupError(
                "cluster-version",
                f"the worker {worker} has {there}, but this machine has {here}",
                "Install the same versions on every machine.",
            )


def check_shared(client: Any, folder: Path) -> None:
    """Raise SetupError "work-dir-not-shared" unless every worker sees a file made here."""
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".probe-{uuid.uuid4().hex}"
    probe.touch()
    try:
        blind = _blind_workers(client, [str(probe)])
    finally:
        probe.unlink()
    if blind:
        raise SetupError(
            "work-dir-not-shared",
            f"{len(blind)} workers of the cluster do not see the work folder {folder}, {next(iter(blind))} among them",
            "Name a folder that all machines share with --work-dir or ANABRANCH_WORK_DIR.",
        )


def check_sources(client: Any, sources: Sequence[WorkFile]) -> None:
    """Raise SetupError "source-not-shared" unless every worker can read the first and last source of each folder.

    What cannot be opened here, such as a URL or a vanished file, says nothing about a worker: its part reports it.
    """
    first = {Path(source.path).parent: source.path for source in reversed(sources)}
    last = {Path(source.path).parent: source.path for source in sources}
    named = [*first.values(), *last.values()]
    unknown = set(_unreadable(named))
    blind = _blind_workers(client, [path for path in named if path not in unknown])
    if blind:
        worker, missing = next(iter(blind.items()))
        raise SetupError(
            "source-not-shared",
            f"the worker {worker} cannot read {missing[0]}",
            "Put the sources where all machines of the cluster see them under the same path.",
        )


def _blind_workers(client: Any, paths: list[str]) -> dict[str, list[str]]:
    """Return the workers that cannot read some of the paths, with these paths."""
    answers = client.run(_unreadable, paths, on_error="ignore")
    return {worker: missing for worker, missing in answers.items() if missing}


def _unreadable(paths: list[str]) -> list[str]:
    return [path for path in paths if not os.access(path, os.R_OK)]


def _versions() -> dict[str, str]:
    return {name: version(name) for name in COMPARED}


async def _greet(address: str, security: Security, seconds: float) -> None:
    comm = await connect(address, timeout=seconds, **security.get_connection_args("client"))
    await comm.close()
