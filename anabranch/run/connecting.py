"""Reach a standing cluster's scheduler, or say within seconds that nobody does."""

import asyncio

from distributed import Security
from distributed.comm.core import connect
from prefect.utilities.asyncutils import run_coro_as_sync

from anabranch.errors import SetupError

CONNECT_SECONDS = 8


def require_scheduler(address: str, security: Security | None = None, seconds: float = CONNECT_SECONDS) -> None:
    """Raise SetupError "cluster-unreachable" unless a Dask scheduler answers at `address` within that time.

    Dask's own client sets no limit to its handshake, so it would wait for ever on a port where somebody else listens.
    """
    try:
        run_coro_as_sync(asyncio.wait_for(_greet(address, security or Security(), seconds), seconds))
    except (OSError, ValueError, TimeoutError) as error:
        raise SetupError(
            "cluster-unreachable",
            f"no Dask scheduler answers at {address} ({str(error) or type(error).__name__})",
            "Start it, correct the address, or name no cluster to run on this machine.",
        ) from error


async def _greet(address: str, security: Security, seconds: float) -> None:
    comm = await connect(address, timeout=seconds, **security.get_connection_args("client"))
    await comm.close()
