"""Decide where the output of each source goes, and refuse what is not possible before anything is written."""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from anabranch.core.errors import UsageError
from anabranch.core.outputs import QUARANTINE, RECORD, require_folder, require_writable
from anabranch.core.storage import shown
from anabranch.files.options import ConvertOptions
from anabranch.formats.formats import ending, format_named
from anabranch.formats.options import CODECS, WRITES
from anabranch.sources import remote
from anabranch.sources.codecs import uncompressed
from anabranch.sources.source import Source

C = TypeVar("C", bound=ConvertOptions)

_PLACEHOLDER = re.compile(r"\{(name|stem|ext|parent)\}")
_EXTENSION = re.compile(r"\.[A-Za-z]\w{0,11}")  # not the year in report.2024


def as_named(options: C, output: str | None, sources: Sequence[Source]) -> C:
    """Return the options for which an output that is named like a file is one, in the format of its name.

    That is one source's, or the combined one. Raises UsageError where several sources would go to a folder of such a
    name, where `to` says another format, and where no file of that name can be written.
    """
    kind = _kind(output or "")
    if not kind or options.pattern is not None or not sources:
        return options
    name = Path(output or "").name
    if len(sources) > 1 and not options.combine:
        raise UsageError(
            "output-not-a-folder",
            f"{name} is named like a file, and there are {len(sources)} sources",
            f"Write all of them into that file with --combine, or name the folder with a slash: {name}/.",
        )
    format_, _, codec = kind.partition(".")
    if format_ not in WRITES or (codec and codec not in CODECS):
        remedy = f"Name one of {', '.join(WRITES)}, perhaps with .{', .'.join(CODECS)}, or a folder."
        raise UsageError("output-format", f"{kind} files are read and not written", remedy, name)
    if "to" in options.model_fields_set and options.to != kind:
        remedy = "Leave out --to, or name the output otherwise."
        raise UsageError("output-format", f"it is named like {kind}, and --to says {options.to}", remedy, name)
    return options.model_copy(update={"to": kind, "combine": True})


def is_named_like_a_file(output: str) -> bool:
    """Whether an output ends as data files do, and is not a folder."""
    return bool(_kind(output))


def _kind(output: str) -> str:
    """Return the format, perhaps with a codec, that an output's name ends in; nothing where it is a folder."""
    if not output or remote.is_url(output) or output.endswith("/"):
        return ""
    path = Path(remote.without_scheme(output))
    kind, _, codec = ending(path.name).partition(".")
    kind = kind if kind in WRITES else format_named(kind)
    return "" if not kind or os.path.isdir(path) else ".".join(filter(None, (kind, codec)))  # noqa: PTH112  see outputs


def targets(sources: Sequence[Source], options: ConvertOptions, output: str) -> dict[str, Path]:
    """Map each source's path to the file that its rows go to: below the folder `output`, or combined `output` itself.

    Without a pattern the name is that of the source with another ending, in the same subfolder as the source. Raises
    UsageError where two sources would have one output, an output would replace a source or the run's own record, leave
    the folder, also through a link, or cannot be written.
    """
    if remote.is_url(output):
        raise UsageError("output-not-local", "outputs go to local folders", "Name a folder.", remote.shown_url(output))
    base = Path(remote.without_scheme(output))
    if options.combine:
        found = dict.fromkeys((source.path for source in sources), base)
        if output.endswith("/"):
            raise UsageError("output-not-a-file", "with --combine the output is one file", "Name a file.", output)
    else:
        require_folder(base, "every source becomes its own output")
        found = {source.path: base / _name(source, options) for source in sources}
        _require_distinct(found, base)
    require_writable(
        dict.fromkeys(found.values()), (Path(source.path) for source in sources if not remote.is_url(source.path))
    )
    return found


def _name(source: Source, options: ConvertOptions) -> PurePosixPath:
    """Fill in the pattern; the result stays within the folder as far as its text shows."""
    pattern = options.pattern or f"{{parent}}/{{stem}}.{options.to}"
    if unknown := re.search(r"\{[^{}]*\}?|\}", _PLACEHOLDER.sub("", pattern)):
        raise UsageError(
            "pattern-unknown",
            f"the pattern has {unknown[0]!r}, which is not a placeholder",
            "Use {name}, {stem}, {ext} and {parent}.",
            pattern,
        )
    words = _words(source)
    if not source.parent:
        pattern = pattern.replace("{parent}/", "")
    filled = _PLACEHOLDER.sub(lambda found: words[found[1]], pattern)
    name = PurePosixPath(filled)
    if name.is_absolute() or ".." in name.parts or not name.name or filled.endswith("/") or "\0" in filled:
        raise _outside(source, filled)
    if name.name.endswith(QUARANTINE) or name == PurePosixPath(RECORD):
        raise UsageError(
            "output-reserved",
            f"its output {name} has the name of the run's own record",
            "Choose another --pattern.",
            source.label,
        )
    return name


def _words(source: Source) -> dict[str, str]:
    name = PurePosixPath(remote.named(source.path)).name
    plain = uncompressed(PurePosixPath(name))
    stem = plain.stem if _EXTENSION.fullmatch(plain.suffix) else plain.name
    return {"name": name, "stem": stem, "ext": name[len(stem) + 1 :], "parent": source.parent}


def _require_distinct(found: dict[str, Path], base: Path) -> None:
    """Compare the files that are meant, whatever links lead to them."""
    inside, places = base.resolve(), dict[Path, str]()
    for source, path in found.items():
        folder = path.parent.resolve()
        if folder != inside and inside not in folder.parents:
            raise _outside(source, str(path))
        other = places.setdefault(folder / path.name, source)
        if other != source:
            raise _same(other, source, path)
    for place, source in places.items():
        for parent in place.parents:
            if parent in places:
                raise _same(places[parent], source, parent)


def _same(one: str, other: str, path: Path) -> UsageError:
    names = " and ".join(shown(remote.shown_url(name)) for name in (one, other))
    return UsageError(
        "same-output",
        f"{names} would both be written to {shown(str(path))}",
        "Give them different names with --pattern, such as {parent}/{name}.parquet.",
    )


def _outside(source: Source | str, name: str) -> UsageError:
    label = source.label if isinstance(source, Source) else shown(remote.shown_url(source))
    return UsageError(
        "output-outside",
        f"its output {shown(name)!r} is not a file in the output folder",
        "Choose another --pattern.",
        label,
    )
