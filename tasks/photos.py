"""The mapped step of extract_gps."""

from functools import partial

from prefect import task

from anabranch.photos.plan import PhotoPart
from anabranch.photos.work import work
from anabranch.run.blocks import SftpCredentials, loaded, text_of
from anabranch.run.mapping import Done, Tasks, carry_out
from anabranch.sftp.connecting import Credentials
from tasks.policy import RETRIED


def unlock(name: str) -> Credentials:
    """Take what a block holds, where the part runs."""
    block = loaded(SftpCredentials, name)
    return Credentials(block.user or "", text_of(block.password), text_of(block.private_key), text_of(block.passphrase))


@task(name="read", task_run_name="read {part.label}", **RETRIED)
def read_photos(part: PhotoPart) -> Done:
    """Read the metadata of some photos, over a connection that the worker keeps."""
    return carry_out(partial(work, unlock=unlock), part)


TASKS: Tasks = {work: read_photos}
