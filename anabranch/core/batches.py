"""How much goes into one part: enough to be worth a task, little enough to keep every core busy."""

import math
from collections.abc import Sequence

SECONDS_PER_PART = 3.0  # a task costs about 15 ms, so 3 s of work makes that half a percent
SMALLEST_PART = 0.3  # seconds; with less work per part, fewer parts
WAVES = 4  # parts per worker thread, so that the wait for the last one is short
MOST_PARTS = 200  # per run; above it the run's page becomes unreadable


def part_count(seconds: float, threads: int) -> int:
    """Return the number of parts into which to split `seconds` of one core's work for that many worker threads."""
    if seconds < SMALLEST_PART * threads * 3:
        return max(1, math.ceil(seconds / SMALLEST_PART))
    return min(max(math.ceil(seconds / SECONDS_PER_PART), WAVES * threads), MOST_PARTS)


def contiguous(costs: Sequence[float], count: int) -> list[range]:
    """Split into at most `count` contiguous runs, minimising the cost of the most expensive one."""
    if not costs:
        return []
    low, high = max(costs), sum(costs)
    for _ in range(50):  # halve the interval until a smaller limit would need one more run
        limit = (low + high) / 2
        low, high = (low, limit) if len(_runs(costs, limit)) <= count else (limit, high)
    return _runs(costs, high)


def joined(blocks: Sequence[range], count: int) -> list[range]:
    """Join adjacent ranges to at most `count` of similar length; no ranges give one that means the whole file."""
    runs = contiguous([len(block) for block in blocks], count)
    return [range(blocks[run.start].start, blocks[run.stop - 1].stop) for run in runs] or [range(0)]


def _runs(costs: Sequence[float], limit: float) -> list[range]:
    runs, start, total = [], 0, 0.0
    for i, cost in enumerate(costs):
        if i > start and total + cost > limit:
            runs.append(range(start, i))
            start, total = i, 0.0
        total += cost
    return [*runs, range(start, len(costs))]
