"""The mapped step of upload_files."""

from functools import partial
from typing import Any

from prefect import task
from prefect.client.schemas.objects import State

from anabranch.core.errors import AnabranchError
from anabranch.run.blocks import (
    AzureCredentials,
    GoogleCloudCredentials,
    GoogleDriveCredentials,
    S3Credentials,
    SftpCredentials,
    loaded,
    text_of,
)
from anabranch.run.mapping import Done, Tasks, carry_out, is_temporary
from anabranch.uploads.pieces import SendPart
from anabranch.uploads.stores.secrets import Secrets
from anabranch.uploads.verifying import verify
from anabranch.uploads.work import work
from tasks.policy import RETRIED


def unlock(kind: str, name: str) -> Secrets:
    """Take what a block holds, where the part runs."""
    if kind == "gdrive":
        google = loaded(GoogleDriveCredentials, name)
        return Secrets(access_token=text_of(google.access_token), service_account=text_of(google.service_account))
    if kind == "gs":
        cloud = loaded(GoogleCloudCredentials, name)
        return Secrets(
            text_of(cloud.access_key_id),
            text_of(cloud.secret_access_key),
            access_token=text_of(cloud.access_token),
            service_account=text_of(cloud.service_account),
        )
    if kind == "az":
        azure = loaded(AzureCredentials, name)
        return Secrets(
            connection_string=text_of(azure.connection_string),
            account_name=azure.account_name or "",
            account_key=text_of(azure.account_key),
            sas_token=text_of(azure.sas_token),
        )
    if kind == "sftp":
        login = loaded(SftpCredentials, name)
        return Secrets(
            user=login.user or "",
            password=text_of(login.password),
            private_key=text_of(login.private_key),
            passphrase=text_of(login.passphrase),
        )
    s3 = loaded(S3Credentials, name)
    return Secrets(
        s3.access_key_id.get_secret_value(),
        s3.secret_access_key.get_secret_value(),
        text_of(s3.session_token),
        text_of(s3.region),
    )


def may_pass(given: Any, task_run: Any, state: State[Any]) -> bool:
    """Whether to try again: the part itself has tried for minutes what a busy destination may still take."""
    error = state.result(raise_on_failure=False)
    return is_temporary(given, task_run, state) and not isinstance(error, AnabranchError)


@task(name="send", task_run_name="send {part.label}", **{**RETRIED, "retry_condition_fn": may_pass})
def send_part(part: SendPart) -> Done:
    """Send one part of a big file, or some small files."""
    return carry_out(partial(work, unlock=unlock), part)


TASKS: Tasks = {work: send_part}

verify_objects = partial(verify, unlock=unlock)
