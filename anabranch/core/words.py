"""Words that several columns say alike: how many there are of a thing, and why nothing was found."""

from collections import Counter

_FEW = 3  # names that are shown for one reason


def many(number: int, thing: str) -> str:
    """Write a number of things, such as `1 row` and `2,000 rows`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


class PassedOver:
    """What lies at a place that was named and was not taken: the names for each reason."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}  # the first ones
        self._counts = Counter[str]()

    def __len__(self) -> int:
        return self._counts.total()

    def add(self, reason: str, name: str) -> None:
        """Note one that was not taken, as what it was passed over."""
        self._counts[reason] += 1
        names = self._names.setdefault(reason, [])
        if len(names) < _FEW:
            names.append(name)

    def nothing_in(self, place: str, *, whole: bool = True) -> str:
        """Return that nothing was found there, and why; not `whole` where the place was not looked at to its end."""
        told = [f"as {reason}: {self._some(reason)}" for reason in self._names]
        why = f"; passed over {', '.join(told)}" if told else ": no file is there"
        return f"nothing was found in {place}{why}{'' if whole else '; more files were not looked at'}"

    def _some(self, reason: str) -> str:
        left = self._counts[reason] - _FEW
        return ", ".join(self._names[reason]) + (f" and {left:,} more" if left > 0 else "")
