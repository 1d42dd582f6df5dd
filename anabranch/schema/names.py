"""Names of columns: each once."""

from collections.abc import Container, Sequence
from itertools import chain, count

from anabranch.core.errors import SourceError


def unique_names(names: Sequence[str], *, rename: bool) -> tuple[tuple[str, ...], list[str]]:
    """Give each column a name of its own, and tell which had none: those are named by their place.

    A repeated name gets a number, where that is allowed, or is a SourceError.
    """
    taken, unique, warnings = set(names), dict[str, None](), []
    for place, name in enumerate(names, 1):
        if name in unique and not rename:
            raise SourceError(
                "duplicate-columns",
                f"two columns are called {name!r}",
                "Rename one, or number them with --duplicate-columns rename.",
                item=name,
            )
        chosen = name if name and name not in unique else _free(name or f"column{place}", taken)
        taken.add(chosen)
        unique[chosen] = None
        if not name:
            warnings.append(f"column {place} has no name; it is called {chosen!r}")
    return tuple(unique), warnings


def _free(name: str, taken: Container[str]) -> str:
    return next(free for free in chain([name], (f"{name}_{number}" for number in count(2))) if free not in taken)
