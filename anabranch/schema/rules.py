"""How values become types; nothing here knows a file."""

from dataclasses import dataclass
from typing import Literal

OnConflict = Literal["fail", "widen", "string"]
Manner = Literal["strict", "wide", "given"]  # how strictly a cell is read, see `narrowing`


@dataclass(frozen=True, slots=True)
class Rules:
    """What may become of a column whose values are of several types."""

    on_conflict: OnConflict = "fail"
    manner: Manner = "strict"  # of the columns whose types the user did not name
    sampled: bool = False  # the types come from a sample, and later values must fit them
    fixed: bool = False  # the user named the schema, and no column grows
