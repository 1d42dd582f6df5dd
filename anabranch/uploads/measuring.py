"""What a run has measured of its own requests: how long parts should be, and what would have been quicker."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from anabranch.uploads.parts import MIB, MOST
from anabranch.uploads.pieces import Sent

SIZES = (8 * MIB, 16 * MIB, 32 * MIB, 64 * MIB, 128 * MIB)  # all of which `likely_sizes` names
PART_SECONDS = 2.0  # that a part should take
ROUNDS = 4  # of parts in flight that a file has at least, so that all connections end at about the same time
BETTER = 1.2  # times as quick, from which on it is worth a word


@dataclass(slots=True)
class _Requests:
    number: int = 0
    size: int = 0  # bytes of all
    seconds: float = 0.0  # of all

    @property
    def rate(self) -> float:
        """Bytes a second of one request."""
        return self.size / max(self.seconds, 1e-9)


class Measured:
    """The requests of a run that sent bytes, by the length of a part (0 of small files) and the number in flight."""

    def __init__(self) -> None:
        self._requests: dict[tuple[int, int], _Requests] = {}

    def add(self, sent: Iterable[Sent]) -> None:
        """Count what was sent."""
        for one in sent:
            if one.seconds:
                found = self._requests.setdefault((one.size if one.part else 0, one.in_flight), _Requests())
                found.number, found.size = found.number + 1, found.size + one.size
                found.seconds += one.seconds

    def part_size(self, size: int, usual: int, smallest: int, in_flight: int) -> int:
        """Return how long the parts of a file of that size should be: the usual length while nothing was measured.

        On quick connections they are longer, and on slow ones shorter, since a part that fails is sent again whole.
        """
        parts = [found for (length, _), found in tuple(self._requests.items()) if length]
        allowed = [length for length in SIZES if length >= smallest and -(-size // length) <= MOST]
        if not parts or not allowed:
            return usual
        rate = sum(found.size for found in parts) / max(sum(found.seconds for found in parts), 1e-9)
        if rate * PART_SECONDS < usual:
            return min(allowed[0], usual)
        return max(
            (
                length
                for length in allowed
                if usual < length <= rate * PART_SECONDS and length * ROUNDS * in_flight <= size
            ),
            default=usual,
        )

    def suggestions(self, first: int) -> Iterator[str]:
        """Say what was quicker than the number in flight at first, and than the length of most parts."""
        if not self._requests:
            return
        length, in_flight = max(self._requests, key=lambda key: self._requests[key].number)
        numbers = {
            number: found.rate * number
            for (size, number), found in self._requests.items()
            if size == length and found.number >= number
        }
        if (best := _better(numbers, first)) is not None:
            yield (
                f"With {best} parts in flight a worker process sent {numbers[best] / 1e6:.0f} MB/s, with {first} "
                f"{numbers[first] / 1e6:.0f} MB/s: `--parts-in-flight {best}` begins with so many."
            )
        lengths = {
            size: found.rate
            for (size, number), found in self._requests.items()
            if size in SIZES and number == in_flight and found.number >= ROUNDS
        }
        if (best := _better(lengths, length)) is not None:
            yield (
                f"A connection sent {lengths[best] / 1e6:.1f} MB/s in parts of {best // MIB} MiB, and "
                f"{lengths[length] / 1e6:.1f} MB/s in parts of {length // MIB} MiB: see `--part-size {best // MIB}MiB`."
            )


def _better(rates: dict[int, float], used: int) -> int | None:
    """Return what was the quickest, where it was clearly quicker than what was used."""
    if used not in rates:
        return None
    best = max(rates, key=lambda value: rates[value])
    return best if rates[best] >= BETTER * rates[used] else None
