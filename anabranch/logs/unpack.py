"""Plan to undo the outer compression: every archive is cut into slices, each a range of its tar stream."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from anabranch.core import versions
from anabranch.core.errors import AnabranchError, SourceError, as_ours
from anabranch.core.parts import WorkFile
from anabranch.core.storage import fingerprint
from anabranch.logs.archive import Archive, archives, look
from anabranch.sources.unpack import Manner, Packed, Slices, unpacking

# Compressed bytes that one core unpacks in a second (measured with logs that are gzipped inside).
_RATES = {"bz2": 14e6, "gz": 60e6, "xz": 40e6, "zst": 200e6, "lz4": 400e6, "": 400e6}
_WHOLE = 4 << 20  # bytes; a smaller file is not worth cutting
_LIBRARIES = ("ahocorasick-rs", "isal", "pyarrow", "python-dateutil")  # what they find decides what is written


@dataclass(frozen=True, slots=True)
class Survey(Slices):
    """The slices to unpack, and all archives; a plain one needs no slice.

    `errors` are of the archives that cannot even be opened, and are left out; `remarks` tell of what is not read.
    """

    archives: tuple[Archive, ...] = ()
    errors: tuple[AnabranchError, ...] = ()
    remarks: tuple[str, ...] = ()


def survey(source: Sequence[str], work_dir: Path, threads: int, most: str = "") -> Survey:
    """Find the archives, read each once for its fingerprint, and cut the work of unpacking; writes nothing.

    Raises UsageError where a source is missing or two archives have the same name.
    """
    found = archives(source)
    looked, errors = list[Archive](), list[AnabranchError](found.errors)
    for one in found.sources:
        try:
            looked.append(look(one, found.logs.get(one, ())))
        except OSError as error:
            reason = error.strerror or str(error)
            errors.append(SourceError("source-unreadable", reason, "Fix that, and run again.", one.label))
        except AnabranchError as error:
            errors.append(as_ours(error, one.label))
    facts = [(one.source.path, one.source.size, one.codec, one.digest) for one in looked]
    folder = work_dir / "logs" / fingerprint(code_key(), facts)
    packed = [Packed(replace(one.source, most=most), one.codec, one.digest) for one in looked if not one.is_read_itself]
    return Survey(
        unpacking(packed, Manner(_RATES, _WHOLE, keeps=True), folder, threads, code_key()),
        str(folder),
        reads=tuple(WorkFile(file.path, file.size, 0) for one in looked for file in one.files),
        sources=tuple(one.source for one in looked),
        archives=tuple(looked),
        errors=tuple(errors),
        remarks=found.remarks,
    )


def code_key() -> str:
    """Fingerprint the code, the rules and the libraries that decide the bytes of the reports."""
    return versions.code_key("core", "sources", "logs", libraries=_LIBRARIES)
