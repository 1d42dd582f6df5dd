"""Secrets that Prefect keeps: options hold the name of a block, and its value is read where it is used."""

from typing import Any, TypeVar, cast

from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from pydantic import Field, SecretStr

from anabranch.core.errors import SetupError

B = TypeVar("B", bound=Block)


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


class S3Credentials(Block):
    """Keys of an S3 server; options name it as `--credentials NAME`."""

    _block_type_name = "S3 Credentials"
    _block_type_slug = "s3-credentials"

    access_key_id: SecretStr = Field(description="Id of the access key.")
    secret_access_key: SecretStr = Field(description="Secret of the access key.")
    session_token: SecretStr | None = Field(default=None, description="Token of a session, for keys that end.")
    region: SecretStr | None = Field(default=None, description="Region of the bucket; default: us-east-1.")


class GoogleCloudCredentials(Block):
    """Access to buckets of Google Cloud Storage; options name it as `--credentials NAME`.

    A service account, a token, or the two parts of an HMAC key, which gives access to uploads in parts only.
    """

    _block_type_name = "Google Cloud Credentials"
    _block_type_slug = "google-cloud-storage-credentials"

    service_account: SecretStr | None = Field(default=None, description="Text of the key file of a service account.")
    access_token: SecretStr | None = Field(default=None, description="Access token, which ends after an hour.")
    access_key_id: SecretStr | None = Field(default=None, description="Access id of an HMAC key.")
    secret_access_key: SecretStr | None = Field(default=None, description="Secret of that key.")


class GoogleDriveCredentials(Block):
    """Access to a folder of Google Drive; options name it as `--credentials NAME`. One of the two is enough."""

    _block_type_name = "Google Drive Credentials"
    _block_type_slug = "google-drive-credentials"

    service_account: SecretStr | None = Field(default=None, description="Text of the key file of a service account.")
    access_token: SecretStr | None = Field(default=None, description="Access token, which ends after an hour.")


class AzureCredentials(Block):
    """Access to an Azure storage account; options name it as `--credentials NAME`.

    A connection string, or the account's name and its key or a shared access signature.
    """

    _block_type_name = "Azure Credentials"
    _block_type_slug = "azure-storage-credentials"

    connection_string: SecretStr | None = Field(default=None, description="Connection string, as the portal shows it.")
    account_name: str | None = Field(default=None, description="Name of the account.")
    account_key: SecretStr | None = Field(default=None, description="Key of the account.")
    sas_token: SecretStr | None = Field(default=None, description="Shared access signature with the rights rwdlc.")


def text_of(value: SecretStr | None) -> str:
    """Return the text of a secret; nothing where there is none."""
    return value.get_secret_value() if value else ""


def loaded(kind: type[B], name: str) -> B:
    """Load a block of that type by its name. Raises SetupError where there is none, or it cannot be read."""
    try:
        found = cast("Any", kind.load)(name, _sync=True)
    except Exception as error:  # noqa: BLE001  Prefect raises ValueError, httpx errors and others
        raise SetupError(
            "credentials-unknown",
            f"the block {kind._block_type_name} {name!r} cannot be loaded: {type(error).__name__}",  # noqa: SLF001
            "Register its type with `prefect block register -m anabranch.run.blocks`, and make one under Blocks in the "
            "UI, or correct --credentials.",
            name,
        ) from None
    if not isinstance(found, kind):
        raise SetupError("credentials-unknown", "the block is of another type", "Correct --credentials.", name)
    return found
