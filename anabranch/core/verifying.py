"""Compare what is there now with what a run wrote."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from anabranch.core.parts import Written
from anabranch.core.storage import fingerprint, sha256_of
from anabranch.core.words import many


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of an output: `reason` says what differs, or what could not be looked at."""

    output: str
    state: Literal["as_recorded", "changed", "missing", "not_verifiable"]
    reason: str = ""


def sample(written: Sequence[Written], share: Fraction, run: str) -> list[Written]:
    """Return a share of a run's outputs, at least one, in their order: the same ones whenever it is asked for."""
    count = math.ceil(len(written) * share)
    chosen = {one.place for one in sorted(written, key=lambda one: fingerprint(run, one.place))[:count]}
    return [one for one in written if one.place in chosen]


def _has_checksum(one: Written) -> bool:
    return sha256_of(one.path) == one.sha256


def verify_file(one: Written, is_same: Callable[[Written], bool] = _has_checksum) -> Finding:
    """Read a file to its end, unless its size differs already; `is_same` says whether its bytes are as recorded."""
    try:
        size = one.path.stat().st_size
        if size != one.size:
            return of_size(one, size)
        if not is_same(one):
            return Finding(one.name, "changed", "its size is as recorded, its bytes are not")
    except (FileNotFoundError, NotADirectoryError):
        return Finding(one.name, "missing")
    except OSError as error:
        return Finding(one.name, "not_verifiable", error.strerror or str(error))
    return Finding(one.name, "as_recorded")


def of_size(one: Written, size: int) -> Finding:
    """Return that an output has another size than it had."""
    return Finding(one.name, "changed", f"it has {many(size, 'byte')}, and {one.size:,} were written")
