"""Secrets that Prefect keeps: options hold the name of a block, and its value is read where it is used."""

from typing import Any, cast

from prefect.blocks.system import Secret

from anabranch.core.errors import SetupError


def secret(name: str) -> str:
    """Return the text of the Secret block of that name; SetupError where there is none, without any value."""
    try:
        block = cast("Any", Secret.load)(name, _sync=True)  # its types know of the asynchronous way only
    except ValueError:
        raise SetupError(
            "no-secret",
            f"the Prefect server has no Secret block named {name}",
            "Make it on the server's page Blocks, or name another one.",
            f"block:{name}",
        ) from None
    return str(block.get())
