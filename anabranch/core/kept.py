"""What the parts of a run share: saved once as a file in the work folder, and read once by each process."""

import pickle
from functools import lru_cache
from pathlib import Path
from typing import Any

from anabranch.core.storage import published


def keep(value: object, path: Path) -> None:
    """Save a value under a name that must tell its content, see `kept`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with published(path, durable=False) as file:
        pickle.dump(value, file)


@lru_cache(maxsize=4)
def kept(path: str) -> Any:
    """Return what was saved there: the same object each time, whatever the file holds by now."""
    with Path(path).open("rb") as file:
        return pickle.load(file)  # noqa: S301  ours, like Prefect's results beside it
