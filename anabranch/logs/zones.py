"""Time zones by name, from the packaged database: a zone means the same on every machine of a run."""

from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


@lru_cache
def zone_of(name: str) -> ZoneInfo:
    """Return a zone of the package tzdata, or else of the system.

    Raises ValueError where there is no zone of that name.
    """
    try:
        system = ZoneInfo(name)  # checks that the name leads to no other folder
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise ValueError(f"there is no time zone {name!r}; use a name such as UTC or US/Eastern") from error
    try:
        with files("tzdata").joinpath("zoneinfo", name).open("rb") as file:
            return ZoneInfo.from_file(file, name)
    except (ValueError, OSError):
        return system


def rules_of(name: str) -> bytes | str:
    """Return what decides the local times of a zone: an update of the package changes them."""
    try:
        return files("tzdata").joinpath("zoneinfo", name).read_bytes()
    except OSError:
        return name
