"""What a user may choose for uploads: the form, the command's options and the reference come from here."""

import getpass
import os
import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from anabranch.core.config import RunOptions

IfExists = Literal["skip-same", "skip", "overwrite", "fail"]
Mode = Literal["parallel", "sequential"]
OnCancel = Literal["keep", "abort"]

MIB = 1 << 20
_UNITS = {"": 1, "KIB": 1 << 10, "MIB": MIB, "GIB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMG]i?B)?", re.IGNORECASE)


def size_in_bytes(text: str) -> int:
    """Return the bytes that a size such as `64MiB`, `8 MB` or `5242880` means; ValueError where it is not a size."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a size; write it as 64MiB")
    return int(float(match[1]) * _UNITS[(match[2] or "").upper()])


def os_user() -> str:
    """Return the name of the user who runs this process, or its number where the system knows no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


class UploadOptions(BaseModel):
    """How files are uploaded."""

    model_config = ConfigDict(extra="forbid")

    endpoint: Annotated[
        str | None,
        Field(
            pattern=r"^https?://[^@\s]+$",
            description="Address of an S3 server that is not Amazon's, such as https://s3.example.org. "
            "Default: as boto3 is configured.",
        ),
    ] = None
    credentials: Annotated[
        str | None,
        Field(
            pattern=r"^(profile|env):[A-Za-z0-9_.-]+$",
            description="Where the credentials are: profile:NAME of the AWS settings, or env:PREFIX for the variables "
            "PREFIX_ACCESS_KEY_ID and PREFIX_SECRET_ACCESS_KEY. Never the secrets themselves. Default: as boto3 finds.",
        ),
    ] = None
    part_size: Annotated[
        str | None,
        Field(description="Size of a part, such as 64MiB. Default: 16 MiB, or more for files above 140 GiB."),
    ] = None
    parts_in_flight: Annotated[int, Field(ge=1, le=256, description="Parts that are sent at the same time.")] = 8
    if_exists: Annotated[
        IfExists,
        Field(description="What to do where the object exists; skip-same replaces only what has other bytes."),
    ] = "skip-same"
    mode: Annotated[
        Mode, Field(description="Whether parts are sent at the same time or one after another; the objects are equal.")
    ] = "parallel"
    on_cancel: Annotated[
        OnCancel, Field(description="Whether a cancelled run keeps its unfinished uploads for the next one.")
    ] = "keep"

    @field_validator("part_size")
    @classmethod
    def _a_size(cls, text: str | None) -> str | None:
        if text is not None:
            size_in_bytes(text)
        return text

    @property
    def part_bytes(self) -> int | None:
        """The chosen size of a part in bytes, if any."""
        return None if self.part_size is None else size_in_bytes(self.part_size)

    def carried_out(self, run: RunOptions) -> RunOptions:
        """Return how the run is carried out: by as many threads as there are parts in flight, since they wait.

        Parts that are sent one after another stay in this process.
        """
        if self.mode == "sequential":
            return run.model_copy(update={"workers": 1, "cluster": None})
        return run.model_copy(update={"workers": run.workers or self.parts_in_flight})
