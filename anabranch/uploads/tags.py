"""The tags by which S3 servers tell what an object holds: the MD5 of its bytes, or of its parts' MD5s."""

import hashlib
from collections.abc import Iterable, Sequence

from anabranch.uploads.ranges import RangeFile, summed
from anabranch.uploads.stores.base import Stop


def joined_tag(sums: Sequence[str]) -> str:
    """Return the tag of an object whose parts have these MD5s (hexadecimal): the MD5 of the MD5s, and their number."""
    joined = hashlib.md5(b"".join(bytes.fromhex(one) for one in sums), usedforsecurity=False)
    return f"{joined.hexdigest()}-{len(sums)}"


def has_tag(path: str, size: int, etag: str, part_sizes: Iterable[int], stop: Stop) -> bool:
    """Whether a file of that size has the tag, if it was sent whole, or in parts of one of these sizes."""
    sums, _, count = etag.partition("-")
    if not count:
        return _md5(path, 0, size, stop) == sums
    sizes = [part for part in dict.fromkeys(part_sizes) if part and -(-size // part) == int(count)]
    return any(file_tag(path, size, part, stop) == etag for part in sizes)


def file_tag(path: str, size: int, part_size: int, stop: Stop) -> str:
    """Return the tag that a file gets in parts of that size."""
    offsets = range(0, size, part_size) if size else range(1)
    return joined_tag([_md5(path, offset, min(part_size, size - offset), stop) for offset in offsets])


def _md5(path: str, offset: int, length: int, stop: Stop) -> str:
    with RangeFile(path, offset, length, stop) as body:
        return summed(body).md5
