"""Names of columns: each once."""

from collections.abc import Sequence
from itertools import count

from anabranch.errors import SourceError


def unique_names(names: Sequence[str], *, rename: bool) -> tuple[tuple[str, ...], list[str]]:
    """Give each column a name of its own, and tell which had none: those are named by their place.

    A repeated name gets a number, where that is allowed, or is a SourceError.
    """
    taken, unique, warnings = set(names), dict[str, None](), []
    for place, name in enumerate(names, 1):
        chosen = name
        if not name or name in unique:
            if name and not rename:
                raise SourceError(
                    "duplicate-columns",
                    f"two columns are called {name!r}",
                    "Rename one, or have them numbered with --duplicate-columns rename.",
                    item=name,
                )
            numbered = (f"{name}_{number}" if name else f"column{number}" for number in count(2 if name else place))
            chosen = next(other for other in numbered if other not in taken)
        if not name:
            warnings.append(f"column {place} has no name; it is called {chosen!r}")
        taken.add(chosen)
        unique[chosen] = None
    return tuple(unique), warnings
