"""Check that a running cluster can do the work: it answers, has our software, reaches the API and reads our files."""

import asyncio
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from distributed import Client, Security
from distributed.comm.core import connect
from prefect.settings import PREFECT_API_URL
from prefect.utilities.asyncutils import run_coro_as_sync

from anabranch.core.config import RunOptions, cluster_address, cores, work_dir
from anabranch.core.errors import SetupError, UsageError
from anabranch.core.parts import Job, Opts, Plan, WorkFile
from anabranch.run.cautions import caution
from anabranch.run.joining import packed, versions_here
from anabranch.run.payload import Unseen
from anabranch.run.travelling import REMEDY, reach, to_try_with

CONNECT_SECONDS = 8
ANSWER_SECONDS = 10.0  # in which a worker that does not hang answers
LOAD_SECONDS = 120.0  # in which it has loaded our software, and answers, on a machine with more work than cores


def require_scheduler(address: str, security: Security | None = None, seconds: float = CONNECT_SECONDS) -> None:
    """Raise SetupError "cluster-unreachable" unless a Dask scheduler answers at `address` within that time.

    For a tls:// address without certificates, raise UsageError "cluster-certificates".

    Dask's own client sets no time limit for its handshake, so it would wait forever on another program's port.
    """
    login = (security or Security()).get_connection_args("client")
    if address.startswith("tls://") and login["ssl_context"] is None:
        raise UsageError(
            "cluster-certificates",
            f"the address {address} needs certificates, and none are set",
            "Name their files in DASK_DISTRIBUTED__COMM__TLS__CA_FILE, DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT and "
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY.",
        )
    try:
        run_coro_as_sync(asyncio.wait_for(_greet(address, login, seconds), seconds))
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
        _workers(client)
        yield client


def fit_workers(client: Any, plan: Plan[Any]) -> list[str] | None:
    """Return the workers that can do the plan's parts, or None if all can; the report warns of the others.

    A worker is fit if it answers, has our software, reaches the API, and sees the work folder and the sources. Raises
    the SetupError of the first worker if none is fit.
    """
    workers = _workers(client)
    unfit: dict[str, SetupError] = {}
    for check in (
        unfit_software,
        unreached,
        partial(blind_to_folder, folder=Path(plan.folder)),
        partial(blind_to_sources, sources=plan.reads),
    ):
        unfit |= check(client, [worker for worker in workers if worker not in unfit])
    fit = [worker for worker in workers if worker not in unfit]
    if not fit:
        raise next(iter(unfit.values()))
    for error in unfit.values():
        caution(f"a worker of the cluster gets no parts: {error}")
    return fit if unfit else None


@contextmanager
def needs_of(plan: Plan[Any]) -> Iterator[Unseen]:
    """Pack what a worker that joins later must have; within the block the work folder has a file that it must see."""
    with _probe(Path(plan.folder)) as probe:
        yield packed([probe, *_looked_for(plan.reads)])


