"""How much a compressed source may unpack to, before it is taken for an attack on the disk or for a mistake."""

import re
from functools import lru_cache
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field

from anabranch.core.errors import SourceError
from anabranch.core.sizes import size_in_bytes

# Compressed data that expand beyond both are taken for an attack: gz reaches 1,032 at most, bz2 and zst a million.
MOST_BYTES, MOST_RATIO = 1 << 30, 1000
_RATIO = re.compile(r"(\d+(?:\.\d+)?)x")


class Bound(NamedTuple):
    """The bytes to which a source may unpack, or how many times its own size, whichever is more."""

    size: int
    ratio: float


def bound_of(text: str) -> Bound:
    """Read a bound such as `20GB`, `5000x` or `20GB,5000x`; that of an empty text is MOST_BYTES and MOST_RATIO."""
    return _read(text) if text else Bound(MOST_BYTES, MOST_RATIO)


@lru_cache(maxsize=16)
def _read(text: str) -> Bound:
    size, ratio = 0, 0.0
    for word in text.split(","):
        if times := _RATIO.fullmatch(word.strip()):
            ratio = float(times[1])
        else:
            size = size_in_bytes(word)
    return Bound(size, ratio)


def _checked(text: str | None) -> str | None:
    if text is not None:
        _read(text)
    return text


MaxUnpacked = Annotated[
    str | None,
    AfterValidator(_checked),
    Field(
        description="What a compressed source may unpack to: bytes (20GB), a multiple of its size (5000x), or "
        "whichever is more of both (20GB,5000x). Default: 1GiB,1000x."
    ),
]


def require_bounded(size: int, read: int, label: str = "", most: str = "") -> None:
    """Raise SourceError where so many bytes read have become more than the bound, see `bound_of`, allows."""
    bound = bound_of(most)
    if size > max(bound.size, bound.ratio * read):
        raise SourceError(
            "too-large",
            f"{read:,} bytes unpack to more than {size:,}, beyond --max-unpacked ({most or 'by default 1GiB,1000x'})",
            "If you trust the file, allow more with --max-unpacked.",
            label,
        )
