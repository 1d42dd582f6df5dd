"""What a user may choose for the photos workload: the form, the command's options and the reference come from here."""

import re
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator

from anabranch.core.config import Words
from anabranch.core.forms import Group, Grouped

PATH_PATTERN = (
    r"(?:^|/)homes/(?P<pilot>[^/]+)(?:/(?:.*?(?<!\d))?(?P<site>\d{8,10})(?!\d)(?:-(?P<date>\d{2}-\d{2}-\d{4}))?)?"
)
PATH_GROUPS = {"site", "date", "pilot"}


class PhotoOptions(Grouped):
    """Which photos to read, how, and how to log in where they are."""

    groups = {
        "login": Group(
            "The login", "How to log in to an SFTP server.", ("host_key", "key_file", "credentials", "connections")
        ),
        "reading": Group(
            "Which photos, and how they are read",
            "How far and how long is looked.",
            ("depth", "most_photos", "thin", "photo_timeout", "path_pattern"),
        ),
        "drawing": Group(
            "Bounds and pictures",
            "Which positions count for the bounds of a site, and how flight paths are drawn.",
            ("left_out", "outlier_factor", "outlier_metres", "heights", "colours"),
        ),
    }

    model_config = ConfigDict(extra="forbid")

    further_outputs: Annotated[
        list[str], Field(description="Further files for the same positions, each in the format of its ending.")
    ] = []
    all_files: Annotated[bool, Field(description="Look into every file, whatever its name.")] = False
    depth: Annotated[int, Field(ge=0, le=100, description="Folders below the named one that are looked into.")] = 20
    most_photos: Annotated[int, Field(ge=1, description="Photos above which the run ends before it reads any.")] = (
        1_000_000
    )
    thin: Annotated[
        bool, Field(description="Read 4 KB of each photo at first, not 16: for thin links; some need one read more.")
    ] = False
    assume: Annotated[
        Literal["NE", "NW", "SE", "SW"] | None,
        Field(description="Hemispheres of photos that do not name theirs; without it they are invalid."),
    ] = None
    path_pattern: Annotated[
        str,
        Field(description="Regular expression for site, date and pilot in a photo's path, as groups of these names."),
    ] = PATH_PATTERN
    host_key: Annotated[
        str | None,
        Field(
            pattern=r"^SHA256:[A-Za-z0-9+/]{43}=?$",
            description="Fingerprint of the server's key, SHA256:…; default: the keys in known_hosts count.",
        ),
    ] = None
    key_file: Annotated[
        str | None,
        Field(description="Private key for the login. Default: ~/.ssh/id_*, the agent, then $SFTP_PASSWORD."),
    ] = None
    credentials: Annotated[
        str | None,
        Field(pattern=r"^[a-z0-9-]+$", description="Name of a block SFTP Credentials in Prefect, for the login."),
    ] = None
    connections: Annotated[
        int | None,
        Field(
            ge=1,
            le=64,
            description="Connections to a server. Default: 1 to 4, by its round trip and the number of photos.",
        ),
    ] = None
    photo_timeout: Annotated[
        float, Field(gt=0, description="Seconds without a reply after which a photo is given up, and the rest goes on.")
    ] = 30.0

    left_out: Annotated[
        Words[str],
        Field(description="Words in the names of folders whose photos count for no bounds, and are not drawn."),
    ] = ["civil", "road"]
    outlier_factor: Annotated[
        float,
        Field(gt=0, description="A position is an outlier this many times the quartiles' distance beyond them."),
    ] = 4.0
    outlier_metres: Annotated[
        float, Field(gt=0, description="What the quartiles' distance is at least, so that a straight line has none.")
    ] = 50.0
    heights: Annotated[
        Literal["auto", "sea", "takeoff"],
        Field(description="Heights that are drawn; auto: above take-off where most photos of a site have that."),
    ] = "auto"
    colours: Annotated[
        dict[str, str],
        Field(description="Colours of folders by a word in their names, WORD=#RRGGBB,…; others keep theirs."),
    ] = {}

    @field_validator("colours", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = (pair.partition("=") for pair in value.split(",") if pair.strip())
        return {word.strip(): colour.strip() for word, _, colour in pairs}

    @field_validator("colours")
    @classmethod
    def _are_colours(cls, colours: dict[str, str]) -> dict[str, str]:
        for word, colour in colours.items():
            if not word or not re.fullmatch(r"#[0-9A-Fa-f]{6}", colour):
                raise ValueError(f"write WORD=#RRGGBB, not {word}={colour}")
        return colours

    @field_validator("path_pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            groups = set(re.compile(pattern).groupindex)
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
        if not groups <= PATH_GROUPS:
            raise ValueError(f"{pattern!r} has groups of other names than site, date and pilot")
        return pattern
