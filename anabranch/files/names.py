"""Names of columns: each once."""

from collections import Counter
from collections.abc import Sequence
from itertools import count
from typing import Literal

from anabranch.errors import SourceError


def unique_names(names: Sequence[str], on_duplicate: Literal["fail", "rename"]) -> tuple[str, ...]:
    """Give each column a name of its own: a repeated one is a SourceError or gets _1, _2, …; an empty one its place."""
    named = [name or f"column_{place}" for place, name in enumerate(names, 1)]
    repeated = [name for name, times in Counter(named).items() if times > 1]
    if repeated and on_duplicate == "fail":
        raise SourceError(
            "duplicate-columns",
            f"several columns are called {repeated[0]!r}",
            "Rename them in the source, or use --duplicate-columns rename.",
            item=repeated[0],
        )
    taken, unique = set(named), dict[str, None]()
    for name in named:
        numbered = (f"{name}_{number}" for number in count(1))
        new = name if name not in unique else next(other for other in numbered if other not in taken)
        taken.add(new)
        unique[new] = None
    return tuple(unique)
