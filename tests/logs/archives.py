"""Builders of small archives and lines."""

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

START = "Entering state \"StartStreamer\" with args: (), {'collectorAddressList': [[u'10.0.0.1', 8000]]}"
STOP = 'Entering state "StopStreamer"'


def line(text: str = STOP, time: str = "2025-09-26T10:00:00.000001+00:00") -> bytes:
    return f"{time} corecard boss100 (1.5)(300.7):INFO:{text} (state.py:21)\n".encode()


def flow(total: int, time: str = "2025-09-26T10:00:00.000001+00:00") -> bytes:
    return line(f"Detected flow in outgoing queue (potential {total} kbps): Setting bitrate to 5 kbps", time)


def tar_of(files: Mapping[str, bytes]) -> bytes:
    return tar_with([(entry(name, len(data)), data) for name, data in files.items()])


def tar_with(entries: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """Pack entries as they are, whatever they declare."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for info, data in entries:
            packed.write(info.tobuf(tarfile.GNU_FORMAT))
            packed.write(data + bytes(-len(data) % 512))
            tar.offset = packed.tell()
    return packed.getvalue()


def entry(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info


def write(path: Path, files: Mapping[str, bytes]) -> str:
    """Write a tar archive, compressed as its suffix says; give its path as text."""
    data = tar_of(files)
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix in {".gz", ".tgz"} else data)
    return str(path)
