"""How the cells of a file are written, and what the coercion of a column returns."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
ISO = "%Y-%m-%d"
ISO_CLOCK = f"{ISO} %H:%M:%S"


@dataclass(frozen=True, slots=True)
class Notation:
    """How numbers, dates and times are written."""

    decimal: str = "."
    thousands: str = ""  # " " means the no-break spaces, too
    date_formats: tuple[str, ...] = ()  # of dates and timestamps; none: ISO
    zone: str | None = None  # of timestamps without one

    @property
    def plain(self) -> bool:
        """Whether numbers are written as in SQL."""
        return self.decimal == "." and not self.thousands


class Masked(NamedTuple):
    """The cells that have one fault."""

    mask: Mask
    code: str
    message: str


class Coerced(NamedTuple):
    """A column's values, null where a cell has a fault, and the faults; of two faults of a cell the first counts."""

    values: pa.Array
    faults: list[Masked]


def trimmed(cells: pa.StringArray) -> pa.StringArray:
    """Leave out the blanks around the cells."""
    return pc.utf8_trim_whitespace(cells)


def holds(cells: pa.StringArray, text: bytes) -> bool:
    """Whether the bytes are in the cells, or in what lies beside them: quick, and wrong on that side only."""
    data = cells.buffers()[2]
    return data is not None and text in bytes(data)


def as_mask(found: pa.Array) -> Mask:
    """Return booleans as a mask; null is False."""
    return np.asarray(pc.fill_null(found, fill_value=False), np.bool_)


def matches(cells: pa.StringArray, pattern: str) -> Mask:
    """Return which cells the whole pattern fits; RE2, so no cell takes long. Null fits none."""
    return as_mask(pc.match_substring_regex(cells, pattern=f"^(?:{pattern})$"))


def filled(cells: pa.StringArray) -> Mask:
    """Return which cells are not null."""
    return np.asarray(cells.is_valid())


def kept(cells: pa.StringArray, mask: Mask) -> pa.StringArray:
    """Return the cells with null where the mask is False."""
    return cells if mask.all() else pc.if_else(pa.array(mask), cells, pa.scalar(None, pa.string()))
