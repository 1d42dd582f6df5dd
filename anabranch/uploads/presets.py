"""Sets of limits that fit together, for a busy machine, a usual one and a strong one."""

from dataclasses import dataclass
from typing import Literal

Name = Literal["conservative", "balanced", "aggressive"]


@dataclass(frozen=True, slots=True)
class Preset:
    """What holds where nothing else is chosen."""

    uploads: int = 20  # files at the same time, of all runs that share a server
    per_user: int = 3
    memory_percent: int = 80  # in use, above which no file is begun
    parts_in_flight: int | Literal["auto"] = 8  # of each worker process


PRESETS: dict[Name | None, Preset] = {
    None: Preset(),
    "conservative": Preset(15, 6, 70),
    "balanced": Preset(20, 8, 80, "auto"),
    "aggressive": Preset(30, 12, 85, "auto"),
}
