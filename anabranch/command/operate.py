"""The commands for operation: up, deploy, init, down, doctor, explain, completion."""

import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from packaging.requirements import Requirement

from anabranch.command.status import deployed_text
from anabranch.command.terminal import Terminal
from anabranch.core.config import RunOptions, cluster_address, cores, state_dir, work_dir
from anabranch.core.errors import AnabranchError, SetupError, UsageError
from anabranch.core.outputs import require_usable
from anabranch.core.shipped import error_pages
from anabranch.core.words import many

Host = Annotated[str | None, Parameter(help="Address of this machine where the server listens, for a cluster.")]


def up(*, host: Host = None) -> int:
    """Start the Prefect server, create the work pool, deploy every flow, start a worker.

    Can be repeated: it does only what is missing. Runs start in the folder where this is called; a prefect.yaml there
    (see `anabranch init`) says which deployments there are.
    """
    from anabranch.run import deploying

    print(deployed_text(deploying.up(host=host, say=Terminal().say)))
    return 0


def deploy() -> int:
    """Create the work pool and deploy every flow, for a worker that is started apart.

    Can be repeated: schedules stay on or off as they were switched. Runs start in the folder where this is called.
    """
    from anabranch.run import deploying

    deploying.deploy(say=Terminal().say)
    return 0


def init() -> int:
    """Write prefect.yaml into the current folder: the deployments, their parameters and schedules, to be edited."""
    from anabranch.run import deploying

    print(f"wrote {deploying.write_project_file(Path.cwd())}")
    return 0


def explain(code: str, /) -> int:
    """Say more about an error than its message does: what the code in its brackets means, and what to do."""
    pages = error_pages()
    if (page := pages.get(code)) is None:
        near = get_close_matches(code, pages)
        hint = f"Did you mean {' or '.join(near)}?" if near else "It stands in brackets at the end of a message."
        raise UsageError("no-such-code", f"there is no error code {code!r}", hint)
    print(f"{code}\n\n{page}")
    return 0


def completion(shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="Whose.")], /) -> int:
    """Print a script by which a shell completes commands and options: eval "$(anabranch completion bash)"."""
    from anabranch.command.app import app

    print(app.generate_completion(prog_name="anabranch", shell=shell))
    return 0


def down() -> int:
    """Stop the worker and the server that `up` or a run started. History and schedules are kept."""
    from anabranch.run import deploying

    deploying.down(say=Terminal().say)
    return 0


def doctor(
    *, cluster: Annotated[str | None, Parameter(help="Address of a Dask scheduler to check as well.")] = None
) -> int:
    """Check versions, folders, the server and the cluster; say what is wrong and what to do. Exit 1 if anything is."""
    failed = 0
    for name, check in _checks(RunOptions(cluster=cluster)):
        try:
            print(f"ok    {name}: {check()}")
        except AnabranchError as error:
            failed += 1
            print(f"FAIL  {name}: {error}")
    return 1 if failed else 0


def _checks(run: RunOptions) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "system", _check_system
    yield "python", lambda: f"{sys.version.split()[0]}, {cores()} cores"
    yield "versions", _check_versions
    yield "work folder", lambda: str(require_usable(work_dir(run)))
    yield "state folder", lambda: str(require_usable(state_dir()))
    yield "server", _check_server
    if address := cluster_address(run):
        yield "cluster", lambda: _check_cluster(address)


def _check_system() -> str:
    """Check for Linux: the background server and the worker rely on /proc, flock and process groups."""
    if platform.system() != "Linux":
        raise SetupError("bad-version", f"Anabranch runs on Linux, not on {platform.system()}", "Use a container.")
    return platform.platform()


def _check_versions() -> str:
    """Check everything that our package requires: with some other versions Prefect fails silently."""
    for needed, found in unmet(requires("anabranch") or ()):
        reason = f"{needed} is needed, but {found or 'none'} is installed"
        raise SetupError("bad-version", reason, "Run `make setup`.")
    return ", ".join(f"{name} {version(name)}" for name in ("anabranch", "prefect", "dask", "fastapi", "sqlalchemy"))


def unmet(requirements: Iterable[str]) -> Iterator[tuple[Requirement, str]]:
    """Yield the requirements that this environment does not meet, each with the installed version.

    Requirements of an extra, such as `formats`, and those for other systems or Python versions are left out.
    """
    for needed in map(Requirement, requirements):
        if needed.marker is None or needed.marker.evaluate({"extra": ""}):
            found = _installed(needed.name)
            if not found or not needed.specifier.contains(found, prereleases=True):
                yield needed, found


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _check_server() -> str:
    from anabranch.run.server import find_server

    server = find_server()
    if server and not server.healthy:
        raise SetupError("server-unreachable", f"{server.url} does not answer", "Run `anabranch down`, then `up`.")
    return server.url if server else "not running; the next run starts it"


def _check_cluster(address: str) -> str:
    from anabranch.run.server import find_server, prefect_environment

    if server := find_server():
        os.environ.update(prefect_environment(server.url))  # before anything imports Prefect
    from anabranch.run.cluster import connected, silent_workers, unfit_software, unreached

    with connected(address) as client:
        for check in (silent_workers, unfit_software, *((unreached,) if server else ())):
            for unfit in check(client, list(client.nthreads())).values():
                raise unfit
        return f"{many(len(client.nthreads()), 'worker')} with {many(sum(client.nthreads().values()), 'thread')}"