@contextmanager
def _probe(folder: Path) -> Iterator[str]:
    """Keep a new file in the folder while the block runs: a worker that sees the file sees the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".probe-{uuid.uuid4().hex}"
    probe.touch()
    try:
        yield str(probe)
    finally:
        probe.unlink(missing_ok=True)


def unfit_software(client: Any, workers: Sequence[str]) -> dict[str, SetupError]:
    """Return a SetupError "cluster-version" for each worker with other versions, "worker-silent" for a silent one.

    A worker that is shutting down gets no parts, so it is not among them.
    """
    here, unfit = versions_here(), dict[str, SetupError]()
    for worker, there in ask(client, workers, versions_here).items():
        if isinstance(there, TimeoutError):
            unfit[worker] = _silent(worker)
        elif there != here and not isinstance(there, OSError):
            reason = f"the worker {worker} has {there}, but this machine has {here}"
            unfit[worker] = SetupError("cluster-version", reason, "Install the same versions on every machine.")
    return unfit


def unreached(client: Any, workers: Sequence[str]) -> dict[str, SetupError]:
    """Return a SetupError "api-unreachable" for each worker that gets no answer of the API with what we give it.

    Its parts would be missing from the run's page and log, and those that need a block of the server would fail.
    """
    url, unfit = PREFECT_API_URL.value(), dict[str, SetupError]()
    for worker, answer in ask(client, workers, reach, to_try_with()).items():
        if isinstance(answer, TimeoutError):
            unfit[worker] = _silent(worker)
        elif answer and not isinstance(answer, OSError):  # a worker that is shutting down gets no parts
            reason = f"the worker {worker} does not reach the Prefect server at {url} ({answer})"
            unfit[worker] = SetupError("api-unreachable", reason, REMEDY)
    return unfit


def blind_to_folder(client: Any, workers: Sequence[str], folder: Path) -> dict[str, SetupError]:
    """Return a SetupError "work-dir-not-shared" for each worker that does not see a file made here in the folder."""
    remedy = "Name a folder that all machines share with --work-dir or ANABRANCH_WORK_DIR."

    def unfit(worker: str, _path: str) -> SetupError:
        return SetupError(
            "work-dir-not-shared", f"the worker {worker} of the cluster does not see the work folder {folder}", remedy
        )

    with _probe(folder) as probe:
        return _blind(client, workers, [probe], unfit)


def blind_to_sources(client: Any, workers: Sequence[str], sources: Sequence[WorkFile]) -> dict[str, SetupError]:
    """Return a SetupError "source-not-shared" for each worker that cannot read the first or last source of a folder.

    What cannot be opened here, such as a URL or a vanished file, says nothing about a worker: its part reports it.
    """
    remedy = "Put the sources where all machines of the cluster see them under the same path."

    def unfit(worker: str, path: str) -> SetupError:
        return SetupError("source-not-shared", f"the worker {worker} cannot read {path}", remedy)

    return _blind(client, workers, _looked_for(sources), unfit)


def _looked_for(sources: Sequence[WorkFile]) -> list[str]:
    """Return the first and the last source of each folder, but for those that cannot be read here either."""
    first = {Path(source.path).parent: source.path for source in reversed(sources)}
    last = {Path(source.path).parent: source.path for source in sources}
    named = [*first.values(), *last.values()]
    unknown = set(_unreadable(named))
    return [path for path in named if path not in unknown]


def silent_workers(client: Any, workers: Sequence[str]) -> dict[str, SetupError]:
    """Return a SetupError "worker-silent" for each worker that does not even tell the number of its process.

    They have ANSWER_SECONDS, and if none answers in that time, the time that the first one needs, up to LOAD_SECONDS.
    """
    answers = ask(client, workers, os.getpid, seconds=ANSWER_SECONDS, first_within=LOAD_SECONDS)
    return {worker: _silent(worker) for worker, answer in answers.items() if isinstance(answer, TimeoutError)}


def ask(
    client: Any,
    workers: Sequence[str],
    function: Callable[..., Any],
    *arguments: Any,
    seconds: float | None = None,
    first_within: float = 0,
) -> dict[str, Any]:
    """Call a function on each worker; return what it returns or raises, or TimeoutError after `seconds`.

    A worker that hangs never answers, and Dask's own `run` would wait for it forever. If none has answered after
    `seconds` (LOAD_SECONDS by default), the first answer has until `first_within`.
    """

    async def one(worker: str) -> Any:
        answers = await client.run(function, *arguments, workers=[worker], on_error="return", asynchronous=True)
        return answers[worker]

    async def everyone() -> list[Any]:
        limit = LOAD_SECONDS if seconds is None else seconds
        asked = [asyncio.ensure_future(one(worker)) for worker in workers]
        done, _ = await asyncio.wait(asked, timeout=limit)
        if not done and first_within > limit:
            await asyncio.wait(asked, timeout=first_within - limit, return_when=asyncio.FIRST_COMPLETED)
        return [_answer(answer) for answer in asked]

    return dict(zip(workers, client.sync(everyone), strict=True)) if workers else {}


def _answer(asked: asyncio.Future[Any]) -> Any:
    if not asked.done():
        asked.cancel()
        return TimeoutError()
    return asked.exception() or asked.result()


def _workers(client: Any) -> list[str]:
    workers = list(client.nthreads())
    if not workers:
        raise SetupError(
            "cluster-empty",
            f"the Dask scheduler at {client.scheduler.address} has no workers",
            "Start workers, as deployments/README.md says.",
        )
    return workers


def _silent(worker: str) -> SetupError:
    reason = f"the worker {worker} does not answer"
    return SetupError("worker-silent", reason, "See what its machine does, and start the worker again.")


def _blind(
    client: Any, workers: Sequence[str], paths: list[str], unfit: Callable[[str, str], SetupError]
) -> dict[str, SetupError]:
    """Return the error of each worker that is silent, or cannot read some of the paths; `unfit` gets the first one."""
    blind: dict[str, SetupError] = {}
    for worker, missing in ask(client, workers, _unreadable, paths).items():
        if isinstance(missing, TimeoutError):
            blind[worker] = _silent(worker)
        elif missing and not isinstance(missing, Exception):  # a worker that is shutting down gets no parts
            blind[worker] = unfit(worker, missing[0])
    return blind


def _unreadable(paths: list[str]) -> list[str]:
    return [path for path in paths if not os.access(path, os.R_OK)]


async def _greet(address: str, login: dict[str, Any], seconds: float) -> None:
    comm = await connect(address, timeout=seconds, **login)
    await comm.close()
