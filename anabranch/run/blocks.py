"""Secrets that Prefect keeps: options hold the name of a block, and its value is read where it is used."""

from typing import Any, cast

from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from pydantic import Field, SecretStr

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


class SftpCredentials(Block):
    """How to log in to an SFTP server; options name it as `--credentials NAME`."""

    _block_type_name = "SFTP Credentials"
    _block_type_slug = "sftp-credentials"

    user: str | None = Field(default=None, description="Account; default: the one in the URL.")
    password: SecretStr | None = Field(default=None, description="Password of the account.")
    private_key: SecretStr | None = Field(default=None, description="Text of a private key.")
    passphrase: SecretStr | None = Field(default=None, description="Passphrase of that key.")


def sftp_credentials(name: str) -> SftpCredentials:
    """Load a block by its name. Raises SetupError where there is none, or it cannot be read."""
    try:
        found = cast("Any", SftpCredentials.load)(name, _sync=True)
    except Exception as error:  # noqa: BLE001  Prefect raises ValueError, httpx errors and others
        raise SetupError(
            "credentials-unknown",
            f"the block SFTP Credentials {name!r} cannot be loaded: {type(error).__name__}",
            "Register its type with `prefect block register -m anabranch.run.blocks`, and make one under Blocks in the "
            "UI, or correct --credentials.",
            name,
        ) from None
    if not isinstance(found, SftpCredentials):
        raise SetupError("credentials-unknown", "the block is of another type", "Correct --credentials.", name)
    return found
