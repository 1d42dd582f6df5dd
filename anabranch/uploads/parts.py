"""Into which parts a file is cut."""

import math
from collections.abc import Iterator

from anabranch.core.errors import UsageError
from anabranch.uploads.stores.base import Limits

MIB = 1 << 20
SMALLEST = 16 * MIB  # a part, unless the user chooses another size; smaller files are put whole
MOST = 9_000  # parts of a file, where a store takes 10,000: room for a file that grew since


def part_size(size: int, limits: Limits, chosen: int | None = None) -> int:
    """Return the bytes of each part but the last; UsageError "part-size" where the store would refuse the parts."""
    part = chosen or max(SMALLEST, math.ceil(size / MOST / MIB) * MIB, -(-limits.smallest_part // MIB) * MIB)
    reason = ""
    if part % limits.quantum:
        reason = f"parts of {part:,} bytes are not a multiple of {limits.quantum:,} bytes"
    elif size > limits.largest_object:
        reason = f"the file has {size:,} bytes, and the store takes {limits.largest_object:,}"
    elif size > part and not limits.smallest_part <= part <= limits.largest_part:
        reason = f"parts of {part:,} bytes are not between {limits.smallest_part:,} and {limits.largest_part:,} bytes"
    elif -(-size // part) > limits.most_parts:
        reason = f"{-(-size // part):,} parts of {part:,} bytes are needed, and the store takes {limits.most_parts:,}"
    if reason:
        raise UsageError("part-size", reason, "Choose another --part-size.")
    return part


def is_small(size: int, part: int) -> bool:
    """Whether a file is put whole: below one part, and below what a single request should carry."""
    return size < min(part, SMALLEST)


def ranges(size: int, part: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, offset and length of each part."""
    for number, offset in enumerate(range(0, size, part), 1):
        yield number, offset, min(part, size - offset)


def likely_sizes(size: int) -> list[int]:
    """List the part sizes by which the file may have been sent: ours, and those of well-known tools."""
    ours = max(SMALLEST, math.ceil(size / MOST / MIB) * MIB)
    return [ours, *(number * MIB for number in (8, 5, 16, 32, 50, 64, 10, 100, 128))]
