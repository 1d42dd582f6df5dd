"""Sizes in bytes as people write them."""

import re

_UNITS = {"": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
_UNITS |= {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]i?B)?", re.IGNORECASE)


def size_in_bytes(text: str) -> int:
    """Return the bytes that a size such as `64MiB`, `8 MB` or `5242880` means; ValueError where it is not a size."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a size; write it as 64MiB")
    return int(float(match[1]) * _UNITS[(match[2] or "").upper()])


def size_shown(size: int) -> str:
    """Return a size as a person reads it: 1.5 GiB."""
    power = min((max(size, 1).bit_length() - 1) // 10, 4)
    return f"{size / (1 << 10 * power):,.4g} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
