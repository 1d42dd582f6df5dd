"""Durations as text: hours, minutes and seconds, such as 36:00:00 or -00:00:00.25."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}  # after the point


def spelled(durations: Any) -> pa.Array:
    """Write an array of durations as text, exactly; hours have two digits or more, seconds as many as are needed."""
    array = durations.combine_chunks() if isinstance(durations, pa.ChunkedArray) else durations
    digits = _DIGITS[array.type.unit]
    numbers = pc.fill_null(array.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    magnitude = np.abs(numbers).view(np.uint64)  # also right for the least of all, which has no positive counterpart
    seconds, fraction = np.divmod(magnitude, np.uint64(10**digits))
    minutes, seconds = np.divmod(seconds, np.uint64(60))
    hours, minutes = np.divmod(minutes, np.uint64(60))
    clock = pc.binary_join_element_wise(*(_padded(part, 2) for part in (hours, minutes, seconds)), ":")
    after = pc.utf8_rtrim(_padded(fraction, digits), "0") if digits else pa.array([""] * len(array), pa.string())
    point = pc.if_else(pc.equal(pc.binary_length(after), 0), "", ".")
    sign = pc.if_else(pa.array(numbers < 0), "-", "")
    return pc.if_else(array.is_valid(), pc.binary_join_element_wise(sign, clock, point, after, ""), None)


def _padded(numbers: Any, width: int) -> pa.Array:
    return pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width, "0")
