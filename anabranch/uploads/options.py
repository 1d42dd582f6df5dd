"""What a user may choose for uploads: the form, the command's options and the reference come from here."""

import getpass
import os
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator

from anabranch.core.config import RunOptions
from anabranch.core.environment import number_set
from anabranch.core.forms import Group, Grouped
from anabranch.core.sizes import size_in_bytes
from anabranch.uploads.presets import PRESETS, Name

IfExists = Literal["skip-same", "skip", "overwrite", "fail"]
Mode = Literal["parallel", "sequential"]
OnCancel = Literal["keep", "abort"]

MIB = 1 << 20
AUTO_FIRST, AUTO_MOST = 8, 32  # parts in flight that follow what is measured


def os_user() -> str:
    """Return the name of the user who runs this process, or its number where the system knows no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


class UploadOptions(Grouped):
    """How files are uploaded."""

    groups = {
        "login": Group(
            "The destination and the login",
            "Where credentials and keys are; never the secrets themselves.",
            ("endpoint", "credentials", "host_key", "key_file"),
        ),
        "limits": Group(
            "Parts and limits",
            "How much is sent at the same time.",
            ("part_size", "preset", "parts_in_flight", "requests_per_minute", "user", "max_memory"),
        ),
        "care": Group(
            "Rare cases",
            "What was sent is verified, and resumed, without these.",
            ("verify", "discard_uncommitted", "on_cancel"),
        ),
    }

    model_config = ConfigDict(extra="forbid")

    endpoint: Annotated[
        str | None,
        Field(
            pattern=r"^https?://[^@\s]+$",
            description="Address of a server that is not Amazon's, Microsoft's or Google's own, such as "
            "https://s3.example.org. Default: as the destination's tools are configured.",
        ),
    ] = None
    credentials: Annotated[
        str | None,
        Field(
            pattern=r"^((profile|env):[A-Za-z0-9_.-]+|[a-z0-9-]+)$",
            description="Where the credentials are: the name of a block in Prefect for the kind of destination; "
            "profile:NAME of the AWS settings; or env:PREFIX for variables such as PREFIX_ACCESS_KEY_ID and "
            "PREFIX_SECRET_ACCESS_KEY. Never the secrets themselves. Default: as the destination's tools find them.",
        ),
    ] = None
    part_size: Annotated[
        str | None,
        Field(
            description="Size of a part, such as 64MiB. Default: 16 MiB, or more for files above 140 GiB; for further "
            "files of a run 8 to 128 MiB, as its connections are quick."
        ),
    ] = None
    preset: Annotated[
        Name | None,
        Field(
            description="Limits that fit together: conservative (15 files of all runs at the same time, 6 of each "
            "user, 70% of the memory), balanced (20, 8, 80%, parts in flight auto) or aggressive (30, 12, 85%, auto). "
            "A limit that is set by itself wins. Default: 20, 3, 80%."
        ),
    ] = Field(default_factory=lambda: os.environ.get("ANABRANCH_UPLOADS_PRESET") or None, validate_default=True)
    parts_in_flight: Annotated[
        Annotated[int, Field(ge=1, le=256)] | Literal["auto"] | None,
        Field(
            description="Parts that each worker process sends at the same time: a number, or auto, which begins with 8 "
            "and takes more, 32 at most, while that is quicker, and fewer when the destination is overloaded. "
            "Default: 8, or that of the preset."
        ),
    ] = Field(default_factory=lambda: os.environ.get("ANABRANCH_PARTS_IN_FLIGHT") or None, validate_default=True)
    requests_per_minute: Annotated[
        int | None,
        Field(ge=1, description="Requests to Google Drive that each process sends in a minute. Default: no limit."),
    ] = None
    host_key: Annotated[
        str | None,
        Field(
            pattern=r"^SHA256:[A-Za-z0-9+/]{43}=?$",
            description="Fingerprint of an SFTP server's key, SHA256:…; default: the keys in known_hosts count.",
        ),
    ] = None
    key_file: Annotated[
        str | None,
        Field(description="Private key for SFTP. Default: ~/.ssh/id_*, the agent, then $SFTP_PASSWORD."),
    ] = None
    verify: Annotated[
        bool,
        Field(description="Read back what was sent by SFTP, and compare it. Other destinations verify every part."),
    ] = False
    discard_uncommitted: Annotated[
        bool,
        Field(
            description="Drop blocks that another program left in Azure under the name of a file, and that block it."
        ),
    ] = False
    user: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=64,
            description="Whose uploads these are, for the limit of each user. Default: the user of the system.",
        ),
    ] = None
    max_memory: Annotated[
        str | None,
        Field(
            pattern=r"^[1-9]\d?%$|^100%$",
            description="Share of the memory in use above which no further file is started. Default: 80%, or that of "
            "the preset.",
        ),
    ] = Field(default_factory=lambda: os.environ.get("ANABRANCH_MAX_MEMORY") or None, validate_default=True)
    if_exists: Annotated[
        IfExists,
        Field(description="What to do if the object exists; skip-same replaces only objects with other bytes."),
    ] = "skip-same"
    mode: Annotated[
        Mode,
        Field(
            description="Whether parts are sent at the same time or one after another; the objects are equal. To "
            "Google Cloud, sequential speaks the protocol of sessions."
        ),
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

    @property
    def places(self) -> tuple[tuple[str, str, int, bool], ...]:
        """The limits on files at the same time, in the order in which places are taken.

        Each is its name, whose it is, the number, and whether that was chosen, so that it replaces the server's.
        """
        chosen = PRESETS[self.preset]
        return (
            ("uploads-user", self.user or os_user(), *self._places("ANABRANCH_UPLOADS_PER_USER", chosen.per_user)),
            ("uploads", "", *self._places("ANABRANCH_UPLOADS", chosen.uploads)),
        )

    def _places(self, variable: str, number: int) -> tuple[int, bool]:
        chosen = number_set(variable)
        return chosen or number, chosen is not None or self.preset is not None

    @property
    def max_memory_percent(self) -> float:
        """The share of the memory in use above which no further file is begun, in percent."""
        return float((self.max_memory or f"{PRESETS[self.preset].memory_percent}%").rstrip("%"))

    @property
    def in_flight(self) -> tuple[int, int]:
        """How many parts one process sends at the same time, at first and at most."""
        if self.mode == "sequential":
            return 1, 1
        chosen = self.parts_in_flight or PRESETS[self.preset].parts_in_flight
        return (AUTO_FIRST, AUTO_MOST) if chosen == "auto" else (chosen, chosen)

    def carried_out(self, run: RunOptions) -> RunOptions:
        """Return how the run is carried out: by threads, since they wait.

        Parts that are sent one after another stay in this process.
        """
        if self.mode == "sequential":
            return run.model_copy(update={"workers": 1, "cluster": None})
        return run.model_copy(update={"workers": run.workers or self.threads})

    @property
    def threads(self) -> int:
        """One for each part in flight, and some that sum the next parts meanwhile."""
        _, most = self.in_flight
        return most + -(-most // 4)
