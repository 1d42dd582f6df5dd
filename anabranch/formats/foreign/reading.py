"""Further formats, from XML to YAML: read as records, never written; only those of the allow-list, without loss."""

import importlib
import io
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from pathlib import PurePosixPath
from typing import IO, Any

import pyarrow as pa

from anabranch.core.errors import AnabranchError, UsageError
from anabranch.formats import formats
from anabranch.formats.foreign.formats import FORMATS, Format
from anabranch.formats.foreign.lines import Lines, Record, damaged, encoding_of
from anabranch.formats.foreign.values import plain_record
from anabranch.formats.model import Look
from anabranch.formats.options import ReadOptions
from anabranch.schema import records
from anabranch.sources.codecs import uncompressed

Open = Callable[[], IO[bytes]]  # of the decompressed bytes as they are: their encoding is found here
NO_OPTIONS: Mapping[str, str] = {}


def names() -> tuple[str, ...]:
    """Name the formats that can be read."""
    return tuple(sorted(FORMATS))


def format_of(name: str) -> str | None:
    """Return the format by a file's name, without a codec's extension; None if it is not one of these."""
    suffix = uncompressed(PurePosixPath(name)).suffix.lower().removeprefix(".")
    return next((known for known, format_ in FORMATS.items() if suffix in format_.extensions), None)


def parse_options(text: str) -> dict[str, str]:
    """Split options as a user writes them: `tag=book`, or several: `widths=5,10;names=id,name`."""
    pairs = [part.partition("=") for part in text.split(";") if part.strip()]
    return {name.strip(): value.strip() for name, _, value in pairs}


def require_possible(name: str, format_options: Mapping[str, str] = NO_OPTIONS) -> None:
    """Raise UsageError as `read_foreign` does, before any file is opened."""
    _prepared(name, format_options)


def read_foreign(
    open_bytes: Open, name: str, options: ReadOptions, format_options: Mapping[str, str] = NO_OPTIONS
) -> Generator[Record]:
    """Read the records of a file one by one, as plain Python objects; none of an empty file.

    Raises UsageError where the format (`format-unknown`), what reads it (`format-missing`) or an option
    (`format-options`) is not there, and SourceError (`format-damaged`) where the content cannot be read without loss.
    """
    return _records(open_bytes, *_prepared(name, format_options), options.encoding)


def look_foreign(
    open_bytes: Open, name: str, options: ReadOptions, format_options: Mapping[str, str] = NO_OPTIONS
) -> Look:
    """Look at the first rows of a file: columns in the order first seen, with the narrowest types that hold them."""
    with closing(read_foreign(open_bytes, name, options, format_options)) as found:
        schema = records.table(records.first(found, options.head)).schema
    return Look(name, names=tuple(schema.names), schema=schema)


def read_tables(
    open_bytes: Open, name: str, options: ReadOptions, format_options: Mapping[str, str] = NO_OPTIONS
) -> Iterator[pa.Table]:
    """Read a file table by table, each with the narrowest types that hold its own records.

    A column of which the first rows hold several kinds of values is text throughout, as it is in the look.
    """
    return records.tables(read_foreign(open_bytes, name, options, format_options), options.head)


def _prepared(name: str, format_options: Mapping[str, str]) -> tuple[Format, Any, Mapping[str, Any]]:
    """Return the format, the reader class of the library where it has one, and the options that this takes."""
    known = _known(name)
    chosen = _chosen(name, known, format_options)
    if known.package[0]:
        _imported(known.package[0], name)
    return known, _reader(name, known.reader) if known.reader else None, chosen


def _known(name: str) -> Format:
    if name not in FORMATS:
        every = ", ".join((*formats.FORMATS, *names()))
        raise UsageError(
            "format-unknown", f"there is no format {name!r} that can be read safely", f"Use one of {every}."
        )
    return FORMATS[name]


def _chosen(name: str, known: Format, given: Mapping[str, str]) -> dict[str, Any]:
    """Convert the options, all of which the reader must take: it would ignore others silently."""
    wrong = [option for option in given if option not in known.options]
    missing = [option for option in known.required if option not in given]
    if wrong or missing:
        raise UsageError(
            "format-options",
            f"{name} has no option {wrong[0]!r}" if wrong else f"{name} needs the option {missing[0]!r}",
            f"The options of {name}: {', '.join(known.options) or 'none'}.",
        )
    try:
        return {option: known.options[option](text) for option, text in given.items()}
    except ValueError as error:
        raise UsageError("format-options", f"{name}: {error}", "Correct the option.") from error


def _reader(name: str, place: str) -> Any:
    module, _, kind = place.partition(":")
    return getattr(_imported(f"iterable.datatypes.{module}", name), kind)


def _imported(module: str, name: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UsageError(
            "format-missing",
            f"{name} needs a package that is not installed: {error}",
            "pip install 'anabranch[formats]'",
        ) from error


def _records(
    open_bytes: Open, known: Format, reader: Any, chosen: Mapping[str, Any], encoding: str | None
) -> Generator[Record]:
    with open_bytes() as file:
        counted = _Counted(file, known.limit)
        raw: io.BufferedReader = io.BufferedReader(counted, 1 << 16)
        try:
            if not raw.peek(1):
                return
            if known.read:
                found = known.read(raw, encoding, **chosen)
            elif known.line:
                found = _by_lines(raw, known, reader, chosen, encoding)
            else:
                found = _by_bytes(counted, known, reader(stream=raw, **chosen))
            for record in found:
                yield plain_record(known.fix(record) if known.fix else record, utc=known.utc)
        except (AnabranchError, OSError):
            raise
        except Exception as error:  # whatever readers raise
            raise damaged(f"{type(error).__name__}: {' '.join(str(error).split())}") from error


def _by_bytes(counted: "_Counted", known: Format, reader: Any) -> Iterator[Any]:
    end = 0  # of the last whole record
    for record in reader:
        end = known.consumed(reader) if known.consumed else 0
        yield record
    if known.consumed and end != counted.count:
        raise damaged("the last record is cut off")


def _by_lines(
    raw: io.BufferedReader, known: Format, kind: Any, chosen: Mapping[str, Any], encoding: str | None
) -> Iterator[Any]:
    """Yield the records of a text, each of which must account for the lines it was made of."""
    with io.TextIOWrapper(raw, encoding_of(raw, encoding), newline="\n") as text:
        lines = Lines(text, known.line or re.compile(""), known.skipped, known.first)
        reader = kind(stream=lines, **chosen)
        for record in reader:
            taken = lines.take()
            if (known.lines and len(taken) != known.lines) or (known.check and not known.check(reader, taken, record)):
                raise damaged(f"line {lines.number} holds more than its format does: {taken[-1][:80]!r}")
            yield record
        if known.lines and lines.take():
            raise damaged("the last record is cut off")


class _Counted(io.RawIOBase):
    """Count the bytes that were read; more than the limit are an error."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self.count = 0
        self._file, self._limit = file, limit

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.count

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self.count += len(data)
        if self._limit and self.count > self._limit:
            raise damaged(
                f"it is read as a whole, and has more than {self._limit >> 20} MiB",
                "Split it, or write it as JSON lines.",
            )
        return len(data)
