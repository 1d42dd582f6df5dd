"""What a user may choose for the logs workload: the form, the command's options and the reference come from here."""

from datetime import datetime, tzinfo
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from anabranch.core.config import Words
from anabranch.core.forms import ZONES, Grouped
from anabranch.logs.modes import CHARTED
from anabranch.logs.timestamps import Clock, parse_bound
from anabranch.logs.zones import zone_of
from anabranch.sources.bounds import MaxUnpacked

Mode = Literal["known", "sessions", "bw", "md", "grading", "memory"]


class LogOptions(Grouped):
    """Which reports to make, in which time zone, and for which time."""

    model_config = ConfigDict(extra="forbid")

    mode: Annotated[
        Words[Mode],
        Field(min_length=1, description="Reports to make; all of them come from one reading of the logs."),
    ] = ["known"]
    timezone: Annotated[
        str,
        Field(description="Time zone of the times in the reports, such as US/Eastern.", json_schema_extra=ZONES),
    ] = "UTC"
    begin: Annotated[
        str | None,
        Field(description="Leave out lines before this time; without an offset it is taken in the time zone chosen."),
    ] = None
    end: Annotated[
        str | None,
        Field(description="Leave out lines after this time; a date alone means the midnight at which it starts."),
    ] = None
    charts: Annotated[
        bool,
        Field(
            description="Also write a chart beside each report of the modes bw, md, memory and sessions: an SVG file. "
            "The run's page has them anyway."
        ),
    ] = False
    codecs: Annotated[
        Literal["gzip", "all"],
        Field(
            description="Which compressed logs are read: those that gzip knows, as the one-core parser does, or all: "
            "bz2, xz, zst and lz4, too."
        ),
    ] = "gzip"
    new_only: Annotated[
        bool,
        Field(description="Leave out archives whose reports are as an earlier run with these options left them."),
    ] = False
    max_unpacked: MaxUnpacked = None

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        zone_of(name)
        return name

    @model_validator(mode="after")
    def _range_in_order(self) -> "LogOptions":
        clock = self.clock()
        if clock.begin and clock.end and clock.begin > clock.end:
            raise ValueError("begin is later than end")
        if self.charts and not set(self.mode) & CHARTED.keys():
            raise ValueError(f"charts are drawn of {', '.join(CHARTED)}, and none of these is among the modes")
        return self

    def clock(self) -> Clock:
        """Resolve zone and range."""
        zone = zone_of(self.timezone)
        return Clock(self.timezone, _bound("begin", self.begin, zone), _bound("end", self.end, zone))


def _bound(name: str, text: str | None, zone: tzinfo) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_bound(text, zone)
    except ValueError as error:
        raise ValueError(f"the {name} {text!r} is not a date and time; write it like 2025-09-26 10:00") from error
