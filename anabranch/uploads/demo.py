"""The demo of upload-files: a big file is sent to a folder, the command is killed at half, and the next one resumes."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

from anabranch.core.demo import Run, Say, Show, Steps
from anabranch.core.storage import published
from anabranch.uploads.options import MIB

SIZE, PART = 128 * MIB, MIB  # bytes


def demo(folder: Path) -> Steps:
    """Write a big file unless it is there, send it, kill the command at half, send the rest, and compare."""
    source, target = folder / "big.bin", folder / "uploaded"
    if not source.exists():
        yield Say(f"writing a file of {SIZE // MIB} MiB: {source}")
        with published(source) as file:
            for block in _blocks():
                file.write(block)
    (target / source.name).unlink(missing_ok=True)
    words = ("upload-files", str(source), f"{target}/", "--part-size", f"{PART // MIB}MiB", "--parts-in-flight", "2")
    yield Run(words, kill_when=lambda: _parts(target) >= SIZE // PART // 2)
    yield Say(f"{_parts(target)} of {SIZE // PART} parts were stored when it was killed; the same command again:")
    yield Run(words)
    equal = _sum(source) == _sum(target / source.name)
    yield Show(f"--- {target / source.name} has {'the same' if equal else 'ANOTHER'} SHA-256: {_sum(source)}")


def _blocks() -> Iterator[bytes]:
    generator = random.Random(1)  # noqa: S311  no secret
    for _ in range(SIZE // MIB):
        yield generator.randbytes(MIB)


def _parts(target: Path) -> int:
    """Count the parts that an unfinished upload holds."""
    return len(list(target.glob(".*.anabranch-upload/[0-9]*")))


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
