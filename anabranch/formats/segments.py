"""What all joins of segments do: copy exactly, and notice what is not as it was written."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from anabranch.core.errors import AnabranchError

_COPY = 1 << 20  # bytes at once
# What a reader of damaged bytes may raise; pyarrow has exceptions of most of these.
_ODD = (
    ArithmeticError, AttributeError, EOFError, LookupError, NotImplementedError, OSError, TypeError, ValueError,
    struct.error,
)  # fmt: skip


def copy(source: IO[bytes], out: IO[bytes], size: int) -> None:
    """Copy exactly `size` bytes from the position of `source`; EOFError if there are fewer."""
    room = memoryview(bytearray(min(size, _COPY)))
    while size:
        count = source.readinto(room[: min(size, _COPY)])  # type: ignore[attr-defined]  # every file of bytes has it
        if not count:
            raise EOFError(f"{size} bytes are missing")
        out.write(room[:count])
        size -= count


@contextmanager
def damage_noticed(name: str) -> Iterator[None]:
    """Turn whatever a file of another shape leads to into an AnabranchError that names it."""
    try:
        yield
    except _ODD as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the system, not of what the file holds
            raise
        raise AnabranchError(
            "segment-damaged",
            f"a work file was changed after it was written ({error})",
            "Run the same command again with --refresh.",
            name,
        ) from error
