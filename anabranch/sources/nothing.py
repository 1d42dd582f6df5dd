"""Explain why a folder or a pattern gave no file: what is there, and why it was passed over."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from anabranch.core.storage import shown
from anabranch.core.words import PassedOver

HIDDEN, FOLDER, OURS, UNFIT = "hidden", "a folder", "an output of ours", "not fitting the pattern"
_MOST = 1000  # files that are looked at, since a pattern may begin in a big folder


def nothing_in(named: str, folder: Path, words: Sequence[str], kind: str, ours: Callable[[Path], bool]) -> str:
    """Return a sentence for an argument of which the pattern `words` gave no file below the folder.

    Files right in the folder had to be named as `kind`, unless that is empty; `ours` tells what runs left or make.
    """
    other = f"not named as {kind}" if kind else UNFIT
    passed, deep = PassedOver(), "**" in words
    for place, folders, files in os.walk(folder):
        below = Path(place).relative_to(folder)
        ends = not deep and len(below.parts) + 1 >= len(words)
        for name in sorted(folders):
            if name.startswith(".") or ends:
                passed.add(HIDDEN if name.startswith(".") else FOLDER, f"{shown(str(below / name))}/")
        folders[:] = [] if ends else sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            reason = HIDDEN if name.startswith(".") else OURS if ours(Path(place) / name) else other
            passed.add(reason, shown(str(below / name)))
        if len(passed) > _MOST:
            return passed.nothing_in(shown(named), whole=False)
    return passed.nothing_in(shown(named))
