"""Decide where the output of each source goes, and refuse what is not possible before anything is written."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from anabranch.core.errors import UsageError
from anabranch.core.outputs import QUARANTINE, RECORD, require_folder, require_writable
from anabranch.core.storage import shown
from anabranch.files.options import ConvertOptions
from anabranch.sources import remote
from anabranch.sources.codecs import uncompressed
from anabranch.sources.source import Source

_PLACEHOLDER = re.compile(r"\{(name|stem|ext|parent)\}")
_EXTENSION = re.compile(r"\.[A-Za-z]\w{0,11}")  # not the year in report.2024


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
